/** JSON as REST answers it: bytes in base64, integers of any size exactly (beyond 2^53 as text). */
export function toJson(value: unknown): string {
  return JSON.stringify(value, replace);
}

/** `toJSON` of a Buffer has already run when a replacer is called; the holder still has the original. */
function replace(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value !== 'object' || value === null) return value;
  const original = (this as Readonly<Record<string, unknown>>)[key];
  return original instanceof Uint8Array ? Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString('base64') : value;
}
