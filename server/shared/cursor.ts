import { CovistaError } from '../../protocol/errors.ts';

/** A position in a list, opaque to callers: what the next page begins behind. */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** The position that a cursor stands for; `invalid_input` when it is not one of ours. */
export function decodeCursor<T>(cursor: string, isPosition: (value: unknown) => value is T): T {
  let position: unknown;
  try {
    position = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    position = undefined;
  }
  if (!isPosition(position)) throw new CovistaError('invalid_input', 'the cursor is not the `next` of an earlier page', { field: 'cursor' });
  return position;
}

export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const isText = (value: unknown): value is string => typeof value === 'string';
/** Whether a value can be the id of a dataset or a version: what the database could not even compare is no position of ours. */
export const isId = (value: unknown): value is number => isCount(value) && value >= 1 && value <= 2_147_483_647;
export const isIds = (value: unknown): value is number[] => Array.isArray(value) && value.every(isId);

/** How long a page may be: items, and their bytes as JSON. */
export interface PageBounds {
  readonly limit: number;
  readonly bytesMax: number;
}

/** How many items make a page. The first is one however large it is. */
export function countThatFit(items: readonly unknown[], { limit, bytesMax }: PageBounds): number {
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(item));
    if (index === limit || (index > 0 && bytes > bytesMax)) return index;
  }
  return items.length;
}

/** A page out of a list that was asked for one item more than `limit`. */
export function toPage<T>(items: readonly T[], bounds: PageBounds, positionOf: (last: T) => unknown): { items: T[]; next?: string } {
  const count = countThatFit(items, bounds);
  if (count === items.length) return { items: [...items] };
  const shown = items.slice(0, count);
  return { items: shown, next: encodeCursor(positionOf(shown[count - 1] as T)) };
}
