import { randomUUID } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import { type TableId, type ViewId, viewId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { ViewConfigInput, ViewPage } from '../../../protocol/operations/view.ts';
import { throwIfAborted, unlessAborted } from '../../shared/abort.ts';
import { canonicalJson } from '../../shared/canonical.ts';
import type { Clock } from '../../shared/clock.ts';
import type { PerspectiveType, WireViewPort } from '../../shared/perspective/types.ts';
import type { Control } from '../../storage/content-store.ts';
import { Asker } from './asker.ts';
import type { EngineTable, TableEngine } from './engine.ts';
import { wireConfigOf } from './json-config.ts';
import type { Lease } from './table-pool.ts';
import type { TableAt, Tables } from './tables.ts';
import type { EngineTimes } from './times.ts';
import { type RowTypes, readRows } from './view-rows.ts';

export interface CreatedView {
  readonly viewId: ViewId;
  readonly schema: { readonly name: string; readonly type: PerspectiveType }[];
  readonly rows: number;
}

export type BytesFormat = 'arrow' | 'csv' | 'ndjson';

/** A view for as long as somebody reads it. */
export interface OpenView {
  readonly rows: number;
  readonly columns: number;
  readonly types: RowTypes;
  /** The same for views that show the same, since tables never change. */
  readonly identity: string;
  /** Rows from `startRow` to `endRow` exclusive; the caller minds the bounds. */
  read(format: BytesFormat, window: Window): Promise<Uint8Array | string>;
  json(window: Window): Promise<string>;
}

interface ViewsOptions {
  readonly tables: Pick<Tables, 'lease' | 'verify'>;
  readonly times: Pick<EngineTimes, 'computed'>;
  readonly clock: Clock;
  readonly limits: Limits;
}

interface Kept {
  readonly viewId: ViewId;
  readonly tableId: TableId;
  readonly subject: string;
  readonly asker: Asker;
  readonly lease: Lease;
  readonly shape: Shape;
  readonly identity: string;
  lastUsedAtMs: number;
  /** Reads under way. */
  reads: number;
}

/** What stays as it is for as long as the view lasts, since tables never change and these views do not unfold. */
type Shape = Pick<OpenView, 'rows' | 'columns' | 'types'>;

interface Window {
  readonly startRow: number;
  readonly endRow: number;
}

const ENTITY = 'view';
/** Cells of a page of rows in JSON, of which each takes some times what it takes in Arrow. */
const JSON_CELLS_SHARE = 4;

/** Views over REST and RPC. Each is its subject's, keeps its table open, and ends when it is not used for `viewIdleMs`. */
export class Views {
  readonly #options: ViewsOptions;
  readonly #kept = new Map<ViewId, Kept>();
  /** How many each subject has, those that are being made included. */
  readonly #counts = new Map<string, number>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(10, Math.min(60_000, options.limits.viewIdleMs / 4)));
    this.#sweeper.unref();
  }

  async create(at: TableAt, config: ViewConfigInput, control: Control): Promise<CreatedView> {
    const { subject } = at.actor;
    this.#count(subject, 1);
    try {
      return await this.#make(at, config, control);
    } catch (fault) {
      this.#count(subject, -1);
      throw fault;
    }
  }

  async page(
    at: TableAt,
    id: ViewId,
    { startRow, endRow }: { readonly startRow: number; readonly endRow: number | undefined },
    control: Control,
  ): Promise<ViewPage> {
    const { limits } = this.#options;
    const view = await this.open(at, id, control);
    const wanted = Math.max(startRow, Math.min(endRow ?? startRow + limits.pageItemsDefault, view.rows));
    const rowsMax = Math.max(1, Math.min(limits.viewRowsMax, Math.floor(limits.viewCellsMax / JSON_CELLS_SHARE / view.columns)));
    const capped = Math.min(wanted, startRow + rowsMax);
    const rows = capped > startRow ? await readRows(await view.json({ startRow, endRow: capped }), view.types) : [];
    return { rows, startRow, endRow: startRow + rows.length, totalRows: view.rows, truncated: capped < wanted };
  }

  /** The view, after it was asked again whether the caller may see what it shows; `not_found` to anybody but its subject. */
  async open(at: TableAt, id: ViewId, control: Control): Promise<OpenView> {
    const view = this.#find(at, id);
    try {
      await this.#options.tables.verify(at, control);
    } catch (fault) {
      if (fault instanceof CovistaError && fault.code === 'not_found') this.#end(view);
      throw fault;
    }
    view.lastUsedAtMs = this.#options.clock.now();
    const { json, read } = readersOf(view);
    return {
      ...{ ...view.shape, identity: view.identity },
      json: (window) => this.#reading(view, () => json(window)),
      read: (format, window) => this.#reading(view, () => read(format, window)),
    };
  }

  end(at: TableAt, id: ViewId): void {
    this.#end(this.#find(at, id));
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const view of [...this.#kept.values()]) this.#end(view);
  }

  async #make(at: TableAt, config: ViewConfigInput, control: Control): Promise<CreatedView> {
    const { tables, times, limits, clock } = this.#options;
    const { tableId, actor } = at;
    const id = viewId.parse(`view_${randomUUID().replaceAll('-', '')}`);
    const loss: { reason?: CovistaError } = {};
    const ended = (reason: CovistaError): void => {
      loss.reason = reason;
      const view = this.#kept.get(id);
      if (view !== undefined) this.#end(view);
    };
    const lease = await tables.lease(at, { ended }, control);
    const { table, engine } = lease.loaded;
    let asker: Asker | undefined;
    try {
      const computed = (seconds: number): void => times.computed(engine.name, seconds);
      asker = new Asker({ tableId, table, dialect: engine.dialect, limits, holder: actor.subject, lost: ended, computed });
      const wish = { tableId, config, table: table.schema, hasDecimals: mayHaveDecimals(table, engine, config) };
      const { schema, shape } = await unlessAborted(make(asker, wish), control.signal);
      // The table may have gone meanwhile, or the caller.
      if (loss.reason !== undefined) throw loss.reason;
      throwIfAborted(control.signal);
      const identity = canonicalJson([tableId, config]);
      const kept: Kept = { viewId: id, tableId, subject: actor.subject, asker, lease, shape, identity, lastUsedAtMs: clock.now(), reads: 0 };
      this.#kept.set(id, kept);
      return { viewId: id, schema, rows: shape.rows };
    } catch (fault) {
      asker?.close();
      lease.release();
      throw fault;
    }
  }

  #find({ tableId, actor }: TableAt, id: ViewId): Kept {
    const view = this.#kept.get(id);
    if (view !== undefined && view.tableId === tableId && view.subject === actor.subject) return view;
    throw new CovistaError('not_found', 'there is no such view of yours; one that is not used for a while ends', { viewId: id });
  }

  /** An export reads for as long as its reader takes, and uses the view with each piece. */
  async #reading<T>(view: Kept, read: () => Promise<T>): Promise<T> {
    view.reads += 1;
    try {
      return await read();
    } finally {
      view.reads -= 1;
      view.lastUsedAtMs = this.#options.clock.now();
    }
  }

  #end(view: Kept): void {
    if (!this.#kept.delete(view.viewId)) return;
    this.#count(view.subject, -1);
    view.asker.close();
    view.lease.release();
  }

  #sweep(): void {
    const oldestMs = this.#options.clock.now() - this.#options.limits.viewIdleMs;
    for (const view of [...this.#kept.values()]) if (view.reads === 0 && view.lastUsedAtMs < oldestMs) this.#end(view);
  }

  #count(subject: string, change: 1 | -1): void {
    const { viewsPerSubjectMax: viewsMax } = this.#options.limits;
    const count = (this.#counts.get(subject) ?? 0) + change;
    if (count > viewsMax) throw new CovistaError('rate_limited', `you have ${viewsMax} views already; close some`, { viewsPerSubjectMax: viewsMax });
    if (count === 0) this.#counts.delete(subject);
    else this.#counts.set(subject, count);
  }
}

/** Of decimals of the table, and of constants in SQL, more is made. */
function mayHaveDecimals(
  { hasDecimals }: Pick<EngineTable, 'hasDecimals'>,
  { dialect }: Pick<TableEngine, 'dialect'>,
  { expressions = {} }: ViewConfigInput,
): boolean {
  return hasDecimals === true || (dialect === 'sql' && Object.keys(expressions).length > 0);
}

interface Wish {
  readonly tableId: TableId;
  readonly config: ViewConfigInput;
  /** The types of the table's columns. */
  readonly table: ReadonlyMap<string, PerspectiveType>;
  readonly hasDecimals: boolean;
}

async function make(asker: Asker, { tableId, config, table, hasDecimals }: Wish): Promise<Pick<CreatedView, 'schema'> & { readonly shape: Shape }> {
  await asker.ask('table_make_view', tableId, { view_id: ENTITY, config: wireConfigOf(config) });
  const [{ schema: shown }, { schema: expressions }, { num_view_rows: rows, num_view_columns: shownColumns }] = await Promise.all([
    asker.ask('view_schema', ENTITY, {}),
    Object.keys(config.expressions ?? {}).length > 0 ? asker.ask('view_expression_schema', ENTITY, {}) : { schema: {} },
    asker.ask('view_dimensions', ENTITY, {}),
  ]);
  const columns = new Map(Object.entries(shown));
  const names = config.columns?.filter((name) => name !== null) ?? [
    ...table.keys(),
    ...[config.expressions, config.windows].flatMap((own) => Object.keys(own ?? {})),
  ];
  const schema = names.flatMap((name) => {
    const type = columns.get(name);
    return type === undefined ? [] : [{ name, type }];
  });
  const own = new Map([...Object.entries(expressions), ...table]);
  const windows = new Map(Object.entries(config.windows ?? {}));
  // What windows show of times are times of the column that they go over.
  const groups = (config.group_by ?? []).map((name) => own.get(name) ?? own.get(windows.get(name)?.column ?? ''));
  return { schema, shape: { rows, columns: Math.max(1, shownColumns), types: { columns, groups, hasDecimals } } };
}

function readersOf({ asker, shape: { types } }: Pick<Kept, 'asker' | 'shape'>): Pick<OpenView, 'read' | 'json'> {
  const viewportOf = ({ startRow, endRow }: Window): { readonly viewport: WireViewPort } => ({
    viewport: { start_row: startRow, end_row: endRow },
  });
  const json = async (window: Window): Promise<string> => (await asker.ask('view_to_rows_string', ENTITY, viewportOf(window))).json_string;
  return {
    json,
    read: async (format, window) => {
      if (format === 'arrow') return (await asker.ask('view_to_arrow', ENTITY, viewportOf(window))).arrow;
      if (format === 'csv') return (await asker.ask('view_to_csv', ENTITY, viewportOf(window))).csv;
      // The lines of an engine have times as numbers, and digits that readers of JSON lose.
      return (await readRows(await json(window), types)).map((row) => `${JSON.stringify(row)}\n`).join('');
    },
  };
}
