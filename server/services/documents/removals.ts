import * as Y from 'yjs';

/** Ranges of clocks by client, as an update has them: in any order, and more than once. */
export type RemovedRanges = ReadonlyMap<number, readonly { readonly clock: number; readonly len: number }[]>;

/** Clocks of one client that are removed, without a gap. */
interface Stretch {
  readonly clock: number;
  readonly end: number;
  /** How many ranges of the update it is put together from. */
  readonly ranges: number;
}

/** What removals mean for a document. */
export interface RemovalsIn {
  /** Whether something is removed that is there. */
  readonly removes: boolean;
  /** How many ranges remove what is there or what the document does not have: the others are old, and nobody does anything with them. */
  readonly ranges: number;
}

/** What an update removes, put in order once, so that a look at it stays short however many ranges there are. */
export class Removals {
  readonly #byClient: ReadonlyMap<number, readonly Stretch[]>;
  readonly #ranges: RemovedRanges;

  constructor(ranges: RemovedRanges) {
    this.#byClient = new Map([...ranges].map(([clientId, own]) => [clientId, stretchesOf(own)]));
    this.#ranges = ranges;
  }

  /** Whether all of an item is removed. */
  cover({ client, clock }: Y.ID, length: number): boolean {
    const stretch = lastUpTo(this.#byClient.get(client) ?? [], clock);
    return stretch !== undefined && clock + length <= stretch.end;
  }

  /** Whether they go beyond what there is of a client. */
  exceed(endOf: (clientId: number) => number): boolean {
    return [...this.#byClient].some(([clientId, stretches]) => (stretches.at(-1)?.end ?? 0) > endOf(clientId));
  }

  /** Calls back with where each range begins and with what follows it, once and in order, and whether the update has those of the client so. */
  eachEdge(callback: (clientId: number, clock: number, isAscending: boolean) => void): void {
    for (const [clientId, ranges] of this.#ranges) {
      const edges = new Set(ranges.flatMap(({ clock, len }) => [clock, clock + len]));
      const isAscending = ranges.every(({ clock }, at) => clock >= (ranges[at - 1]?.clock ?? 0));
      for (const clock of [...edges].sort((one, other) => one - other)) callback(clientId, clock, isAscending);
    }
  }

  in(doc: Y.Doc): RemovalsIn {
    let removes = false;
    let ranges = 0;
    for (const [clientId, stretches] of this.#byClient) {
      const structs = doc.store.clients.get(clientId) ?? [];
      const known = Y.getState(doc.store, clientId);
      for (const stretch of stretches) {
        const isLive = hasLive(structs, stretch);
        removes ||= isLive;
        if (isLive || stretch.end > known) ranges += stretch.ranges;
      }
    }
    return { removes, ranges };
  }
}

function stretchesOf(ranges: readonly { readonly clock: number; readonly len: number }[]): readonly Stretch[] {
  const stretches: Stretch[] = [];
  for (const { clock, len } of ranges.toSorted((one, other) => one.clock - other.clock)) {
    const last = stretches.at(-1);
    if (last === undefined || clock > last.end) stretches.push({ clock, end: clock + len, ranges: 1 });
    else stretches[stretches.length - 1] = { clock: last.clock, end: Math.max(last.end, clock + len), ranges: last.ranges + 1 };
  }
  return stretches;
}

/** The last that begins at a clock or before it. */
function lastUpTo(stretches: readonly Stretch[], clock: number): Stretch | undefined {
  let [low, high] = [0, stretches.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((stretches[middle] as Stretch).clock <= clock) low = middle + 1;
    else high = middle - 1;
  }
  return stretches[high];
}

function hasLive(structs: readonly (Y.Item | Y.GC)[], { clock, end }: Stretch): boolean {
  const last = structs[structs.length - 1];
  if (last === undefined || last.id.clock + last.length <= clock) return false;
  for (let index = Y.findIndexSS(structs as Parameters<typeof Y.findIndexSS>[0], clock); index < structs.length; index += 1) {
    const struct = structs[index];
    if (struct === undefined || struct.id.clock >= end) return false;
    if (!struct.deleted) return true;
  }
  return false;
}
