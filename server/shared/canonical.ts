/** JSON with the keys of every object in order, so that equal values have equal texts. Bytes are written in base64. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, nested: unknown) => {
    if (nested instanceof Uint8Array) return Buffer.from(nested).toString('base64');
    if (typeof nested !== 'object' || nested === null || Array.isArray(nested)) return nested;
    return Object.fromEntries(Object.entries(nested).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
