import { createHash } from 'node:crypto';

type Columns = readonly { readonly name: string; readonly type: string }[];

/** Schemas are never changed once they are there, and that of a version is asked for with every read of it. */
const known = new WeakMap<Columns, string>();

/** SHA-256 over the names and types of columns in order: files of one hash can be read as one relation without casts. */
export function hashSchema(columns: Columns): string {
  const before = known.get(columns);
  if (before !== undefined) return before;
  const hash = createHash('sha256');
  for (const { name, type } of columns) hash.update(JSON.stringify([name, type]));
  const made = hash.digest('hex');
  known.set(columns, made);
  return made;
}
