import * as Y from 'yjs';
import type { Removals } from './removals.ts';

type Struct = Y.Item | Y.GC | Y.Skip;

/** Yjs copies so many values in the time that a conflict step takes, about. */
const VALUES_PER_STEP = 16;

/**
 * What it takes to split the items that an update splits, in conflict steps: Yjs keeps values that were put in together as one item, and
 * copies them all each time that one of them is removed, or something is put between two. So few removals of a long list take as long as
 * very many, for the server and for everybody's program. Texts are not copied.
 */
export function splitStepsOf(doc: Y.Doc, structs: readonly Struct[], removals: Removals): number {
  const own = Map.groupBy(structs.filter(isLong), ({ id }) => id.client);
  let values = 0;
  for (const [clientId, clocks] of cutsOf(structs, removals)) {
    const known = doc.store.clients.get(clientId) ?? [];
    const cuts = new Map<Struct, number>();
    for (const clock of clocks) {
      const cut = itemAround(clock < Y.getState(doc.store, clientId) ? known : (own.get(clientId) ?? []), clock);
      if (cut !== undefined) cuts.set(cut, (cuts.get(cut) ?? 0) + 1);
    }
    for (const [{ length }, count] of cuts) values += length * count;
  }
  return Math.floor(values / VALUES_PER_STEP);
}

/** The clocks before which something is split, by client; where there is such an item. */
function cutsOf(structs: readonly Struct[], removals: Removals): ReadonlyMap<number, ReadonlySet<number>> {
  const cuts = new Map<number, Set<number>>();
  const cut = (clientId: number, clock: number): void => {
    const clocks = cuts.get(clientId) ?? new Set();
    clocks.add(clock);
    cuts.set(clientId, clocks);
  };
  removals.eachEdge(cut);
  for (const struct of structs) {
    if (!(struct instanceof Y.Item)) continue;
    if (struct.origin !== null) cut(struct.origin.client, struct.origin.clock + 1);
    if (struct.rightOrigin !== null) cut(struct.rightOrigin.client, struct.rightOrigin.clock);
  }
  return cuts;
}

const isLong = (struct: Struct | undefined): struct is Y.Item =>
  struct instanceof Y.Item && (struct.content instanceof Y.ContentAny || struct.content instanceof Y.ContentJSON);

/** Of structs in order, the one with many values that has a clock, not as its first. */
function itemAround(structs: readonly Struct[], clock: number): Y.Item | undefined {
  let [low, high] = [0, structs.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((structs[middle] as Struct).id.clock < clock) low = middle + 1;
    else high = middle - 1;
  }
  const found = structs[high];
  return isLong(found) && clock < found.id.clock + found.length ? found : undefined;
}
