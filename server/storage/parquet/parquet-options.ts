import { targetLiteral } from './quote.ts';

/** Rows of a row group of a narrow table: a window read decodes one, and pruning works by the group. */
const ROWS_MAX = 61_440;
/** A row group is held in memory while it is written, so that of a wide table has fewer rows. */
const CELLS_MAX = 4_000_000;
/** DuckDB's vectors; row groups are multiples of them. */
const VECTOR_ROWS = 2048;

export function rowGroupRows(columns: number): number {
  const rows = Math.floor(CELLS_MAX / Math.max(columns, 1) / VECTOR_ROWS) * VECTOR_ROWS;
  return Math.min(ROWS_MAX, Math.max(VECTOR_ROWS, rows));
}

/** Column writers of texts set this much aside for their dictionaries, all together. */
const DICTIONARIES_BYTES = 64 * 1024 * 1024;
const DICTIONARY_BYTES_MAX = 1024 * 1024;

/** The statement that writes what a SELECT yields as a data file. */
export function copyToParquet(select: string, path: string, columns: number): string {
  const options = [
    // Level 1 writes a twentieth faster than the usual level 3, and files a twentieth larger.
    'FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, USE_TMP_FILE false',
    `ROW_GROUP_SIZE ${rowGroupRows(columns)}`,
    `STRING_DICTIONARY_PAGE_SIZE_LIMIT ${Math.min(DICTIONARY_BYTES_MAX, Math.floor(DICTIONARIES_BYTES / Math.max(columns, 1)))}`,
  ];
  return `COPY (${select}) TO ${targetLiteral(path)} (${options.join(', ')})`;
}
