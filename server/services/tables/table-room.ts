import { CovistaError } from '../../../protocol/errors.ts';
import type { EngineTable } from './engine.ts';

interface LoadedEntry {
  readonly table: Pick<EngineTable, 'bytes'>;
  readonly users: { readonly size: number };
}

/**
 * The idle tables whose end makes room, of entries given least recently used first; undefined where all of them would not be enough.
 * `over`: by how much there is too much.
 */
export function tablesInTheWay<Entry extends LoadedEntry>(
  entries: Iterable<Entry>,
  over: { readonly bytes: number; readonly tables: number },
): Entry[] | undefined {
  const found: Entry[] = [];
  let { bytes, tables } = over;
  for (const entry of entries) {
    const helps = tables > 0 || (bytes > 0 && entry.table.bytes > 0);
    if (!helps || entry.users.size > 0) continue;
    found.push(entry);
    bytes -= entry.table.bytes;
    tables -= 1;
  }
  return bytes > 0 || tables > 0 ? undefined : found;
}

export function noRoom(bytes: number, tablesBytesMax: number): CovistaError {
  const message = 'the tables that are in use leave no room for this one; close some, or open fewer rows or columns';
  return new CovistaError('memory_limit', message, { tablesBytesMax, bytes });
}

export function refusing(tablesBytesMax: number): CovistaError {
  const message = 'tables take so much memory that no further ones are loaded; close some, or use the engine duckdb';
  return new CovistaError('memory_limit', message, { tablesBytesMax, retryAfterMs: 5_000 });
}

export function tooLarge(bytes: number, bytesMax: number): CovistaError {
  const message = `the table would take ${bytes} bytes of memory, more than ${bytesMax}; open fewer rows or columns, or another engine`;
  return new CovistaError('memory_limit', message, { bytes, tableBytesMax: bytesMax });
}
