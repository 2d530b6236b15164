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
  const runs = new Runs();
  const runAt = (clientId: number, clock: number): Run | undefined => {
    if (clock < Y.getState(doc.store, clientId)) return runs.around(doc.store.clients.get(clientId) ?? [], clock, true);
    // What comes with the edit Yjs puts together at its end.
    return runs.around(own.get(clientId) ?? [], clock, false);
  };
  const lengthOf = (run: Run | undefined): number => (run === undefined ? 0 : run.end - run.start);
  let values = 0;
  const between = placesOf(structs);
  for (const [clientId, clocks] of between) for (const clock of clocks) values += lengthOf(runAt(clientId, clock));
  let cut: Run | undefined;
  let from = 0;
  removals.eachEdge((clientId, clock, isAscending) => {
    const run = between.get(clientId)?.has(clock) ? undefined : runAt(clientId, clock);
    if (run === undefined) return;
    // Programs that use Yjs tell removals in their order, so that what is left of each is split off already.
    values += run === cut && isAscending ? run.end - from : lengthOf(run);
    [cut, from] = [run, clock];
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

/** Clocks of values that programs hold as one item. */
interface Run {
  readonly start: number;
  readonly end: number;
}

/** Runs of values, each looked for once. Those that the server holds as several items (`value-runs.ts`) are one to programs of others. */
class Runs {
  readonly #known = new Map<Struct, Run>();

  /** Of structs in order, the run that has a clock, not as its first. */
  around(structs: readonly Struct[], clock: number, areTogether: boolean): Run | undefined {
    const at = lastUpTo(structs, clock);
    const item = structs[at];
    if (!isLong(item) || clock >= item.id.clock + item.length) return undefined;
    const run = this.#known.get(item) ?? this.#measure(structs, at, areTogether);
    return clock > run.start ? run : undefined;
  }

  #measure(structs: readonly Struct[], at: number, areTogether: boolean): Run {
    let [first, last] = [at, at];
    while (areTogether && areJoined(structs[first - 1], structs[first])) first -= 1;
    while (areTogether && areJoined(structs[last], structs[last + 1])) last += 1;
    const ending = structs[last] as Struct;
    const run = { start: (structs[first] as Struct).id.clock, end: ending.id.clock + ending.length };
    for (const struct of structs.slice(first, last + 1)) this.#known.set(struct, run);
    return run;
  }
}

/** Whether Yjs would put two items together that follow one another. */
function areJoined(left: Struct | undefined, right: Struct | undefined): boolean {
  if (!isLong(left) || !isLong(right) || left.deleted || right.deleted) return false;
  const isNext = Y.compareIDs(right.origin, left.lastId) && left.right === right;
  return isNext && Y.compareIDs(left.rightOrigin, right.rightOrigin) && left.content.constructor === right.content.constructor;
}

/** The place of the last that begins at a clock or before it. */
function lastUpTo(structs: readonly Struct[], clock: number): number {
  let [low, high] = [0, structs.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((structs[middle] as Struct).id.clock <= clock) low = middle + 1;
    else high = middle - 1;
  }
  return high;
}
