import type { WireScalar, WireViewConfig, WireViewPort } from '../../shared/perspective/types.ts';
import type { ColumnKind } from './column-types.ts';
import { type Frame, labelOf, type Value } from './frame.ts';
import { MemoryShare } from './memory-room.ts';
import type { ViewPlan } from './plan.ts';
import type { Query } from './result.ts';
import type { ResultLease } from './results.ts';
import type { RowTree } from './row-tree.ts';
import { noRoomForRows } from './row-trees.ts';
import { ViewFault } from './view-fault.ts';
import { resolvedWireConfig } from './wire-config.ts';

/** A view of one session: its share in a result, and which rows of it are open. */
export class View {
  readonly plan: ViewPlan;
  readonly #lease: ResultLease;
  /** How deep its rows are open at first. Everything else of its configuration it shares. */
  readonly #groupDepth: number | undefined;
  readonly #share: MemoryShare;
  /** undefined: every row is open. */
  #tree: RowTree | undefined;

  constructor(lease: ResultLease, groupDepth: number | undefined) {
    this.plan = lease.plan;
    this.#lease = lease;
    this.#groupDepth = groupDepth;
    this.#share = new MemoryShare(lease.room);
  }

  get rows(): number {
    return this.#tree?.rows.length ?? this.#lease.result.rows;
  }

  get columns(): number {
    return this.plan.columns.length * this.#lease.result.columnPaths.length;
  }

  get config(): WireViewConfig {
    return resolvedWireConfig(this.#lease.wire, {
      columns: this.plan.columns.map(({ name }) => name),
      aggregates: this.plan.config.groupBy.length === 0 ? {} : this.plan.resolvedAggregates,
      groupDepth: this.#groupDepth,
    });
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
    if (this.#groupDepth !== undefined && this.#groupDepth > 0) await this.#openTo(this.#groupDepth);
  }

  /** The cells of a window; without bounds it is everything. */
  async read(query: Query, viewport: WireViewPort | null): Promise<Frame> {
    const start = Math.min(viewport?.start_row ?? 0, this.rows);
    const end = Math.max(start, Math.min(viewport?.end_row ?? this.rows, this.rows));
    const startColumn = Math.min(viewport?.start_col ?? 0, this.columns);
    const columns = { start: startColumn, end: Math.max(startColumn, Math.min(viewport?.end_col ?? this.columns, this.columns)) };
    const rows = this.#tree === undefined ? [{ start, end }] : [...this.#tree.rows.slice(start, end)];
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
    const tree = this.#tree;
    return tree === undefined ? 0 : this.#goOn(tree, tree.expand(place));
  }

  async collapse(place: number): Promise<number> {
    if (!this.#isNested) return 0;
    const tree = this.#tree ?? (await this.#lease.openTo(this.plan.keys.length));
    return -this.#goOn(tree, tree.collapse(place));
  }

  /** Shows the rows as deep as a number of groups beside the first, as the protocol counts. */
  async setDepth(depth: number): Promise<void> {
    if (depth <= this.plan.keys.length) await this.#openTo(depth + 1);
  }

  close(): void {
    this.#share.end();
    this.#lease.release();
  }

  get #deepest(): number {
    return this.plan.config.groupRollup === 'total' ? 0 : this.plan.keys.length;
  }

  get #isNested(): boolean {
    return this.plan.keys.length > 0 && this.plan.config.groupRollup === 'rollup';
  }

  /** What others show too takes no memory of this view. */
  async #openTo(depth: number): Promise<void> {
    if (!this.#isNested) return;
    this.#tree = depth < this.plan.keys.length ? await this.#lease.openTo(depth) : undefined;
    this.#share.resize(0);
  }

  /** Shows a tree that is this view's own, where there is room for it; returns how many rows that adds. */
  #goOn(before: RowTree, tree: RowTree): number {
    if (tree === before) return 0;
    if (!this.#share.resize(tree.rows.bytes)) throw noRoomForRows();
    this.#tree = tree;
    return tree.rows.length - before.rows.length;
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
