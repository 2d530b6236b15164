import { type DuckDBConnection, DuckDBDateValue, DuckDBDecimalValue, DuckDBInstance, DuckDBTimestampValue, type DuckDBValue } from '@duckdb/node-api';
import type { ViewConfigUpdate } from '@perspective-dev/client';
import { aggregateSql, conditionsSql, EXPRESSION_SQL, windowSql } from './view-oracle-sql.ts';

export type Cell = string | number | boolean | null;

export interface Expected {
  readonly names: string[];
  readonly columns: Record<string, Cell[]>;
  /** Of grouped views the paths of the rows. */
  readonly paths: Cell[][] | undefined;
}

type Sort = readonly [string, string];

/** What a view must show, computed in plain SQL: each depth of a pivot is a GROUP BY of its own, put in order here. */
export class ViewOracle {
  readonly #connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  /** `select` yields the rows of the table with their number as `pos`. */
  static async open(select: string): Promise<ViewOracle> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    await connection.run(`CREATE TABLE base AS ${select}`);
    return new ViewOracle(instance, connection);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async expect(config: ViewConfigUpdate): Promise<Expected> {
    await this.#prepare(config);
    const groups = config.group_by ?? [];
    if (groups.length === 0 && config.group_rollup_mode !== 'total') return this.#flat(config);
    return (config.split_by ?? []).length === 0 ? this.#grouped(config, groups) : this.#split(config, groups);
  }

  /** Makes `shown`: the rows that the view is of, with the columns that it computes. */
  async #prepare(config: ViewConfigUpdate): Promise<void> {
    const made = Object.entries(config.expressions ?? {}).map(([name, source]) => `${sqlOf(source)} AS ${quoted(name)}`);
    await this.#connection.run(`CREATE OR REPLACE TEMP TABLE windowed AS SELECT ${['*', ...made].join(', ')} FROM base`);
    for (const [name, window] of Object.entries(config.windows ?? {})) {
      const { place, value } = windowSql(window as never);
      await this.#connection.run(`CREATE OR REPLACE TEMP TABLE placed AS SELECT *, ${place} AS place FROM windowed r`);
      await this.#connection.run(`CREATE OR REPLACE TEMP TABLE windowed AS SELECT * EXCLUDE (place), ${value} AS ${quoted(name)} FROM placed r`);
    }
    const where = conditionsSql((config.filter ?? []) as never, config.filter_op === 'or');
    await this.#connection.run(`CREATE OR REPLACE TEMP TABLE shown AS SELECT * FROM windowed WHERE ${where}`);
  }

  async #rows(sql: string): Promise<Cell[][]> {
    return (await this.#connection.runAndReadAll(sql)).getRows().map((row) => row.map(cellOf));
  }

  /** Rows as they are, or each in the columns of its own path. */
  async #flat(config: ViewConfigUpdate): Promise<Expected> {
    const [names, splits] = [columnsOf(config), config.split_by ?? []];
    const order = sortsOf(config).flatMap(([column, way]) => {
      if (way.startsWith('col')) return [];
      const isDescending = way.includes('desc');
      const sorted = way.endsWith('abs') ? `abs(${quoted(column)})` : quoted(column);
      return [`${sorted} ${isDescending ? 'DESC NULLS LAST' : 'ASC NULLS FIRST'}`];
    });
    const items = [...splits, ...names].map(quoted).join(', ');
    const rows = await this.#rows(`SELECT ${items} FROM shown ORDER BY ${[...order, 'pos'].join(', ')}`);
    if (splits.length === 0) return { names, columns: columnsFrom(names, rows), paths: undefined };
    const pathOf = (row: readonly Cell[]): Cell[] => row.slice(0, splits.length);
    const paths = [...new Map(rows.map((row) => [JSON.stringify(pathOf(row)), pathOf(row)])).values()].sort(comparePaths);
    const placed = rows.map((row) =>
      paths.flatMap((path) => names.map((_name, index) => (startsWith(row, path) ? (row[splits.length + index] ?? null) : null))),
    );
    const split = paths.flatMap((path) => names.map((name) => columnName(splits, path, name)));
    return { names: split, columns: columnsFrom(split, placed), paths: undefined };
  }

  /** The rows of a depth: the path, then the aggregates of `measures`. */
  async #level(keys: readonly string[], measures: readonly Measure[]): Promise<Node[]> {
    const items = [...keys.map(quoted), 'count(*)', ...measures.map(({ sql }) => sql)];
    const grouping = keys.length === 0 ? '' : ` GROUP BY ${keys.map(quoted).join(', ')}`;
    const rows = await this.#rows(`SELECT ${items.join(', ')} FROM shown${grouping}`);
    return rows.map((row) => {
      const values = row.slice(keys.length + 1);
      return { path: row.slice(0, keys.length), values: row[keys.length] === 0 ? values.map(() => null) : values };
    });
  }

  async #tree(keys: readonly string[], measures: readonly Measure[]): Promise<Node[][]> {
    const levels: Node[][] = [];
    for (let depth = 0; depth <= keys.length; depth += 1) levels.push(await this.#level(keys.slice(0, depth), measures));
    finish(levels, measures);
    return levels;
  }

  async #grouped(config: ViewConfigUpdate, keys: readonly string[]): Promise<Expected> {
    const names = columnsOf(config);
    const measures = measuresOf(config, keys);
    const ordered = inOrder(await this.#tree(keys, measures), { keys, measures, sorts: sortsOf(config).filter(([, way]) => !way.startsWith('col')) });
    const rows = ordered.filter(({ path }) => isShown(config, path.length, keys.length));
    return {
      names,
      columns: columnsFrom(
        names,
        rows.map(({ values }) => values),
      ),
      paths: rows.map(({ path }) => path),
    };
  }

  async #split(config: ViewConfigUpdate, keys: readonly string[]): Promise<Expected> {
    const splits = config.split_by ?? [];
    const { paths: rowPaths = [] } = await this.#grouped({ ...config, split_by: [] }, keys);
    const measures = measuresOf(config, splits);
    const across = inOrder(await this.#tree(splits, measures), {
      keys: splits,
      measures,
      sorts: sortsOf(config).filter(([, way]) => way.startsWith('col')),
    });
    const shown = columnsOf(config);
    const paths = across.filter(({ path, values }) => path.length === splits.length && values.length > 0);
    const names = paths.flatMap(({ path }) => shown.map((name) => columnName(splits, path, name)));
    const cells = new Map<string, Cell[]>();
    for (let depth = 0; depth <= keys.length; depth += 1) {
      const level = await this.#level([...keys.slice(0, depth), ...splits], measuresOf(config, keys));
      for (const { path, values } of level) cells.set(JSON.stringify([path.slice(0, depth), path.slice(depth)]), values);
    }
    const rows = rowPaths.map((row) =>
      paths.flatMap(({ path }) => shown.map((_name, index) => cells.get(JSON.stringify([row, path]))?.[index] ?? null)),
    );
    return { names, columns: columnsFrom(names, rows), paths: rowPaths };
  }
}

interface Node {
  readonly path: Cell[];
  values: Cell[];
}

interface Measure {
  readonly column: string;
  readonly name: string;
  readonly sql: string;
}

/** The aggregates that are shown, then those by which rows are sorted. */
function measuresOf(config: ViewConfigUpdate, keys: readonly string[]): Measure[] {
  const shown = columnsOf(config);
  const sorted = sortsOf(config).flatMap(([column]) => (shown.includes(column) ? [] : [column]));
  return [...shown, ...new Set(sorted)].map((column) => {
    const isKey = !shown.includes(column) && keys.includes(column);
    const [name, by] = isKey ? ['unique', undefined] : [config.aggregates?.[column] ?? 'sum'].flat(2);
    return { column, name: String(name), sql: aggregateSql(String(name), quoted(column), by === undefined ? undefined : quoted(String(by))) };
  });
}

/** Aggregates that are made of those of other groups. */
function finish(levels: Node[][], measures: readonly Measure[]): void {
  const plain = levels.map((level) => level.map(({ path, values }) => ({ path, values: [...values] })));
  const under = (depth: number, path: readonly Cell[]): Node[] => (plain[depth] ?? []).filter((node) => startsWith(node.path, path));
  for (const [index, { name }] of measures.entries()) {
    for (const [depth, level] of levels.entries()) {
      for (const node of level) {
        const own = node.values[index] ?? null;
        const total = plain[0]?.[0]?.values[index] ?? null;
        const parent = depth === 0 ? own : (plain[depth - 1]?.find(({ path }) => startsWith(node.path, path))?.values[index] ?? null);
        if (name === 'pct sum total') node.values[index] = share(own, total);
        if (name === 'pct sum parent') node.values[index] = depth === 0 ? (own === null ? null : 100) : share(own, parent);
        if (name === 'distinct leaf' && depth < levels.length - 1) node.values[index] = null;
        if (name === 'gmv' && depth < levels.length - 1 && own !== null) {
          node.values[index] = under(depth + 1, node.path).reduce((sum, { values }) => sum + Math.abs(Number(values[index])), 0);
        }
      }
    }
  }
}

const share = (part: Cell, whole: Cell): Cell => (part === null || whole === null || whole === 0 ? null : (100 * Number(part)) / Number(whole));
const startsWith = (path: readonly Cell[], start: readonly Cell[]): boolean => start.every((key, index) => key === path[index]);

interface Ordering {
  readonly keys: readonly string[];
  readonly measures: readonly Measure[];
  readonly sorts: readonly Sort[];
}

/** Parents before their children, siblings as they are sorted, then by their keys. */
function inOrder(levels: readonly Node[][], { keys, measures, sorts }: Ordering): Node[] {
  const compare = (depth: number) => (one: Node, other: Node) => {
    for (const [column, way] of sorts) {
      const index = measures.findIndex((measure) => measure.column === column);
      const key = keys.indexOf(column);
      const isKey = key >= 0 && measures[index]?.name === 'unique' && depth > key;
      const sortedBy = ({ values, path }: Node): Cell => (isKey ? (path[key] ?? null) : (values[index] ?? null));
      const sized = (value: Cell): Cell => (way.endsWith('abs') && typeof value === 'number' ? Math.abs(value) : value);
      const order = compareCells(sized(sortedBy(one)), sized(sortedBy(other)));
      if (order !== 0) return way.includes('desc') ? -order : order;
    }
    return compareCells(one.path[depth - 1] ?? null, other.path[depth - 1] ?? null);
  };
  const below = (node: Node): Node[] => {
    const depth = node.path.length + 1;
    const children = (levels[depth] ?? []).filter(({ path }) => startsWith(path, node.path)).sort(compare(depth));
    return [node, ...children.flatMap(below)];
  };
  return (levels[0] ?? []).flatMap(below);
}

/** NULL before every value; texts by their bytes, which for UTF-8 is by code points. */
function compareCells(one: Cell, other: Cell): number {
  if (one === other) return 0;
  if (one === null || other === null) return one === null ? -1 : 1;
  if (typeof one === 'string' && typeof other === 'string') return Buffer.compare(Buffer.from(one), Buffer.from(other));
  return Number(one) < Number(other) ? -1 : 1;
}

function comparePaths(one: readonly Cell[], other: readonly Cell[]): number {
  const at = one.findIndex((key, index) => key !== other[index]);
  return at < 0 ? 0 : compareCells(one[at] ?? null, other[at] ?? null);
}

function isShown({ group_rollup_mode: mode, group_by_depth: open }: ViewConfigUpdate, depth: number, deepest: number): boolean {
  if (mode === 'total') return depth === 0;
  return mode === 'flat' ? depth === deepest : !open || depth <= open;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const sqlOf = (source: unknown): string => EXPRESSION_SQL.get(String(source)) ?? `error('no SQL is known of this expression')`;
const columnsOf = ({ columns }: ViewConfigUpdate): string[] => (columns ?? []).filter((name) => name !== null) as string[];
const sortsOf = ({ sort }: ViewConfigUpdate): readonly Sort[] => (sort ?? []) as unknown as readonly Sort[];

function columnsFrom(names: readonly string[], rows: readonly Cell[][]): Record<string, Cell[]> {
  return Object.fromEntries(names.map((name, index) => [name, rows.map((row) => row[index] ?? null)]));
}

/** Dates and times are milliseconds since 1970. */
function cellOf(value: DuckDBValue): Cell {
  if (value instanceof DuckDBDateValue) return value.days * 86_400_000;
  if (value instanceof DuckDBTimestampValue) return Number(value.micros / 1000n);
  if (value instanceof DuckDBDecimalValue) return value.toDouble();
  if (typeof value === 'bigint') return Number(value);
  return value as Cell;
}

function columnName(splits: readonly string[], path: readonly Cell[], name: string): string {
  return [...path.map((value, index) => labelOf(value, splits[index] ?? '')), name].join('|');
}

/** A value of a split as the names of columns have it. */
function labelOf(value: Cell, column: string): string {
  if (value === null || !['day', 'moment'].includes(column)) return String(value);
  const text = new Date(Number(value)).toISOString();
  return column === 'day' ? text.slice(0, 10) : text.replace('T', ' ').slice(0, -1);
}
