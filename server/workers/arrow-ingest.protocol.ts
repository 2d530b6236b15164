import type { ErrorBody } from '../../protocol/errors.ts';

/** What the worker starts with. It reads one file and ends. */
export interface ArrowIngestJob {
  readonly path: string;
  /** Record batches and dictionaries that are larger, decompressed or not, are refused: one is held in memory whole. */
  readonly batchBytesMax: number;
  readonly memoryBytes: number;
  readonly spillDirectory: string;
  readonly spillBytesMax: number;
  /** Directories in which the worker's DuckDB may write. */
  readonly directories: readonly string[];
}

/** A column as it will be stored: SQL type. */
export interface ArrowIngestColumn {
  readonly name: string;
  readonly type: string;
}

/** Name of the table that holds the rows when the statement of `convert` runs. */
export const ARROW_TABLE = 'arrow';

/** The conversation: the worker tells the columns, is told what to write, and tells what came of it. */
export type ToArrowIngest =
  | { readonly kind: 'convert'; readonly statement: string }
  /** Stop soon; the worker answers `failed` or `done` all the same. */
  | { readonly kind: 'cancel' };

export type FromArrowIngest =
  | { readonly kind: 'columns'; readonly columns: readonly ArrowIngestColumn[] }
  | { readonly kind: 'progress'; readonly rows: number }
  /** `damage`: why there may be more rows than could be read. */
  | { readonly kind: 'done'; readonly rows: number; readonly damage: string | null }
  /** The file is no Arrow file that can be read. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: ErrorBody };
