import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import { type DatasetId, type TableId, type UploadId, versionOfTable } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { OpenTableInfo, TableInfo, UploadTableInfo } from '../../../protocol/operations/table.ts';
import { present } from '../../shared/assert.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Hits } from '../../shared/metrics.ts';
import { RecentSet } from '../../shared/recent-set.ts';
import type { Control, Scope } from '../../storage/content-store.ts';
import type { EventNotice, SavedTable } from '../../storage/stores.ts';
import { type Actor, NOBODY } from '../access/actor.ts';
import type { RefResolver } from '../versioning/refs.ts';
import type { TableEngine } from './engine.ts';
import { createPlanner, type Planner, type PlannerOptions, type TableOptions, type TablePlan } from './plan.ts';
import type { TableOrigin } from './table-id.ts';
import { type Lease, type LoadedTable, TablePool, type TableRequest, type TableUser } from './table-pool.ts';
import type { EngineTimes } from './times.ts';

/** A table by its id, and who asks for it with what they may see now of its dataset; undefined for a table of an upload. */
export interface TableAt {
  readonly tableId: TableId;
  readonly actor: Actor;
  readonly scope: Scope | undefined;
}

export interface OpenRequest {
  readonly actor: Actor;
  readonly options: TableOptions;
}

export interface TablesOptions extends PlannerOptions {
  readonly refs: Pick<RefResolver, 'resolve'>;
  /** What an actor may see of a dataset now; rejects where that is nothing. */
  readonly scopeOf: (actor: Actor, datasetId: DatasetId) => Promise<Scope>;
  readonly times: Pick<EngineTimes, 'loaded'>;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** A table that was opened, so that it can be found by its id again. */
interface Known {
  readonly origin: TableOrigin;
  readonly scope: Scope;
  readonly options: TableOptions;
  readonly totalRows: number;
  /** Who opened it and did not close it. */
  readonly holders: RecentSet<string>;
}

export interface TableMemory {
  readonly tableId: TableId;
  readonly engine: TableEngine['name'];
  readonly bytes: number;
}

/**
 * The tables that people share. Knowing an id gives nothing: whatever takes one is `not_found` unless the table follows from what
 * the caller may see now. A table that was unloaded is loaded again when it is used.
 */
export class Tables {
  readonly #options: TablesOptions;
  readonly #pool: TablePool;
  readonly #planner: Planner;
  readonly #known: LRUCache<TableId, Known>;

  constructor(options: TablesOptions) {
    this.#options = options;
    this.#pool = new TablePool(options);
    this.#planner = createPlanner(options);
    this.#known = new LRUCache({ max: options.limits.tablesKnownMax });
  }

  async open(at: OpenRequest & { readonly datasetId: DatasetId; readonly ref: string; readonly scope: Scope }, control: Control): Promise<TableInfo> {
    const { datasetId, ref } = at;
    const { versionId } = await this.#options.refs.resolve(datasetId, ref);
    return this.#open({ kind: 'version', datasetId, versionId }, at, control);
  }

  async openUpload(request: OpenRequest & { readonly uploadId: UploadId }, control: Control): Promise<UploadTableInfo> {
    const { uploadId, actor } = request;
    const info = await this.#open({ kind: 'upload', uploadId, subject: actor.subject }, { ...request, scope: undefined }, control);
    return { ...info, conversion: await this.#options.uploadSources.conversion(uploadId, actor, control) };
  }

  /** What a table is, loaded if need be. */
  async get(at: TableAt, control: Control): Promise<OpenTableInfo> {
    const { loaded } = await this.#load(await this.#resolve(at, control), undefined, control);
    return openInfoOf(this.#knownOf(at.tableId), loaded);
  }

  /** What every table that is loaded takes; for who runs the server. */
  memory(): TableMemory[] {
    return this.#pool.all().map(({ tableId, engine, table }) => ({ tableId, engine: engine.name, bytes: table.bytes }));
  }

  /** How often a table that was wanted was loaded already. */
  hits(): Hits {
    return this.#pool.hits;
  }

  /** Loaded tables that the actor opened, did not close and may still see; for server admins all. */
  async list(actor: Actor, { datasetId }: { readonly datasetId: DatasetId | undefined }, control: Control): Promise<OpenTableInfo[]> {
    const shown: OpenTableInfo[] = [];
    for (const loaded of this.#pool.all()) {
      const { tableId } = loaded;
      const known = this.#known.get(tableId);
      if (known === undefined || (datasetId !== undefined && versionOfTable(tableId)?.datasetId !== datasetId)) continue;
      const isShown = actor.serverAdmin || (known.holders.has(actor.subject) && (await this.#isVisible(tableId, actor, control)));
      if (isShown) shown.push(openInfoOf(known, loaded));
    }
    return shown;
  }

  /** Forgets that the caller opened it; unloads it when nobody needs it. */
  async release(at: TableAt, control: Control): Promise<void> {
    const { tableId } = await this.#resolve(at, control);
    const { holders } = this.#knownOf(tableId);
    holders.delete(at.actor.subject);
    if (holders.size === 0) this.#pool.unloadIfIdle(tableId);
  }

  /** Asks again whether the table follows from what the caller may see now. */
  async verify(at: TableAt, control: Control): Promise<void> {
    await this.#resolve(at, control);
    this.#pool.touch(at.tableId);
  }

  /** Keeps a table, loaded if need be, for a user. */
  async lease(at: TableAt, user: TableUser, control: Control): Promise<Lease> {
    return this.#load(await this.#resolve(at, control), user, control);
  }

  /** Loaded tables of a dataset, whoever opened them. */
  ofDataset(datasetId: DatasetId): { readonly tableId: TableId; readonly connections: number }[] {
    return this.#pool.all().filter(({ tableId }) => versionOfTable(tableId)?.datasetId === datasetId);
  }

  /** Unloads a table, unless somebody uses it; it loads again when it is used. */
  unloadIdle(tableId: TableId): void {
    this.#pool.unloadIfIdle(tableId);
  }

  /** Follows what any server did. */
  notice(notice: EventNotice): void {
    if (notice.kind === 'events' && notice.isDeleted) this.forgetDataset(notice.datasetId);
  }

  /** Ends the tables of a dataset that was deleted. */
  forgetDataset(datasetId: DatasetId): void {
    const isGone = (tableId: TableId): boolean => versionOfTable(tableId)?.datasetId === datasetId;
    this.#pool.remove(isGone, new CovistaError('not_found', `dataset ${datasetId} was deleted`, { datasetId, reason: 'dataset.deleted' }));
    for (const tableId of [...this.#known.keys()]) if (isGone(tableId)) this.#known.delete(tableId);
  }

  /** Ends the tables of an upload that is no more. */
  forgetUpload(uploadId: UploadId): void {
    const isGone = (tableId: TableId): boolean => {
      const origin = this.#known.peek(tableId)?.origin;
      return origin?.kind === 'upload' && origin.uploadId === uploadId;
    };
    this.#pool.remove(isGone, new CovistaError('not_found', `there is no upload ${uploadId}`, { uploadId }));
  }

  /** Uploads whose tables somebody uses, or that are being loaded. */
  usedUploads(): Set<UploadId> {
    const origins = this.#pool.inUse().map((tableId) => this.#known.peek(tableId)?.origin);
    return new Set(origins.flatMap((origin) => (origin?.kind === 'upload' ? [origin.uploadId] : [])));
  }

  /** What is loaded, as it can be loaded again; without the tables of uploads, which are one person's and pass. */
  saved(): SavedTable[] {
    return this.#pool.all().flatMap(({ tableId, engine, lastUsedAtMs }) => {
      const known = this.#known.get(tableId);
      if (known?.origin.kind !== 'version') return [];
      const { origin, options, scope } = known;
      const { columns, rowLimit } = options;
      const usedAt = new Date(lastUsedAtMs).toISOString();
      return [
        {
          ...{ tableId, scope, usedAt },
          datasetId: origin.datasetId,
          versionId: origin.versionId,
          options: { columns, rowLimit, engine: engine.name },
        },
      ];
    });
  }

  /** Loads a saved table, if it is still what it was; who may use it is decided when somebody does. */
  async preload({ tableId, datasetId, versionId, options, scope }: SavedTable, signal: AbortSignal): Promise<boolean> {
    // The planner of a version's table looks at the scope alone.
    const plan = await this.#planner.plan({ kind: 'version', datasetId, versionId }, { actor: NOBODY, scope, options }, { signal });
    if (plan.tableId !== tableId) return false;
    await this.#load(plan, undefined, { signal });
    this.#remember(plan, options);
    return true;
  }

  /** Ends every table; those that are used again are loaded again. */
  unloadAll(): void {
    this.#pool.remove(() => true, new CovistaError('draining', 'the server is in maintenance'));
  }

  usedBytes(): number {
    return this.#pool.usedBytes;
  }

  evictIdle(bytesLeft: number): number {
    return this.#pool.evictIdle(bytesLeft);
  }

  refuseNew(isRefused: boolean): void {
    this.#pool.isRefusing = isRefused;
  }

  close(): void {
    this.#pool.close();
  }

  async #open(origin: TableOrigin, { actor, options, scope }: OpenRequest & Pick<TableAt, 'scope'>, control: Control): Promise<TableInfo> {
    const plan = await this.#planner.plan(origin, { actor, scope, options }, control);
    // What it is made of must be known while it is loaded.
    const known = this.#remember(plan, options);
    const { loaded } = await this.#load(plan, undefined, control);
    known.holders.add(actor.subject);
    return infoOf(known, loaded);
  }

  #load({ tableId, engine, estimatedBytes, source }: TablePlan, user: TableUser | undefined, control: Control): Promise<Lease> {
    const load: TableRequest['load'] = async (inner) => engine.load(tableId, await source(inner), inner);
    return this.#pool.use({ tableId, engine, estimatedBytes, load }, user, control);
  }

  /** The plan that leads to the id for this caller. After a restart those can be found again that were opened without options. */
  async #resolve({ tableId, actor, scope }: TableAt, control: Control): Promise<TablePlan> {
    const known = this.#known.get(tableId);
    const version = versionOfTable(tableId);
    const origin: TableOrigin | undefined = version === null ? known?.origin : { kind: 'version', ...version };
    const guesses = this.#options.engines.map(({ name }) => ({ columns: null, rowLimit: null, engine: name }));
    for (const options of known === undefined ? guesses : [known.options]) {
      const plan = origin && (await this.#planner.plan(origin, { actor, scope, options }, control).catch(unlessUnfit));
      if (plan?.tableId !== tableId) continue;
      this.#remember(plan, options);
      return plan;
    }
    throw new CovistaError('not_found', 'there is no such table, or what you may see has changed; open it again', { tableId });
  }

  async #isVisible(tableId: TableId, actor: Actor, control: Control): Promise<boolean> {
    const version = versionOfTable(tableId);
    try {
      const scope = version === null ? undefined : await this.#options.scopeOf(actor, version.datasetId);
      await this.#resolve({ tableId, actor, scope }, control);
      return true;
    } catch (fault) {
      unlessUnfit(fault);
      return false;
    }
  }

  #remember({ tableId, origin, scope, engine, totalRows }: TablePlan, options: TableOptions): Known {
    const known = this.#known.get(tableId) ?? {
      origin,
      scope,
      options: { ...options, engine: engine.name },
      totalRows,
      holders: new RecentSet(this.#options.limits.tableHoldersMax),
    };
    this.#known.set(tableId, known);
    return known;
  }

  #knownOf(tableId: TableId): Known {
    return present(this.#known.get(tableId), 'a table that was resolved');
  }
}

/** What the caller may not see, or what does not fit together any more, is as if it were not there. */
function unlessUnfit(fault: unknown): undefined {
  if (fault instanceof CovistaError && ['invalid_input', 'forbidden', 'not_found', 'unprocessable_data'].includes(fault.code)) return undefined;
  throw fault;
}

function infoOf({ origin, totalRows }: Known, { tableId, engine, table }: LoadedTable): TableInfo {
  const { datasetId, versionId } = origin.kind === 'version' ? origin : { datasetId: null, versionId: null };
  const schema = [...table.schema].map(([name, type]) => ({ name, type }));
  const { rows } = table;
  return { tableId, datasetId, versionId, engine: engine.name, dialect: engine.dialect, rows, totalRows, truncated: rows < totalRows, schema };
}

function openInfoOf(known: Known, loaded: LoadedTable): OpenTableInfo {
  const { connections, loadTimeMs, openedAtMs, lastUsedAtMs, table } = loaded;
  const times = { openedAt: new Date(openedAtMs).toISOString(), lastUsedAt: new Date(lastUsedAtMs).toISOString() };
  return { ...infoOf(known, loaded), bytes: table.bytes, connections, loadTimeMs, ...times };
}
