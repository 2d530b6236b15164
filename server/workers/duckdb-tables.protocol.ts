import type { ErrorBody } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Hits } from '../shared/metrics.ts';
import type { PerspectiveType } from '../shared/perspective/types.ts';
import type { DuckdbTableSource } from './duckdb-tables/table.ts';

/** What the worker starts with. */
export interface DuckdbTablesOptions {
  readonly limits: Limits;
  /** Private to the worker. */
  readonly spillDirectory: string;
  /** Where the data files are. */
  readonly readableDirectories: readonly string[];
}

export interface TablesInventory {
  readonly sessions: number;
  readonly views: number;
  readonly results: number;
  /** null: the database did not say. */
  readonly relations: number | null;
}

/** How often results of views, and all columns that a view uses, were asked for and were there. */
export interface TablesHits {
  readonly views: Hits;
  readonly columns: Hits;
}

/** Tables and sessions have numbers, which are never used again. */
export type ToDuckdbTables =
  | { readonly kind: 'load'; readonly table: number; readonly key: string; readonly source: DuckdbTableSource }
  /** Ends a table, or the loading of it. */
  | { readonly kind: 'unload'; readonly table: number }
  | { readonly kind: 'connect'; readonly table: number; readonly session: number; readonly holder: string }
  /** A Request of Perspective's protocol. */
  | { readonly kind: 'request'; readonly session: number; readonly bytes: Uint8Array }
  | { readonly kind: 'disconnect'; readonly session: number }
  /** Asks what there is. */
  | { readonly kind: 'inventory' }
  /** Ends the worker. */
  | { readonly kind: 'close' };

export type FromDuckdbTables =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'loaded';
      readonly table: number;
      readonly rows: number;
      readonly schema: ReadonlyMap<string, PerspectiveType>;
      readonly hasDecimals: boolean;
    }
  | { readonly kind: 'failed'; readonly table: number; readonly error: ErrorBody }
  /** A Response of Perspective's protocol. */
  | { readonly kind: 'response'; readonly session: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'inventory'; readonly inventory: TablesInventory; readonly columns: number | null; readonly hits: TablesHits }
  /** Something for the log. */
  | { readonly kind: 'fault'; readonly message: string };
