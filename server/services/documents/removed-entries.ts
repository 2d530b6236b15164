import { isDeepStrictEqual } from 'node:util';
import type { Annotation, EntryChange, Reply } from '../../../protocol/documents/index.ts';

type Change = Pick<EntryChange, 'map' | 'id' | 'before' | 'after'>;

/** Entries and replies that were removed last, as plain JSON, so that whoever undoes the removal may bring back what others had written. */
export class RemovedEntries {
  /** In the order of their removal; most documents have none, so that nothing is set aside for them. */
  readonly #removed = new Map<string, unknown>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** What an entry was before a change, with what was removed from it earlier and returns exactly as it was then. */
  withReturned({ map, id, before, after }: Change): unknown {
    if (before === undefined) return this.#returns([map, id], after) ? after : undefined;
    if (after === undefined) return before;
    const returned = newReplies({ map, before, after }).filter((reply) => this.#returns([map, id, reply.id], reply));
    return returned.length === 0 ? before : { ...before, replies: [...(before as Annotation).replies, ...returned] };
  }

  remember({ map, id, before, after }: Change): void {
    if (before === undefined) return;
    if (after === undefined) this.#set([map, id], before);
    else for (const reply of newReplies({ map, before: after, after: before })) this.#set([map, id, reply.id], reply);
  }

  #returns(path: readonly string[], value: unknown): boolean {
    const removed = this.#removed.get(JSON.stringify(path));
    return removed !== undefined && isDeepStrictEqual(removed, value);
  }

  #set(path: readonly string[], value: unknown): void {
    const key = JSON.stringify(path);
    this.#removed.delete(key);
    this.#removed.set(key, value);
    const [oldest] = this.#removed.keys();
    if (this.#removed.size > this.#max && oldest !== undefined) this.#removed.delete(oldest);
  }
}

/** Replies of an annotation that it did not have before; whether they are such is not known yet. */
function newReplies({ map, before, after }: Omit<Change, 'id'>): readonly Reply[] {
  if (map !== 'annotations') return [];
  const known = new Set((before as Annotation).replies.map(({ id }) => id));
  const { replies } = after as Annotation;
  return Array.isArray(replies) ? replies.filter((reply) => typeof reply?.id === 'string' && !known.has(reply.id)) : [];
}
