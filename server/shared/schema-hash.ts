import { createHash } from 'node:crypto';

/** SHA-256 over the names and types of columns in order: files of one hash can be read as one relation without casts. */
export function hashSchema(columns: readonly { readonly name: string; readonly type: string }[]): string {
  const hash = createHash('sha256');
  for (const { name, type } of columns) hash.update(JSON.stringify([name, type]));
  return hash.digest('hex');
}
