import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, link, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { assert } from '../../shared/assert.ts';
import type { ExportFiles } from '../stores.ts';
import { fileFault } from './fault.ts';
import { listFiles, makeDirectories, removeEmpty, syncDirectories } from './object-files.ts';
import { removeFile } from './remove.ts';
import { readFileKey, readSealed, writeSealed } from './sealed.ts';

const READ_BYTES = 256 * 1024;
/** Names that the server gives: people may put files of their own beside them, which are theirs to remove. */
const OWN = /(^|\/)([^/]*-s\d+-r\d+-\d+\.[a-z]+|\.[0-9a-f-]{36}\.part)$/;

const PART = /^[^./\\\0][^/\\\0]*$/;

/** Files below a directory; with a key they are sealed, and only this server reads them. */
export function createExportFiles(root: string, key: Uint8Array | undefined): ExportFiles {
  const pathOf = (path: string): string => {
    // Names were checked when they came in; that they lead nowhere else is made sure of here again.
    assert(
      path.split('/').every((part) => PART.test(part)),
      'the path of an exported file leads out of its directory',
    );
    return join(root, path);
  };
  return {
    write: (path, body) => write(root, { path, target: pathOf(path), key }, body),
    has: (path) =>
      access(pathOf(path)).then(
        () => true,
        () => false,
      ),
    read: (path) => (key === undefined ? createReadStream(pathOf(path), { highWaterMark: READ_BYTES }) : readOpened(pathOf(path), path, key)),
    remove: async (paths) => {
      for (const path of paths) await removeFile(pathOf(path));
      for (const directory of new Set(paths.map((path) => dirname(pathOf(path))))) await removeEmpty(directory, root);
    },
    list: async function* () {
      for await (const { name, ageMs } of listFiles(root, '')) if (OWN.test(name)) yield { path: name, ageMs };
    },
  };
}

interface Target {
  readonly path: string;
  readonly target: string;
  readonly key: Uint8Array | undefined;
}

/** Written beside its place under a name that nobody takes for a result, and linked there when it is durable. */
async function write(root: string, { path, target, key }: Target, body: AsyncIterable<Uint8Array>): Promise<void> {
  const part = join(dirname(target), `.${randomUUID()}.part`);
  try {
    const directories = await makeDirectories(root, [target]);
    const handle = await open(part, 'wx', 0o640);
    try {
      if (key === undefined) for await (const chunk of body) await handle.appendFile(chunk);
      else await writeSealed(handle, { wrappingKey: key, name: nameOf(path) }, body);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(part, target);
    await syncDirectories(directories);
  } catch (error) {
    throw fileFault(error);
  } finally {
    await removeFile(part);
  }
}

const nameOf = (path: string): string => `export ${basename(path)}`;

async function* readOpened(target: string, path: string, key: Uint8Array): AsyncGenerator<Uint8Array> {
  const handle = await open(target, 'r');
  try {
    yield* readSealed(handle, await readFileKey(handle, key, nameOf(path)));
  } finally {
    await handle.close();
  }
}
