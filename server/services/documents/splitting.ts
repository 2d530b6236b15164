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
  const itemAt = (clientId: number, clock: number): Y.Item | undefined =>
    itemAround((clock < Y.getState(doc.store, clientId) ? doc.store.clients.get(clientId) : own.get(clientId)) ?? [], clock);
  let values = 0;
  const between = placesOf(structs);
  for (const [clientId, clocks] of between) for (const clock of clocks) values += itemAt(clientId, clock)?.length ?? 0;
  let cut: Y.Item | undefined;
  let from = 0;
  removals.eachEdge((clientId, clock, isAscending) => {
    const item = between.get(clientId)?.has(clock) ? undefined : itemAt(clientId, clock);
    if (item === undefined) return;
    // Programs that use Yjs tell removals in their order, so that what is left of each is split off already.
    values += item === cut && isAscending ? item.id.clock + item.length - from : item.length;
    [cut, from] = [item, clock];
  });
  return Math.floor(values / VALUES_PER_STEP);
}

/** The clocks before which something is put, by client. */
function placesOf(structs: readonly Struct[]): ReadonlyMap<number, ReadonlySet<number>> {
  const places = new Map<number, Set<number>>();
  const add = (clientId: number, clock: number): void => {
    const clocks = places.get(clientId) ?? new Set();
    clocks.add(clock);
    places.set(clientId, clocks);
  };
  for (const struct of structs) {
    if (!(struct instanceof Y.Item)) continue;
    if (struct.origin !== null) add(struct.origin.client, struct.origin.clock + 1);
    if (struct.rightOrigin !== null) add(struct.rightOrigin.client, struct.rightOrigin.clock);
  }
  return places;
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
