/** Names that Perspective, the storage and the objects of JavaScript use themselves; compared without regard to case, as DuckDB compares names. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['__row_path__', '__id__', '__grouping_id__', '__index__'],
  ...['psp_okey', 'psp_pkey', 'psp_op'],
  // Readers of msgpack and of JSON lose or rename it in rows.
  '__proto__',
]);
const RESERVED_PREFIX = '__covista_';

/** Why no column can have a name, whatever the other columns are. */
export function columnNameFault(name: string): string | undefined {
  if (name.trim().length === 0) return 'is empty';
  if (name.includes('\0')) return 'contains a NUL character';
  const folded = name.toLowerCase();
  return RESERVED.has(folded) || folded.startsWith(RESERVED_PREFIX) ? 'is reserved' : undefined;
}
