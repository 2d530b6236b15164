import { isDeepStrictEqual } from 'node:util';
import * as Y from 'yjs';
import { type DocumentSubject, type MapShape, mapShape } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import { assert } from '../../shared/assert.ts';
import { Turns } from '../../shared/turns.ts';
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

/** So many times what is there is kept, if others go on changing it. */
const KEPT_MAX = 3;

interface Restoring {
  readonly kind: DocumentSubject['kind'];
  readonly wanted: PlainEntries;
  /** Keeps what is committed. */
  readonly keep: () => Promise<unknown>;
}

interface Counts {
  restored: number;
  removed: number;
}

/**
 * Makes the entries of an open document what they are given as, after keeping what they are, unless they are so already. Keeping takes
 * a while, in which others edit: what they changed since is kept anew before it is overwritten, and in the end left to them, so that no
 * edit is lost.
 */
export async function restoreEntries(document: LiveDocument, { kind, wanted, keep }: Restoring): Promise<Counts> {
  const counts = { restored: 0, removed: 0 };
  if (await areTaken(document.doc, stepsOf(document.doc, kind, wanted))) {
    await whenStored(document);
    return counts;
  }
  let steps: readonly Step[] | undefined;
  for (let kept = 0; kept < KEPT_MAX && steps?.length !== 0; kept += 1) {
    const changes = new ChangedEntries(document.doc, Object.keys(wanted));
    try {
      await whenStored(document);
      await keep();
      steps = await takeAll(document, steps ?? stepsOf(document.doc, kind, wanted), { changes, counts });
    } finally {
      changes.stop();
    }
  }
  return counts;
}

/**
 * Each entry changes as a whole, and a large document does so some at a time, each slice stored before the next, so that neither the
 * loop nor the log is held up. Answers the steps that are left, as somebody has changed their entries.
 */
async function takeAll(
  document: LiveDocument,
  steps: readonly Step[],
  { changes, counts }: { readonly changes: ChangedEntries; readonly counts: Counts },
): Promise<Step[]> {
  const left: Step[] = [];
  for (let at = 0; at < steps.length; ) {
    const slice = (doc: Y.Doc): void => {
      const endMs = performance.now() + SLICE_MS;
      let bytes = 0;
      for (; at < steps.length && bytes < SLICE_BYTES && performance.now() < endMs; at += 1) {
        const step = steps[at] as Step;
        if (isTaken(doc, step)) continue;
        if (changes.has(step)) left.push(step);
        else bytes += take(doc, step, counts);
      }
    };
    changes.except(() => document.change(slice));
    await whenStored(document);
  }
  return left;
}

const isTaken = (doc: Y.Doc, { map, id, entry }: Step): boolean => isDeepStrictEqual(plainEntry(doc.getMap(map), id), entry);

async function areTaken(doc: Y.Doc, steps: readonly Step[]): Promise<boolean> {
  const turns = new Turns();
  for (const step of steps) {
    if (turns.over) await turns.next();
    if (!isTaken(doc, step)) return false;
  }
  return true;
}

/** Entries that others have changed since it was made. */
class ChangedEntries {
  readonly #changed = new Set<string>();
  readonly #stops: (() => void)[];
  #isExcepted = false;

  constructor(doc: Y.Doc, maps: readonly string[]) {
    this.#stops = maps.map((name) => {
      const map = doc.getMap(name);
      const observer = (events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): void => {
        if (!this.#isExcepted) for (const event of events) this.#add(name, event);
      };
      map.observeDeep(observer);
      return () => map.unobserveDeep(observer);
    });
  }

  has({ map, id }: Pick<Step, 'map' | 'id'>): boolean {
    return this.#changed.has(JSON.stringify([map, id]));
  }

  /** What is changed by this does not count. */
  except(change: () => void): void {
    this.#isExcepted = true;
    change();
    this.#isExcepted = false;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #add(map: string, { path, keys }: Y.YEvent<Y.AbstractType<unknown>>): void {
    const ids = path.length === 0 ? [...keys.keys()] : [path[0]];
    for (const id of ids) this.#changed.add(JSON.stringify([map, id]));
  }
}

/** Resolves when everything that the document has now is with the database; throws when it will never be. */
export async function whenStored(document: LiveDocument): Promise<void> {
  await document.log.settled();
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
function take(doc: Y.Doc, { map: name, shape, id, entry }: Step, counts: Counts): number {
  const map = doc.getMap(name);
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
