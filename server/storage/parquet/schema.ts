import { createHash } from 'node:crypto';

/** SHA-256 over names and types in order, in hexadecimal digits: files whose columns are the same have the same hash. */
export function hashSchema(columns: readonly { readonly name: string; readonly type: string }[]): string {
  const hash = createHash('sha256');
  for (const { name, type } of columns) hash.update(JSON.stringify([name, type])).update('\n');
  return hash.digest('hex');
}
