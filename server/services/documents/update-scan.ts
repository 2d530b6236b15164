import { createEncoder, toUint8Array, writeVarUint } from 'lib0/encoding';
import * as Y from 'yjs';
import { CovistaError } from '../../../protocol/errors.ts';
import { decoding } from './messages.ts';
import { isTooDeep } from './nesting.ts';
import { Removals, type RemovedRanges } from './removals.ts';
import { splitStepsOf } from './splitting.ts';

/** Consecutive clocks of one Yjs client. */
export interface ClockRange {
  readonly clientId: number;
  readonly clock: number;
  readonly length: number;
}

/** What an update would do to a document, found out without doing it. */
export interface UpdateScan {
  /** How many structs it has: items, and what stands for those that are gone. */
  readonly structs: number;
  /** How many ranges it has that remove something, but for what the document has as removed. */
  readonly removals: number;
  /** What it takes to split what it splits, in conflict steps. */
  readonly splitSteps: () => number;
  /** What the document lacks of it, by client. */
  readonly added: readonly ClockRange[];
  /** Whether any of what is added has content that was not removed already. */
  readonly addsContent: boolean;
  /** Whether it removes something that is there. */
  readonly removes: boolean;
  /** Whether something that it builds on is neither in the document nor in the update itself. */
  readonly misses: boolean;
  /** Names of types at the root that the document does not have. */
  readonly newRoots: readonly string[];
  /** Whether it holds a document within the document. */
  readonly hasSubdocument: boolean;
  /** Whether types or values lie within each other further than may be. */
  readonly isTooDeep: boolean;
}

type Struct = Y.Item | Y.GC | Y.Skip;

/**
 * Throws `invalid_input` for what is no update. Reading it this way first also protects from numbers of structs that lie: the
 * reader that integrates makes room for as many as are claimed.
 */
export function scanUpdate(doc: Y.Doc, update: Uint8Array, levelsMax: number): UpdateScan {
  const { structs, removals } = decoding(() => {
    const { structs, ds } = Y.decodeUpdate(update);
    return { structs: structs as Struct[], removals: new Removals(ds.clients as RemovedRanges) };
  });
  requireInOrder(structs);
  const ends = new Map<number, number>();
  const endOf = (clientId: number): number => ends.get(clientId) ?? Y.getState(doc.store, clientId);
  const fresh: Struct[] = [];
  const added: ClockRange[] = [];
  let hasGap = false;
  for (const struct of structs) {
    const { client: clientId, clock } = struct.id;
    const known = endOf(clientId);
    const end = clock + struct.length;
    if (end <= known) continue;
    if (clock < known && struct instanceof Y.Item) requireContinuing(doc, struct, known);
    if (clock > known || struct instanceof Y.Skip) hasGap = true;
    added.push({ clientId, clock: known, length: end - known });
    ends.set(clientId, end);
    fresh.push(struct);
  }
  const isKnown = (id: Y.ID): boolean => id.clock < endOf(id.client);
  const items = fresh.filter(isItem);
  const { removes, ranges } = removals.in(doc);
  return {
    structs: structs.length,
    removals: ranges,
    splitSteps: () => splitStepsOf(doc, structs, removals),
    added,
    addsContent: items.some((item) => !(item.content instanceof Y.ContentDeleted) && !removals.cover(item.id, item.length)),
    removes,
    // Yjs looks for what an item that the document has builds on too, and lets all that follows wait for it.
    misses: hasGap || structs.some((struct) => !dependencies(struct).every(isKnown)) || removals.exceed(endOf),
    newRoots: [...new Set(items.flatMap(({ parent }) => (typeof parent === 'string' && !doc.share.has(parent) ? [parent] : [])))],
    hasSubdocument: items.some(({ content }) => content instanceof Y.ContentDoc),
    isTooDeep: isTooDeep(doc, fresh, levelsMax),
  };
}

const isItem = (struct: Struct | undefined): struct is Y.Item => struct instanceof Y.Item;

/**
 * Of a client that an update has twice, Yjs takes the last part alone, and it integrates what is empty where that begins: what is
 * integrated must be what was looked at. What a client builds on of its own it does not wait for, but throws.
 */
function requireInOrder(structs: readonly Struct[]): void {
  const clients = new Set<number>();
  let before: Struct | undefined;
  for (const struct of structs) {
    const { client, clock } = struct.id;
    const isNext = before?.id.client === client ? clock === before.id.clock + before.length : !clients.has(client);
    if (!isNext) throw new CovistaError('invalid_input', 'an edit has the changes of each Yjs client once, in their order');
    if (struct.length === 0) throw new CovistaError('invalid_input', 'an edit has no empty changes');
    if (dependencies(struct).some((id) => id.client === client && id.clock >= clock))
      throw new CovistaError('invalid_input', 'a change builds on earlier ones of its Yjs client');
    clients.add(client);
    before = struct;
  }
}

function dependencies(struct: Struct): Y.ID[] {
  if (!isItem(struct)) return [];
  return [struct.origin, struct.rightOrigin, struct.parent].filter((id) => id instanceof Y.ID);
}

/**
 * Of an item of which the document has the beginning, Yjs puts the rest right behind that, whatever the item says of its place: in two
 * types at once where they differ, and it throws where the beginning is gone but not the type.
 */
function requireContinuing(doc: Y.Doc, item: Y.Item, known: number): void {
  const isThere = dependencies(item).every((id) => id.clock < Y.getState(doc.store, id.client));
  const beginning = placeOf(structAt(doc, Y.createID(item.id.client, known - 1)));
  const place = isThere ? placeIn(doc, item) : undefined;
  if (place?.parent === beginning.parent && place.parentSub === beginning.parentSub) return;
  throw new CovistaError('invalid_input', 'the rest of a change is where its beginning is');
}

/** A type, and the key in it; nowhere, once it is gone. */
type Place = Pick<Y.Item, 'parent' | 'parentSub'>;

const NOWHERE: Place = { parent: null, parentSub: null };

const placeOf = (struct: Y.Item | Y.GC | undefined): Place => (isItem(struct) ? struct : NOWHERE);

/** Where Yjs puts an item that builds on nothing but what the document has (`Item.getMissing`). */
function placeIn(doc: Y.Doc, { origin, rightOrigin, parent, parentSub }: Y.Item): Place | undefined {
  const beside = [origin, rightOrigin].filter((id) => id !== null).map((id) => structAt(doc, id));
  if (beside.length > 0) return beside.every(isItem) ? placeOf(beside[0]) : NOWHERE;
  if (!(parent instanceof Y.ID)) return typeof parent === 'string' && doc.share.has(parent) ? { parent: doc.get(parent), parentSub } : undefined;
  const holder = structAt(doc, parent);
  return isItem(holder) && holder.content instanceof Y.ContentType ? { parent: holder.content.type, parentSub } : NOWHERE;
}

/** Typed by Yjs as if it were an item always. */
const structAt = (doc: Y.Doc, id: Y.ID): Y.Item | Y.GC => Y.getItem(doc.store, id);

/** An update that does nothing but remove. */
export function removalOf(ranges: readonly ClockRange[]): Uint8Array {
  const encoder = createEncoder();
  const byClient = Map.groupBy(ranges, ({ clientId }) => clientId);
  writeVarUint(encoder, 0);
  writeVarUint(encoder, byClient.size);
  for (const [clientId, own] of byClient) {
    writeVarUint(encoder, clientId);
    writeVarUint(encoder, own.length);
    for (const { clock, length } of own) {
      writeVarUint(encoder, clock);
      writeVarUint(encoder, length);
    }
  }
  return toUint8Array(encoder);
}
