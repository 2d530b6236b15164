/** Thrown when the program contradicts itself: never by bad input. It reaches callers as `internal`. */
export class AssertionFault extends Error {
  override readonly name = 'AssertionFault';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}

/** The value, which the program knows to be there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFault(`${what} is missing`);
  return value;
}

export function unreachable(value: never, what: string): never {
  throw new AssertionFault(`${what} has an impossible value: ${JSON.stringify(value)}`);
}
