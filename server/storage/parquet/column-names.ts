import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { columnNameFault } from '../../shared/column-names.ts';

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
    const reason = nameFault(name, seen.get(folded), limits);
    if (reason !== undefined) faults.push({ name: name.slice(0, 100), position, reason });
    if (!seen.has(folded)) seen.set(folded, position);
  });
  if (faults.length === 0) return;
  const listed = faults.slice(0, LISTED_MAX);
  const text = listed.map(({ name, position, reason }) => `column ${position} ${JSON.stringify(name)} ${reason}`).join('; ');
  throw new CovistaError('unprocessable_data', `column names cannot be used: ${text}`, { columns: listed, faults: faults.length });
}

function nameFault(name: string, earlier: number | undefined, limits: Limits): string | undefined {
  const fault = columnNameFault(name);
  if (fault !== undefined) return fault;
  if (name.length > limits.columnNameCharsMax) return `is longer than ${limits.columnNameCharsMax} characters`;
  if (earlier !== undefined) return `duplicates column ${earlier}`;
  return undefined;
}
