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

/** A page of at most `limit` items out of a list that was asked for one more. */
export function toPage<T>(items: readonly T[], limit: number, positionOf: (last: T) => unknown): { items: T[]; next?: string } {
  if (items.length <= limit) return { items: [...items] };
  const shown = items.slice(0, limit);
  return { items: shown, next: encodeCursor(positionOf(shown[limit - 1] as T)) };
}
