import { isDeepStrictEqual } from 'node:util';
import type { Annotation, EntryChange, Reply } from '../../../protocol/documents/index.ts';
import type { Limits } from '../../../protocol/limits.ts';

export type RemovedEntriesLimits = Pick<Limits, 'documentRemovedEntriesMax' | 'documentRemovedBytesMax'>;

type Change = Pick<EntryChange, 'map' | 'id' | 'before' | 'after'>;

interface Removed {
  readonly value: unknown;
  readonly bytes: number;
}

/** Entries and replies that were removed last, as plain JSON, so that whoever undoes the removal may bring back what others had written. */
export class RemovedEntries {
  /** In the order of their removal; most documents have none, so that nothing is set aside for them. */
  readonly #removed = new Map<string, Removed>();
  readonly #limits: RemovedEntriesLimits;
  #bytes = 0;

  constructor(limits: RemovedEntriesLimits) {
    this.#limits = limits;
  }

  /**
   * What an entry may have been before a change, of which one must let the change be right: one that was there, with the replies
   * that return to it exactly as they were; or one that was removed and comes back, as it was or changed since; or none.
   */
  readings({ map, id, before, after }: Change): readonly unknown[] {
    if (after === undefined) return [before];
    const withReplies = (earlier: unknown): unknown => {
      const returned = newReplies({ map, before: earlier, after }).filter((reply) =>
        this.#returns([map, id, reply.id], { reply, of: fixedOf(earlier) }),
      );
      return returned.length === 0 ? earlier : { ...(earlier as Annotation), replies: [...(earlier as Annotation).replies, ...returned] };
    };
    if (before !== undefined) return [withReplies(before)];
    const removed = this.#removed.get(keyOf([map, id]));
    return removed === undefined ? [undefined] : [withReplies(removed.value), undefined];
  }

  remember({ map, id, before, after }: Change): void {
    if (before === undefined) return;
    if (after === undefined) this.#set([map, id], before);
    else for (const reply of newReplies({ map, before: after, after: before })) this.#set([map, id, reply.id], { reply, of: fixedOf(after) });
  }

  #returns(path: readonly string[], value: unknown): boolean {
    const removed = this.#removed.get(keyOf(path));
    return removed !== undefined && isDeepStrictEqual(removed.value, value);
  }

  #set(path: readonly string[], value: unknown): void {
    const key = keyOf(path);
    const bytes = Buffer.byteLength(JSON.stringify(value));
    this.#delete(key);
    this.#removed.set(key, { value, bytes });
    this.#bytes += bytes;
    const { documentRemovedEntriesMax, documentRemovedBytesMax } = this.#limits;
    for (const oldest of this.#removed.keys()) {
      if (this.#removed.size <= documentRemovedEntriesMax && this.#bytes <= documentRemovedBytesMax) return;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    this.#bytes -= this.#removed.get(key)?.bytes ?? 0;
    this.#removed.delete(key);
  }
}

/** What never changes of an annotation: another one may have its id once it is removed, to which its replies do not return. */
function fixedOf(annotation: unknown): Pick<Annotation, 'author' | 'createdAt' | 'anchor'> {
  const { author, createdAt, anchor } = annotation as Annotation;
  return { author, createdAt, anchor };
}

const keyOf = (path: readonly string[]): string => JSON.stringify(path);

/** Replies of an annotation that it did not have before; whether they are such is not known yet. */
function newReplies({ map, before, after }: Omit<Change, 'id'>): readonly Reply[] {
  if (map !== 'annotations') return [];
  const known = new Set((before as Annotation).replies.map(({ id }) => id));
  const { replies } = after as Annotation;
  return Array.isArray(replies) ? replies.filter((reply) => typeof reply?.id === 'string' && !known.has(reply.id)) : [];
}
