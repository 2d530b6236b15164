import type { PerspectiveType } from '../shared/perspective/types.ts';
import type { Scope } from './scope.ts';
import type { CheckedFilter, Column, Compression, Conversion, FileFormat, PendingColumn, StagedFile } from './stores.ts';

export {
  isUnrestricted,
  isWhole,
  type RowCondition,
  type Scope,
  type ScopePart,
  schemaOf,
  scopeIdentity,
  showing,
  showsAllColumns,
  showsAllRows,
  UNRESTRICTED,
  type VisiblePart,
  visibleParts,
  visibleSchema,
} from './scope.ts';

/**
 * What the services need of the tabular engine (DuckDB over Parquet). Every method takes a signal and stops soon after it
 * aborts, with CovistaError `cancelled`; waiting for the engine is bounded (`rate_limited`, `memory_limit`).
 */

export interface ContentFile {
  /** Local path of a Parquet file. */
  readonly path: string;
  readonly rows: number;
  readonly sha256: string;
  readonly schemaHash: string;
}

/** The rows of a version: its files in manifest order under its schema. */
export interface Content {
  readonly schema: readonly Column[];
  readonly schemaHash: string;
  readonly rows: number;
  readonly files: readonly ContentFile[];
}

/** Content as one caller sees it: the only thing that can be read. */
export interface ScopedContent {
  readonly content: Content;
  readonly scope: Scope;
}

/** Called as work goes on, at most some times a second. */
export type OnProgress = (progress: {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
  readonly unit: 'bytes' | 'rows' | 'steps';
}) => void;

export interface Control {
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface IngestSource {
  /** The uploaded file. */
  readonly path: string;
  readonly bytes: number;
  /** What the caller says it is; undefined: detect it from the content. */
  readonly format: FileFormat | undefined;
  /** Columns of the version that the rows go into (append, upsert, delete): their types are read, not guessed. */
  readonly onto: readonly Column[] | undefined;
}

export interface Ingested {
  readonly format: FileFormat;
  readonly compression: Compression;
  readonly schema: readonly PendingColumn[];
  readonly schemaHash: string;
  /** Columns of `onto` that the source lacks. The file has them, NULL in every row. */
  readonly missing: readonly string[];
  /** Null when no row could be read (`conversion.status` is `failed`). */
  readonly file: StagedFile | null;
  readonly conversion: Conversion;
}

/** Rows that go into a version by key, under its columns and new ones behind them. */
export interface IncomingContent extends Content {
  /** Columns that the rows came without, so that their NULLs say nothing. */
  readonly missing: readonly string[];
}

export interface Rewritten {
  /** In manifest order: the index of a file of the base that stays, or a new file in its place. */
  readonly pieces: readonly (number | StagedFile)[];
  readonly rows: number;
  readonly updated: number;
  readonly inserted: number;
  readonly deleted: number;
}

export type Row = Record<string, unknown>;

export type Change =
  | { readonly kind: 'added' | 'removed' | 'changed'; readonly key: Row; readonly before?: Row; readonly after?: Row; readonly changed?: string[] }
  | { readonly kind: 'added' | 'removed'; readonly row: Row; readonly count: number };

export interface DiffCounts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

/** A computed diff, held (bounded, shared by equal requests) until its last user closes it. */
export interface DiffResult {
  /** Rows by kind; of a multiset diff every occurrence counts. */
  readonly counts: DiffCounts;
  /** How many changes there are to page through: of a multiset diff, distinct rows. */
  readonly changes: number;
  /** Changes from a position on, in a fixed order; fewer than `limit` only at the end or where a page is full in bytes. */
  page(position: number, limit: number, control: Control): Promise<Change[]>;
  close(): void;
}

export interface ColumnStatistics {
  readonly name: string;
  readonly type: string;
  readonly nulls: number;
  readonly distinct: number;
  readonly min: unknown;
  readonly max: unknown;
  readonly mean: number | null;
  readonly standardDeviation: number | null;
}

export type ExportFormat = 'parquet' | 'csv' | 'ndjson' | 'arrow';

/** A rendered file, kept from eviction until it is closed. */
export interface ExportedFile {
  readonly bytes: number;
  /** Bytes from `start` to `end` exclusive. */
  read(range: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array>;
  close(): void;
}

/** What of some content becomes a table. */
export interface TableSelection {
  /** Names of visible columns, in the order of the table; null: all that are visible. */
  readonly columns: readonly string[] | null;
  /** At most so many rows, the first in manifest order; null: all. */
  readonly rowLimit: number | null;
  /** What takes more bytes as Arrow is refused with `memory_limit`. */
  readonly bytesMax: number;
}

/** Rows for an engine of tables: an Arrow IPC stream of one record batch, its texts encoded by dictionary. */
export interface TableArrow {
  readonly rows: number;
  /** In the order of the columns. */
  readonly schema: readonly { readonly name: string; readonly type: PerspectiveType }[];
  /** The stream, in pieces one behind the other, whose memory belongs to the receiver. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
}

export interface ContentStore {
  /**
   * Converts an uploaded file to one Parquet file (zstd) in the staging area. Faults of rows are in `conversion`; faults
   * that leave nothing (declared format is another, duplicate, empty or reserved column names, too many columns, nothing
   * in the file, types that do not fit `onto`) are `unprocessable_data`.
   */
  ingest(source: IngestSource, control: Control): Promise<Ingested>;
  /** Joins small files of one schema into one; the rows keep their order. */
  merge(content: Content, control: Control): Promise<StagedFile>;
  /**
   * Updates and inserts (`upsert`) or removes (`delete`) rows of `base` by key, rewriting only files that hold such keys. Rows
   * keep their order and new ones come last; a missing column keeps its value where a row is updated and is NULL where it is
   * new. `unprocessable_data` names keys that are NULL or occur twice in `incoming`.
   */
  rewrite(base: Content, incoming: IncomingContent, key: readonly string[], mode: 'upsert' | 'delete', control: Control): Promise<Rewritten>;
  /** Rows in manifest order, as JSON values; stops early at `bytesMax`. */
  rows(
    source: ScopedContent,
    window: { readonly startRow: number; readonly endRow: number; readonly columns: readonly string[] | undefined; readonly bytesMax: number },
    control: Control,
  ): Promise<Row[]>;
  /** Rows in manifest order with the types that tables have (SPEC, "Types of tables"). */
  tableArrow(source: ScopedContent, selection: TableSelection, control: Control): Promise<TableArrow>;
  /** How many rows the scope shows. */
  count(source: ScopedContent, control: Control): Promise<number>;
  statistics(source: ScopedContent, columns: readonly string[] | undefined, control: Control): Promise<ColumnStatistics[]>;
  /** By key columns, or as a multiset when `key` is null. Null or duplicate key values are `unprocessable_data` naming some. */
  diff(from: ScopedContent, to: ScopedContent, key: readonly string[] | null, control: Control): Promise<DiffResult>;
  /** Has made, when there is time, what diffs of a large version by this key are quicker with. */
  prepareDiff(content: Content, key: readonly string[]): void;
  /** Renders into the export cache, or finds it there. */
  export(source: ScopedContent, format: ExportFormat, control: Control): Promise<ExportedFile>;
  /**
   * Checks a row filter that someone wrote against the columns that it is to be used on, and renders it; `invalid_input` with
   * `details.offset`, `line` and `column` of what is refused.
   */
  checkFilter(filter: string, schema: readonly Column[], control: Control): Promise<CheckedFilter>;
  close(): Promise<void>;
}
