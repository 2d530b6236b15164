import type { WireScalar, WireViewConfig, WireViewPort } from '../../shared/perspective/types.ts';
import type { ColumnKind } from './column-types.ts';
import { type Frame, labelOf, type Value } from './frame.ts';
import type { ViewPlan } from './plan.ts';
import type { Query } from './result.ts';
import type { ResultLease } from './results.ts';
import { RowTree } from './row-tree.ts';
import { ViewFault } from './view-fault.ts';
import { resolvedWireConfig } from './wire-config.ts';

/** A view of one session: its share in a result, and which rows of it are open. */
export class View {
  readonly plan: ViewPlan;
  readonly #lease: ResultLease;
  readonly #wire: WireViewConfig | null;
  #tree: RowTree | undefined;

  constructor(plan: ViewPlan, lease: ResultLease, wire: WireViewConfig | null) {
    this.plan = plan;
    this.#lease = lease;
    this.#wire = wire;
  }

  get rows(): number {
    return this.#tree?.length ?? this.#lease.result.rows;
  }

  get columns(): number {
    return this.plan.columns.length * this.#lease.result.columnPaths.length;
  }

  get config(): WireViewConfig {
    return resolvedWireConfig(
      this.#wire,
      this.plan.columns.map(({ name }) => name),
      this.plan.config.groupBy.length === 0 ? {} : this.plan.resolvedAggregates,
    );
  }

  get schema(): Record<string, ColumnKind> {
    return Object.fromEntries(this.plan.columns.map(({ name, kind }) => [name, kind]));
  }

  get expressionSchema(): Record<string, ColumnKind> {
    return Object.fromEntries(this.plan.expressions.map(({ name, kind }) => [name, kind]));
  }

  /** What heads the paths of rows in tables that have columns only. */
  groupNames(isLegacy: boolean): string[] {
    return this.plan.config.groupBy.map((name, index) => (isLegacy ? `${name} (Group by ${index + 1})` : `__ROW_PATH_${index}__`));
  }

  /** Closes the rows that the configuration wants closed at first. */
  async start(): Promise<void> {
    const depth = this.plan.config.groupDepth;
    if (depth !== undefined && depth > 0 && depth < this.plan.keys.length) (await this.#treeOf())?.openTo(depth);
  }

  /** The cells of a window; without bounds it is everything. */
  async read(query: Query, viewport: WireViewPort | null): Promise<Frame> {
    const start = Math.min(viewport?.start_row ?? 0, this.rows);
    const end = Math.max(start, Math.min(viewport?.end_row ?? this.rows, this.rows));
    const startColumn = Math.min(viewport?.start_col ?? 0, this.columns);
    const columns = { start: startColumn, end: Math.max(startColumn, Math.min(viewport?.end_col ?? this.columns, this.columns)) };
    const rows = this.#tree?.slice(start, end) ?? { start, end };
    const frame = await this.#lease.result.read(query, rows, columns);
    return { ...frame, columns: frame.columns.map((column) => ({ ...column, path: this.#labelled(column.path) })) };
  }

  /** Refused where they have more bytes than they may: texts of rows are in them. */
  columnPaths(start: number, end: number, bytesMax: number): string[] {
    const { columns } = this.plan;
    const paths: string[] = [];
    let bytes = 0;
    for (let at = start; at < Math.min(end, this.columns); at += 1) {
      const path = this.#lease.result.columnPaths[Math.floor(at / columns.length)] ?? [];
      const text = this.#labelled([...path, columns[at % columns.length]?.name ?? '']).join('|');
      bytes += Buffer.byteLength(text);
      if (bytes > bytesMax) throw new ViewFault(`the paths of the columns have more than ${bytesMax} bytes; read fewer columns`, 'payload_too_large');
      paths.push(text);
    }
    return paths;
  }

  async extremes(query: Query, column: string): Promise<{ min: WireScalar; max: WireScalar }> {
    const depth = this.#tree?.depth ?? this.#deepest;
    const { least, greatest } = await this.#lease.result.extremes(query, column, depth);
    return { min: scalarOf(least), max: scalarOf(greatest) };
  }

  async expand(place: number): Promise<number> {
    return (await this.#treeOf())?.expand(place) ?? 0;
  }

  async collapse(place: number): Promise<number> {
    return (await this.#treeOf())?.collapse(place) ?? 0;
  }

  /** Shows the rows as deep as a number of groups beside the first, as the protocol counts. */
  async setDepth(depth: number): Promise<void> {
    if (depth <= this.plan.keys.length) (await this.#treeOf())?.openTo(depth + 1);
  }

  close(): void {
    this.#lease.release();
  }

  get #deepest(): number {
    return this.plan.config.groupRollup === 'total' ? 0 : this.plan.keys.length;
  }

  async #treeOf(): Promise<RowTree | undefined> {
    const isNested = this.plan.keys.length > 0 && this.plan.config.groupRollup === 'rollup';
    if (!isNested) return undefined;
    this.#tree ??= new RowTree(await this.#lease.result.depths());
    return this.#tree;
  }

  #labelled(path: readonly Value[]): string[] {
    return path.map((value, index) => labelOf(value, index < path.length - 1 ? (this.plan.splits[index]?.kind ?? 'string') : 'string'));
  }
}

function scalarOf(value: Value): WireScalar {
  if (value === null) return { null: 'null' };
  if (typeof value === 'boolean') return { bool: value };
  if (typeof value === 'string') return { string: value };
  return { float: Number(value) };
}
