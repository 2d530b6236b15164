import type { ConversionError } from '../stores.ts';
import type { Session } from './broker.ts';
import type { CsvSample } from './csv-sample.ts';
import { fileLiteral, literal } from './quote.ts';

export interface CsvShape {
  readonly sample: CsvSample;
  /** Longest line to expect; what is longer is rejected. */
  readonly lineBytesMax: number;
}

export interface CsvReading {
  /** Lists malformed rows instead of failing at the first. */
  readonly rejects: boolean;
  /** Columns that are not read as text. */
  readonly types?: ReadonlyMap<string, string>;
}

/** What DuckDB takes for a line's bound unless told; its buffers are 16 times as long. */
const DEFAULT_LINE_BYTES = 2_000_000;
const LONG_LINE_BUFFER_BYTES = 32 * 1024 * 1024;
/** DuckDB allocates a buffer whole, however small the file is. */
const SMALL_FILE_BYTES = 512 * 1024;

/** SQL of a table function that yields the columns of a CSV file as text: an empty field is NULL, an empty pair of quotes is not. */
export function readCsv(path: string, { sample, lineBytesMax }: CsvShape, { rejects, types }: CsvReading): string {
  const columns = sample.header.map((name) => `${literal(name)}: ${literal(types?.get(name) ?? 'VARCHAR')}`).join(', ');
  const options = [
    `columns = {${columns}}`,
    'auto_detect = false',
    `delim = ${literal(sample.delimiter)}`,
    `quote = '"', escape = '"', header = true, skip = ${sample.skippedLines}`,
    'strict_mode = true, null_padding = false, allow_quoted_nulls = false',
  ];
  if (lineBytesMax <= SMALL_FILE_BYTES) options.push(`max_line_size = ${SMALL_FILE_BYTES}, buffer_size = ${2 * SMALL_FILE_BYTES}`);
  else if (lineBytesMax > DEFAULT_LINE_BYTES) options.push(`max_line_size = ${lineBytesMax}, buffer_size = ${LONG_LINE_BUFFER_BYTES}`);
  if (rejects) options.push('store_rejects = true, rejects_limit = 0');
  return `read_csv(${fileLiteral(path)}, ${options.join(', ')})`;
}

const LAST_SCAN = 'scan_id = (SELECT max(scan_id) FROM reject_scans)';

/** The rows that the last scan of the session rejected: all counted, the first ones listed with their first fault. */
export async function readRejects(session: Session, listedMax: number, sameBytes: boolean): Promise<{ count: number; errors: ConversionError[] }> {
  const [total] = await session.rows(`SELECT count(DISTINCT line) AS lines FROM reject_errors WHERE ${LAST_SCAN}`);
  const count = Number(total?.lines ?? 0);
  if (count === 0) return { count, errors: [] };
  const listed = await session.rows(
    `SELECT line, min(byte_position) AS position, arg_min(column_name, byte_position) AS name, arg_min(error_message, byte_position) AS message
     FROM reject_errors WHERE ${LAST_SCAN} GROUP BY line ORDER BY line LIMIT ${listedMax}`,
  );
  const errors = listed.map(({ line, position, name, message }) => ({
    line: Number(line),
    column: name === null ? null : String(name),
    // DuckDB counts bytes from 1.
    byte: sameBytes && position !== null ? Number(position) - 1 : null,
    reason: String(message).split('\n', 1)[0]?.slice(0, 500) ?? '',
  }));
  return { count, errors };
}
