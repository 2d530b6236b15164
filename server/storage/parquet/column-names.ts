import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';

/** Names that Perspective, the storage and the objects of JavaScript use themselves; compared without regard to case, as DuckDB compares names. */
export const RESERVED_COLUMN_NAMES: ReadonlySet<string> = new Set([
  ...['__row_path__', '__id__', '__grouping_id__', '__index__'],
  ...['psp_okey', 'psp_pkey', 'psp_op'],
  // Readers of msgpack and of JSON lose or rename it in rows.
  '__proto__',
]);
export const RESERVED_COLUMN_PREFIX = '__covista_';

interface NameFault {
  readonly name: string;
  /** From 1. */
  readonly position: number;
  readonly reason: string;
}

/** How many faulty names an error lists; a file may have thousands. */
const LISTED_MAX = 20;

export function assertColumnCount(count: number, limits: Limits): void {
  if (count <= limits.columnsMax) return;
  throw new CovistaError('unprocessable_data', `the file has more than ${limits.columnsMax} columns`, { columnsMax: limits.columnsMax });
}

/** Throws `unprocessable_data` that names every column whose name cannot be kept. */
export function assertColumnNames(names: readonly string[], limits: Limits): void {
  assertColumnCount(names.length, limits);
  const seen = new Map<string, number>();
  const faults: NameFault[] = [];
  names.forEach((name, index) => {
    const position = index + 1;
    const folded = name.toLowerCase();
    const reason = nameFault(name, folded, seen.get(folded), limits);
    if (reason !== undefined) faults.push({ name: name.slice(0, 100), position, reason });
    if (!seen.has(folded)) seen.set(folded, position);
  });
  if (faults.length === 0) return;
  const listed = faults.slice(0, LISTED_MAX);
  const text = listed.map(({ name, position, reason }) => `column ${position} ${JSON.stringify(name)} ${reason}`).join('; ');
  throw new CovistaError('unprocessable_data', `column names cannot be used: ${text}`, { columns: listed, faults: faults.length });
}

function nameFault(name: string, folded: string, earlier: number | undefined, limits: Limits): string | undefined {
  if (name.trim().length === 0) return 'is empty';
  if (name.length > limits.columnNameCharsMax) return `is longer than ${limits.columnNameCharsMax} characters`;
  if (name.includes('\0')) return 'contains a NUL character';
  if (RESERVED_COLUMN_NAMES.has(folded) || folded.startsWith(RESERVED_COLUMN_PREFIX)) return 'is reserved';
  if (earlier !== undefined) return `duplicates column ${earlier}`;
  return undefined;
}
