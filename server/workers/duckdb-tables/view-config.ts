/** What a view shows, checked against nothing yet. Names are of columns or of expressions. */
export interface ViewConfig {
  readonly groupBy: readonly string[];
  readonly splitBy: readonly string[];
  /** Null: every column of the table and every expression. */
  readonly columns: readonly string[] | null;
  readonly filter: readonly Filter[];
  /** Whether one filter that holds is enough. */
  readonly isAnyFilter: boolean;
  readonly sort: readonly Sort[];
  /** By column: the name of an aggregate, and the columns that it takes beside its own. */
  readonly aggregates: ReadonlyMap<string, readonly string[]>;
  /** By name. */
  readonly expressions: Readonly<Record<string, string>>;
  /** By name. */
  readonly windows: Readonly<Record<string, WindowConfig>>;
  readonly groupRollup: 'rollup' | 'flat' | 'total';
  readonly splitRollup: 'flat' | 'rollup';
  /** How deep the rows are open at first; undefined: all of them. */
  readonly groupDepth: number | undefined;
}

export type Scalar = number | string | boolean | null;

export interface Filter {
  readonly column: string;
  readonly operator: string;
  readonly values: readonly Scalar[];
}

export interface Sort {
  readonly column: string;
  readonly isDescending: boolean;
  readonly isAbsolute: boolean;
  /** Whether it orders the columns of a split instead of the rows. */
  readonly isOfColumns: boolean;
}

/** A column computed, row by row, from the rows around each; see `windows.ts`. */
export interface WindowConfig {
  readonly column: string;
  readonly aggregate: string;
  readonly partitionBy: readonly string[];
  /** Undefined: the order of the table. */
  readonly orderBy: { readonly column: string; readonly isDescending: boolean } | undefined;
  /** The rows before each that count; undefined: all of them. */
  readonly frame: { readonly rows: number } | { readonly range: number } | undefined;
  readonly offset: number;
  readonly alpha: number | undefined;
}
