import * as Y from 'yjs';
import { CovistaError } from '../../protocol/errors.ts';
import { assert } from './assert.ts';
import './value-runs.ts';

type SharedType = Parameters<typeof Y.findRootTypeKey>[0];

/**
 * Where others have inserted something between the two items that an item was put between, Yjs goes from one to the next to find its
 * place (`Item.integrate`, the conflict resolution of YATA). Programs that use Yjs meet such items at a handful of places; by hand
 * somebody can make thousands of items of which each goes past thousands. Yjs has no bound for that, nor a way to stop, so that its
 * steps are counted right before each item, by going them first.
 */
interface Count {
  readonly max: number;
  steps: number;
}

let count: Count | undefined;

/**
 * How many steps the items of an edit go that is integrated meanwhile. Beyond the bound, of which one more is told, the others are
 * integrated as what is gone, for which Yjs looks for no place; they keep their clocks, so that nothing waits for them.
 */
export function countConflictSteps(max: number, integrate: () => void): number {
  assert(count === undefined, 'one edit is integrated at a time');
  count = { max, steps: 0 };
  try {
    integrate();
    return count.steps;
  } finally {
    count = undefined;
  }
}

/**
 * Puts updates that are stored together in a new document. Edits that came one by one in few steps can take many in the order in
 * which a state has them, by Yjs client id: `unprocessable_data` beyond the bound, rather than a thread that stands still. Answers
 * with the steps.
 */
export function applyStored(doc: Y.Doc, updates: readonly Uint8Array[], { stepsMax, origin }: { stepsMax: number; origin?: symbol }): number {
  const steps = countConflictSteps(stepsMax, () => {
    doc.transact(() => {
      for (const update of updates) Y.applyUpdate(doc, update, origin);
    }, origin);
  });
  if (steps <= stepsMax) return steps;
  throw new CovistaError('unprocessable_data', `to put the document together goes past more than ${stepsMax} items where others were inserted`, {
    stepsMax,
  });
}

const { integrate } = Y.Item.prototype;

// In place for good, since V8 compiles anew what uses a prototype that changes.
Y.Item.prototype.integrate = function (this: Y.Item, transaction: Y.Transaction, offset: number): void {
  if (count !== undefined && this.parent instanceof Y.AbstractType) {
    const { store } = transaction.doc;
    const left = offset === 0 ? this.left : Y.getItem(store, Y.createID(this.id.client, this.id.clock + offset - 1));
    const finding = { item: this, parent: this.parent, left, store };
    count.steps += stepsOf(finding, count.max - count.steps);
    if (count.steps > count.max) this.parent = null;
  }
  integrate.call(this, transaction, offset);
};

interface Finding {
  readonly item: Y.Item;
  readonly parent: SharedType;
  /** What it was put behind; of an item of which the beginning is known, that. */
  readonly left: Y.Item | null;
  readonly store: Y.Doc['store'];
}

/** At most one more than are left over. */
function stepsOf(finding: Finding, leftOver: number): number {
  const { item, parent, left } = finding;
  const { right, parentSub } = item;
  if (left !== null) return left.right === right ? 0 : stepsFrom(left.right, finding, leftOver);
  const isFirst = right !== null && right.left === null;
  if (parentSub === null) return isFirst ? 0 : stepsFrom(parent._start, finding, leftOver);
  // Of all that a key ever had, the last is known, and from it the one before.
  let first = parent._map.get(parentSub) ?? null;
  let steps = 0;
  for (; first !== null && first.left !== null && steps <= leftOver; steps += 1) first = first.left;
  return isFirst ? steps : steps + stepsFrom(first, finding, leftOver - steps);
}

/** As Yjs goes, until the place is sure. */
function stepsFrom(first: Y.Item | null, { item, left, store }: Finding, leftOver: number): number {
  const { id, right, rightOrigin } = item;
  const origin = left === null ? null : left.lastId;
  const passed = new Set<Y.Item>();
  for (let at = first; at !== null && at !== right && passed.size <= leftOver; at = at.right) {
    passed.add(at);
    if (Y.compareIDs(origin, at.origin)) {
      if (at.id.client >= id.client && Y.compareIDs(rightOrigin, at.rightOrigin)) break;
    } else if (at.origin === null || !passed.has(Y.getItem(store, at.origin))) break;
  }
  return passed.size;
}
