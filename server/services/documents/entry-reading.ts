import * as Y from 'yjs';
import { inheritsFields, type MapShape } from '../../../protocol/documents/index.ts';

/** Any shared type, whatever its events are. */
export type SharedType = Parameters<typeof Y.findRootTypeKey>[0];

/** Which items count: those that are there, or those that were there before a transaction. */
export type Visible = (item: Y.Item) => boolean;

/** An entry, or part of it, is of another shared type than the shape of its map says. */
export class StructureFault extends Error {
  override readonly name = 'StructureFault';
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[]) {
    super(message);
    this.path = path;
  }
}

type Expected = 'plain' | 'text' | 'array';

export const isThere: Visible = (item) => !item.deleted;

/** What was there before a transaction that is still going on, so that nothing of it has been collected. */
export function wasThereBefore(transaction: Y.Transaction): Visible {
  const removed = Y.mergeDeleteSets([transaction.deleteSet]);
  return ({ id, deleted }) => id.clock < (transaction.beforeState.get(id.client) ?? 0) && (!deleted || Y.isDeleted(removed, id));
}

/** An entry as plain JSON, undefined when there is none; throws StructureFault where it is not of the types of its shape. */
export function readEntry(root: SharedType, key: string, { shape, visible }: { shape: MapShape; visible: Visible }): unknown {
  const item = current(root, key, visible);
  if (item === undefined) return undefined;
  const { shared } = shape;
  if (shared === null) return readPlain(item, []);
  const type = typeOf(item);
  if (type === undefined || !isExactly(type, Y.Map)) throw new StructureFault('must be a Y.Map', []);
  if (hasElements(type, visible)) throw new StructureFault('must not have elements beside its fields', []);
  return fieldsOf(type, visible, (field, value) =>
    readField(value, { expected: (Object.hasOwn(shared, field) && shared[field]) || 'plain', path: [field], visible }),
  );
}

/** Whether a map has elements of a list, which programs that use it as a map never see. */
export function hasElements(type: SharedType, visible: Visible): boolean {
  return elements(type, visible).length > 0;
}

export function current(type: SharedType, key: string, visible: Visible): Y.Item | undefined {
  let item: Y.Item | null = type._map.get(key) ?? null;
  while (item !== null && !visible(item)) item = item.left;
  return item ?? undefined;
}

function fieldsOf(type: SharedType, visible: Visible, read: (field: string, item: Y.Item) => unknown): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of type._map.keys()) {
    const item = current(type, field, visible);
    // Defined, not assigned, so that no field's name means anything to the object itself.
    if (item !== undefined) Object.defineProperty(fields, field, { value: read(field, item), enumerable: true, configurable: true, writable: true });
  }
  return fields;
}

interface Reading {
  readonly expected: Expected;
  readonly path: readonly (string | number)[];
  readonly visible: Visible;
}

function readField(item: Y.Item, { expected, path, visible }: Reading): unknown {
  if (expected === 'plain') return readPlain(item, path);
  const type = typeOf(item);
  // Nor of a type that is made of it, such as those of XML.
  if (type === undefined || !isExactly(type, expected === 'text' ? Y.Text : Y.Array)) {
    throw new StructureFault(`must be a Y.${expected === 'text' ? 'Text' : 'Array'}`, path);
  }
  if ([...type._map.keys()].some((key) => current(type, key, visible) !== undefined)) throw new StructureFault('must not have attributes', path);
  const items = elements(type, visible);
  return expected === 'text' ? items.map((element) => textOf(element, path)).join('') : items.flatMap((element) => valuesOf(element, path));
}

function elements(type: SharedType, visible: Visible): Y.Item[] {
  const found: Y.Item[] = [];
  for (let item = type._start; item !== null; item = item.right) if (visible(item)) found.push(item);
  return found;
}

function textOf({ content }: Y.Item, path: Reading['path']): string {
  if (content instanceof Y.ContentString) return content.str;
  throw new StructureFault('must be a text without formatting or embedded things', path);
}

function valuesOf({ content }: Y.Item, path: Reading['path']): readonly unknown[] {
  if (!(content instanceof Y.ContentAny || content instanceof Y.ContentJSON)) throw new StructureFault('must hold plain JSON only', path);
  const values: readonly unknown[] = content.getContent();
  if (inheritsFields(values)) throw new StructureFault('must not have fields "__proto__"', path);
  return values;
}

function readPlain(item: Y.Item, path: Reading['path']): unknown {
  const values = valuesOf(item, path);
  return values[values.length - 1];
}

function typeOf({ content }: Y.Item): SharedType | undefined {
  return content instanceof Y.ContentType ? content.type : undefined;
}

function isExactly(type: SharedType, expected: typeof Y.Map | typeof Y.Text | typeof Y.Array): boolean {
  return type.constructor === expected;
}
