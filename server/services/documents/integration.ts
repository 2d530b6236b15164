import * as Y from 'yjs';
import {
  countFault,
  type DocumentSubject,
  type EntryChange,
  entryFault,
  type Fault,
  isUnsigned,
  type MapShape,
  mapShape,
} from '../../../protocol/documents/index.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert, present } from '../../shared/assert.ts';
import { applyStored, countConflictSteps } from '../../shared/conflict-steps.ts';
import { isThere, readEntry, type SharedType, StructureFault, type Visible, wasThereBefore } from './entry-reading.ts';
import { type Refused, takenBack, tooLarge } from './refused.ts';
import { RemovedEntries, type RemovedEntriesLimits } from './removed-entries.ts';

/** An edit and who it is from. */
export interface Edit {
  readonly update: Uint8Array;
  readonly subject: Subject;
}

export interface IntegrationOptions {
  readonly doc: Y.Doc;
  readonly kind: DocumentSubject['kind'];
  readonly limits: RemovedEntriesLimits & Pick<Limits, 'documentConflictStepsMax' | 'documentLoadStepsMax'>;
}

/** What became of an edit. */
export interface Integrated {
  /** Why it was taken back; undefined: it was not. */
  readonly refused: Refused | undefined;
  /** How far the places of its items were to find. */
  readonly steps: number;
  /** Whether the server changed more than the edit did, so that its author needs to hear of it too. */
  readonly changesMore: boolean;
}

interface Touched {
  readonly map: string;
  readonly shape: MapShape;
  readonly root: SharedType;
  readonly id: string;
}

const MISSING: Fault = { rule: 'DOC14', path: [], message: 'builds on edits that the server does not have' };

/**
 * Takes edits into a document and checks what they leave of the entries that they touch. One that breaks a rule is taken back
 * within the same transaction: what it added is removed and what it removed is put back, so that clocks stay without gaps and what
 * leaves the document as an update has none of the content.
 */
export class Integration {
  readonly #doc: Y.Doc;
  readonly #kind: DocumentSubject['kind'];
  readonly #limits: IntegrationOptions['limits'];
  /** How many more steps all edits may take until the document is opened anew. */
  #stepsLeft: number;
  readonly #removed: RemovedEntries;

  constructor({ doc, kind, limits }: IntegrationOptions) {
    this.#doc = doc;
    this.#kind = kind;
    this.#limits = limits;
    this.#stepsLeft = limits.documentLoadStepsMax / 2;
    this.#removed = new RemovedEntries(limits);
  }

  /**
   * Takes what is stored. A state takes at most half of the steps that it may take to open a document, and all that comes behind it
   * the other half, so that nobody can make one that cannot be opened.
   */
  load(updates: readonly Uint8Array[], origin: symbol): void {
    const steps = applyStored(this.#doc, updates, { stepsMax: this.#limits.documentLoadStepsMax, origin });
    this.#stepsLeft = Math.max(0, this.#stepsLeft - steps);
  }

  apply({ update, subject }: Edit): Integrated {
    const doc = this.#doc;
    return doc.transact((transaction) => {
      const stepsMax = Math.min(this.#limits.documentConflictStepsMax, this.#stepsLeft);
      const steps = countConflictSteps(stepsMax, () => Y.applyUpdate(doc, update));
      this.#stepsLeft = Math.max(0, this.#stepsLeft - steps);
      // Otherwise Yjs takes what is put back under the server's own client id for somebody else's.
      transaction.local = true;
      const changes =
        this.#unfinished(steps, stepsMax) ?? this.#changes(this.#touched(transaction), { before: wasThereBefore(transaction), subject });
      if ('code' in changes) {
        takeBack(doc, transaction);
        return { refused: changes, steps, changesMore: true };
      }
      for (const change of changes) this.#removed.remember(change);
      return { refused: undefined, steps, changesMore: this.#sign(changes) };
    });
  }

  /** Why not all of an edit was integrated. */
  #unfinished(steps: number, stepsMax: number): Refused | undefined {
    const isMissing = this.#dropPending();
    if (steps > stepsMax) return tooLarge(`goes past more than ${stepsMax} items to find the places of its own`);
    return isMissing ? takenBack(MISSING) : undefined;
  }

  /** Edits are scanned for what they build on before; this is for what only Yjs itself notices. */
  #dropPending(): boolean {
    const { store } = this.#doc;
    const isPending = store.pendingStructs !== null || store.pendingDs !== null;
    store.pendingStructs = null;
    store.pendingDs = null;
    return isPending;
  }

  /** What became of the entries, or the first fault of one. */
  #changes(touched: readonly (Touched | Fault)[], { before, subject }: { before: Visible; subject: Subject }): readonly EntryChange[] | Refused {
    const changes: EntryChange[] = [];
    for (const entry of touched) {
      const change = 'rule' in entry ? entry : this.#change(entry, { before, subject });
      if ('rule' in change) return takenBack(change);
      changes.push(change);
    }
    return changes;
  }

  #change({ map, shape, root, id }: Touched, { before, subject }: { before: Visible; subject: Subject }): EntryChange | Fault {
    try {
      const earlier = readEntry(root, id, { shape, visible: before });
      const after = readEntry(root, id, { shape, visible: isThere });
      const isNew = earlier === undefined && after !== undefined;
      const readings = this.#removed.readings({ map, id, before: earlier, after });
      const change = judged(readings, { kind: this.#kind, map, id, after, subject });
      return (isNew && !('rule' in change) ? this.#countFault(map, root) : undefined) ?? change;
    } catch (error) {
      if (error instanceof StructureFault) return { rule: 'DOC2', path: [map, id.slice(0, 100), ...error.path], message: error.message };
      throw error;
    }
  }

  /** Puts the name of who changed an entry where it would name somebody else, as where two changed it at once; answers whether it did. */
  #sign(changes: readonly EntryChange[]): boolean {
    const unsigned = changes.filter(isUnsigned);
    for (const { map, id, subject } of unsigned) this.#doc.getMap<Y.Map<unknown>>(map).get(id)?.set('updatedBy', subject);
    return unsigned.length > 0;
  }

  #countFault(map: string, root: SharedType): Fault | undefined {
    // Counting takes a look at each, and those that were ever there are at least as many.
    if (countFault(this.#kind, map, root._map.size) === undefined) return undefined;
    return countFault(this.#kind, map, [...root._map.values()].filter(isThere).length);
  }

  /** Every entry that a transaction changed, or had changed in it. */
  #touched(transaction: Y.Transaction): (Touched | Fault)[] {
    const found = new Map<string, Touched | Fault>();
    for (const [type, keys] of transaction.changed) {
      const { root, item } = rootOf(type);
      const map = Y.findRootTypeKey(root);
      const shape = mapShape(this.#kind, map);
      if (shape === undefined) continue;
      const ids = item === null ? keys : [item.parentSub];
      for (const id of ids) found.set(JSON.stringify([map, id]), touchedBy({ map, shape, root }, id));
    }
    return [...found.values()];
  }
}

/** The change by the first reading of what was there that lets it be right; otherwise what is wrong with what it most likely is: a return, or something new. */
function judged(readings: readonly unknown[], change: Omit<EntryChange, 'before'>): EntryChange | Fault {
  const faults: Fault[] = [];
  for (const before of readings) {
    const read = { ...change, before };
    const fault = entryFault(read);
    if (fault === undefined) return read;
    faults.push(fault);
  }
  return present(authorOf(readings[0]) === authorOf(change.after) ? faults[0] : faults.at(-1), 'a fault for each reading, of which there is one');
}

const authorOf = (entry: unknown): unknown => (entry as { readonly author?: unknown } | null | undefined)?.author;

function touchedBy({ map, shape, root }: Omit<Touched, 'id'>, id: string | null): Touched | Fault {
  if (id !== null) return { map, shape, root, id };
  return { rule: 'DOC2', path: [map], message: 'must be a Y.Map and have no elements beside its entries' };
}

/** The type at the root that a type is in, and the item right below that on the way. */
function rootOf(type: SharedType): { readonly root: SharedType; readonly item: Y.Item | null } {
  let item: Y.Item | null = null;
  let root = type;
  while (root._item !== null) {
    item = root._item;
    root = item.parent as SharedType;
  }
  return { root, item };
}

/** Undoes a transaction within itself, as if its author had undone it at once. */
function takeBack(doc: Y.Doc, transaction: Y.Transaction): void {
  const own = Y.getState(doc.store, doc.clientID);
  const undo = new Y.UndoManager(doc, { trackedOrigins: new Set() });
  const deletions = Y.mergeDeleteSets([transaction.deleteSet]);
  undo.undoStack.push({ deletions, insertions: additionsOf(doc, transaction), meta: new Map() });
  undo.undo();
  undo.destroy();
  // What undo brings back it also keeps from being collected for ever, in case that it is undone again.
  for (const struct of doc.store.clients.get(doc.clientID) ?? []) {
    if (struct.id.clock >= own && struct instanceof Y.Item) struct.keep = false;
  }
}

type Ranges = ReturnType<typeof Y.createDeleteSet>;
type Range = NonNullable<ReturnType<Ranges['clients']['get']>>[number];

function additionsOf(doc: Y.Doc, { beforeState }: Y.Transaction): Ranges {
  const additions = Y.createDeleteSet();
  for (const [clientId, structs] of doc.store.clients) {
    const clock = beforeState.get(clientId) ?? 0;
    const last = structs[structs.length - 1];
    assert(last !== undefined, 'a client that Yjs knows has structs');
    const len = last.id.clock + last.length - clock;
    if (len > 0) additions.clients.set(clientId, [{ clock, len } as Range]);
  }
  return additions;
}
