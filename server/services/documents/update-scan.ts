import { createEncoder, toUint8Array, writeVarUint } from 'lib0/encoding';
import * as Y from 'yjs';
import { CovistaError } from '../../../protocol/errors.ts';
import { decoding } from './messages.ts';
import { isTooDeep } from './nesting.ts';
import { Removals, type RemovedRanges } from './removals.ts';

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
    if (clock > known || struct instanceof Y.Skip) hasGap = true;
    added.push({ clientId, clock: known, length: end - known });
    ends.set(clientId, end);
    fresh.push(struct);
  }
  const isKnown = (id: Y.ID | null): boolean => id === null || id.clock < endOf(id.client);
  const items = fresh.filter((struct) => struct instanceof Y.Item);
  const { removes, ranges } = removals.in(doc);
  return {
    structs: structs.length,
    removals: ranges,
    added,
    addsContent: items.some((item) => !(item.content instanceof Y.ContentDeleted) && !removals.cover(item.id, item.length)),
    removes,
    misses: hasGap || items.some((item) => !dependencies(item).every(isKnown)) || removals.exceed(endOf),
    newRoots: [...new Set(items.flatMap(({ parent }) => (typeof parent === 'string' && !doc.share.has(parent) ? [parent] : [])))],
    hasSubdocument: items.some(({ content }) => content instanceof Y.ContentDoc),
    isTooDeep: isTooDeep(doc, fresh, levelsMax),
  };
}

/** Of a client that an update has twice, Yjs takes the last part alone: what is integrated must be what was looked at. */
function requireInOrder(structs: readonly Struct[]): void {
  const clients = new Set<number>();
  let before: Struct | undefined;
  for (const struct of structs) {
    const { client, clock } = struct.id;
    const isNext = before?.id.client === client ? clock === before.id.clock + before.length : !clients.has(client);
    if (!isNext) throw new CovistaError('invalid_input', 'an edit has the changes of each Yjs client once, in their order');
    clients.add(client);
    before = struct;
  }
}

function dependencies({ origin, rightOrigin, parent }: Y.Item): (Y.ID | null)[] {
  return [origin, rightOrigin, parent instanceof Y.ID ? parent : null];
}

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
