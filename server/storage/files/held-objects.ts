import { CovistaError } from '../../../protocol/errors.ts';
import type { HeldObjectStore, ObjectStore } from '../stores.ts';

/**
 * Counts who reads which objects, so that none is deleted meanwhile. What is condemned is given to nobody any more, from the same
 * moment on in which it is told who still has it.
 */
export function createHeldObjects(inner: ObjectStore): HeldObjectStore {
  /** By local path. */
  const holders = new Map<string, number>();
  let condemned: ReadonlySet<string> = new Set();

  const hold = (paths: readonly string[]): (() => void) => {
    if (paths.some((path) => condemned.has(path))) throw new CovistaError('not_found', 'the data of this version was removed');
    for (const path of paths) holders.set(path, (holders.get(path) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      for (const path of paths) {
        const others = (holders.get(path) ?? 1) - 1;
        if (others === 0) holders.delete(path);
        else holders.set(path, others);
      }
    };
  };

  return {
    publish: (files) => inner.publish(files),
    localPath: (objectKey) => inner.localPath(objectKey),
    delete: (objectKeys) => inner.delete(objectKeys),
    list: (prefix) => inner.list(prefix),
    read: async function* (objectKey, range) {
      const letGo = hold([inner.localPath(objectKey)]);
      try {
        yield* inner.read(objectKey, range);
      } finally {
        letGo();
      }
    },
    lease: async (paths) => {
      const letGo = hold(paths);
      try {
        const release = await inner.lease(paths);
        return () => {
          release();
          letGo();
        };
      } catch (error) {
        letGo();
        throw error;
      }
    },
    condemn: (objectKeys) => {
      condemned = new Set(objectKeys.map((objectKey) => inner.localPath(objectKey)));
      return objectKeys.filter((objectKey) => holders.has(inner.localPath(objectKey)));
    },
  };
}
