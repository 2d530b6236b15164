import { isDeepStrictEqual } from 'node:util';
import * as Y from 'yjs';
import { type DocumentSubject, type MapShape, mapShape } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import { assert } from '../../shared/assert.ts';
import type { LiveDocument } from './live-document.ts';

/** The entries of a document as plain JSON, by map and id. */
export type PlainEntries = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** So long the loop is held up at once. */
const SLICE_MS = 4;
/** So much is restored at once, but for one entry that is larger: everybody has to receive it as one message. */
const SLICE_BYTES = 1024 * 1024;

interface Step {
  readonly map: string;
  readonly shape: MapShape;
  readonly id: string;
  /** undefined: it is to be removed. */
  readonly entry: unknown;
}

/**
 * Makes the entries of an open document what they are given as. Each entry changes as a whole, and a large document does so some at a
 * time, each slice stored before the next, so that neither the loop nor the log is held up.
 */
export async function restoreEntries(
  document: LiveDocument,
  kind: DocumentSubject['kind'],
  wanted: PlainEntries,
): Promise<{ restored: number; removed: number }> {
  const steps = stepsOf(document.doc, kind, wanted);
  const counts = { restored: 0, removed: 0 };
  for (let at = 0; at < steps.length; ) {
    document.change((doc) => {
      const endMs = performance.now() + SLICE_MS;
      let bytes = 0;
      for (; at < steps.length && bytes < SLICE_BYTES && performance.now() < endMs; at += 1) bytes += take(doc, steps[at] as Step, counts);
    });
    await whenStored(document);
  }
  return counts;
}

/** Resolves when everything is with the database; throws when it will never be. */
export async function whenStored(document: LiveDocument): Promise<void> {
  await document.log.idle();
  if (document.isLost) throw new CovistaError('unavailable', 'the document was given up just now, and edits may be missing; do so again');
}

function stepsOf(doc: Y.Doc, kind: DocumentSubject['kind'], wanted: PlainEntries): Step[] {
  return Object.entries(wanted).flatMap(([map, entries]) => {
    const shape = mapShape(kind, map);
    assert(shape !== undefined, 'a snapshot is read by the maps of its document');
    const ids = new Set([...doc.getMap(map).keys(), ...Object.keys(entries)]);
    return [...ids].map((id) => ({ map, shape, id, entry: Object.hasOwn(entries, id) ? entries[id] : undefined }));
  });
}

/** Answers how many bytes it put there. */
function take(doc: Y.Doc, { map: name, shape, id, entry }: Step, counts: { restored: number; removed: number }): number {
  const map = doc.getMap(name);
  if (isDeepStrictEqual(plainEntry(map, id), entry)) return 0;
  if (entry === undefined) {
    map.delete(id);
    counts.removed += 1;
    return 0;
  }
  map.set(id, sharedEntry(shape, entry));
  counts.restored += 1;
  return Buffer.byteLength(JSON.stringify(entry));
}

/** An entry as plain JSON; undefined where there is none. */
export function plainEntry(map: Y.Map<unknown>, id: string): unknown {
  const entry = map.get(id);
  return entry instanceof Y.AbstractType ? entry.toJSON() : entry;
}

/** An entry in the shared types that its map has. */
export function sharedEntry({ shared }: MapShape, entry: unknown): unknown {
  if (shared === null) return entry;
  return new Y.Map(Object.entries(entry as Record<string, unknown>).map(([field, value]) => [field, sharedField(shared[field], value)]));
}

function sharedField(type: 'text' | 'array' | undefined, value: unknown): unknown {
  if (type === 'text') return new Y.Text(value as string);
  return type === 'array' ? Y.Array.from(value as Record<string, unknown>[]) : value;
}
