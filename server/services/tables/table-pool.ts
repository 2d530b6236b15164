import { CovistaError } from '../../../protocol/errors.ts';
import type { TableId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { unlessAborted } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { Control } from '../../storage/content-store.ts';
import type { EngineTable, TableEngine } from './engine.ts';
import { noRoom, refusing, tablesInTheWay, tooLarge } from './table-room.ts';
import type { EngineTimes } from './times.ts';

/** Whoever keeps a table from being unloaded: a channel or a view. */
export interface TableUser {
  /** The table is gone; the user must let go of it. */
  ended(reason: CovistaError): void;
}

export interface LoadedTable {
  readonly tableId: TableId;
  readonly engine: TableEngine;
  readonly table: EngineTable;
  readonly loadTimeMs: number;
  readonly openedAtMs: number;
  readonly lastUsedAtMs: number;
  readonly connections: number;
}

export interface Lease {
  readonly loaded: LoadedTable;
  /** Lets the table go; may be called again. */
  release(): void;
}

export interface TableRequest {
  readonly tableId: TableId;
  readonly engine: TableEngine;
  /** What the table will take of memory, about. */
  readonly estimatedBytes: number;
  load(control: Control): Promise<EngineTable>;
}

type PoolLimits = Pick<Limits, 'tableBytesMax' | 'tablesBytesMax' | 'tablesMax' | 'tableLoadsMax' | 'tableIdleMs' | 'tableSessionsMax'>;

interface PoolOptions {
  readonly limits: PoolLimits;
  readonly engines: readonly Pick<TableEngine, 'memory'>[];
  readonly times: Pick<EngineTimes, 'loaded'>;
  readonly clock: Clock;
}

interface Entry {
  readonly tableId: TableId;
  readonly engine: TableEngine;
  readonly table: EngineTable;
  readonly loadTimeMs: number;
  readonly openedAtMs: number;
  lastUsedAtMs: number;
  readonly users: Set<TableUser>;
  stopListening: () => void;
}

/** A load under way: it goes on for as long as somebody waits for it. */
interface Loading {
  readonly entry: Promise<Entry>;
  readonly controller: AbortController;
  readonly estimatedBytes: number;
  waiters: number;
}

/**
 * The tables that are loaded, each once however many ask for it. Idle ones are unloaded after a time, or, least recently used
 * first, when others need the room; used ones stay, and when they leave no room, loading fails with `memory_limit`.
 */
export class TablePool {
  readonly #options: PoolOptions;
  /** Least recently used first. */
  readonly #entries = new Map<TableId, Entry>();
  readonly #loading = new Map<TableId, Loading>();
  readonly #sweeper: NodeJS.Timeout;
  #hits = 0;
  #misses = 0;
  /** Whether tables that are not loaded are refused, because those that are take too much memory. */
  isRefusing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.sweep(), Math.max(10, Math.min(60_000, options.limits.tableIdleMs / 4)));
    this.#sweeper.unref();
  }

  /** Loads the table unless it is loaded, and keeps it for the user; without one it may be unloaded again at any time. */
  async use(request: TableRequest, user: TableUser | undefined, control: Control): Promise<Lease> {
    const known = this.#entries.get(request.tableId);
    if (known === undefined) this.#misses += 1;
    else this.#hits += 1;
    const entry = known ?? (await this.#join(request, control));
    this.#touch(entry);
    const { tableSessionsMax: usersMax } = this.#options.limits;
    if (user !== undefined && entry.users.size >= usersMax) {
      throw new CovistaError('rate_limited', `the table already has ${usersMax} connections`, { tableSessionsMax: usersMax });
    }
    if (user !== undefined) entry.users.add(user);
    return {
      loaded: describe(entry),
      release: () => {
        if (user === undefined || !entry.users.delete(user)) return;
        this.#touch(entry);
      },
    };
  }

  /** How often a table that was wanted was loaded already. */
  get hits(): Hits {
    return { hits: this.#hits, misses: this.#misses };
  }

  find(tableId: TableId): LoadedTable | undefined {
    const entry = this.#entries.get(tableId);
    return entry && describe(entry);
  }

  all(): LoadedTable[] {
    return [...this.#entries.values()].map(describe);
  }

  /** Tables that somebody uses, and those that are being loaded. */
  inUse(): TableId[] {
    const used = [...this.#entries.values()].filter(({ users }) => users.size > 0);
    return [...used.map(({ tableId }) => tableId), ...this.#loading.keys()];
  }

  /** Marks a table as used now. */
  touch(tableId: TableId): void {
    const entry = this.#entries.get(tableId);
    if (entry !== undefined) this.#touch(entry);
  }

  /** Unloads a table that nobody uses. */
  unloadIfIdle(tableId: TableId): void {
    const entry = this.#entries.get(tableId);
    if (entry !== undefined && entry.users.size === 0) this.#unload(entry);
  }

  /** What the tables take, about, those that are being loaded included; what engines really use where that is more, as with many views. */
  get usedBytes(): number {
    const measured = this.#options.engines.reduce((sum, engine) => sum + (engine.memory?.().usedBytes ?? 0), 0);
    return Math.max(this.#bytes(undefined), measured);
  }

  /** Unloads idle tables, least recently used first, until at most so many bytes are left; answers how many. */
  evictIdle(bytesLeft: number): number {
    let evicted = 0;
    for (const entry of [...this.#entries.values()]) {
      if (this.usedBytes <= bytesLeft) break;
      if (entry.users.size > 0 || entry.table.bytes === 0) continue;
      this.#unload(entry);
      evicted += 1;
    }
    return evicted;
  }

  /** Unloads tables that are no more, their users told why. */
  remove(isGone: (tableId: TableId) => boolean, reason: CovistaError): void {
    for (const [tableId, loading] of this.#loading) if (isGone(tableId)) loading.controller.abort(reason);
    for (const entry of [...this.#entries.values()]) if (isGone(entry.tableId)) this.#end(entry, reason);
  }

  /** Unloads what has been idle for too long. */
  sweep(): void {
    const oldestMs = this.#options.clock.now() - this.#options.limits.tableIdleMs;
    for (const entry of [...this.#entries.values()]) if (entry.users.size === 0 && entry.lastUsedAtMs < oldestMs) this.#unload(entry);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.remove(() => true, new CovistaError('draining', 'the server is stopping'));
  }

  async #join(request: TableRequest, control: Control): Promise<Entry> {
    const known = this.#loading.get(request.tableId);
    if (known?.controller.signal.aborted === true) {
      // Nothing comes of it any more; when it has ended, its name in the engine is free.
      await unlessAborted(
        known.entry.catch(() => undefined),
        control.signal,
      );
      const reason: unknown = known.controller.signal.reason;
      // Where it was ended rather than left, what it would be made of is gone too.
      if (!(reason instanceof CovistaError && reason.code === 'cancelled')) throw reason;
      return this.#entries.get(request.tableId) ?? this.#join(request, control);
    }
    const loading = known ?? this.#start(request);
    loading.waiters += 1;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(control.signal.reason);
    control.signal.addEventListener('abort', abort);
    try {
      control.signal.throwIfAborted();
      return await Promise.race([loading.entry, aborted.promise]);
    } finally {
      control.signal.removeEventListener('abort', abort);
      loading.waiters -= 1;
      if (loading.waiters === 0) loading.controller.abort(new CovistaError('cancelled', 'nobody waits for the table any more'));
    }
  }

  #start(request: TableRequest): Loading {
    const { tableLoadsMax: loadsMax } = this.#options.limits;
    if (this.#loading.size >= loadsMax) {
      throw new CovistaError('rate_limited', `${loadsMax} tables are being loaded already`, { tableLoadsMax: loadsMax, retryAfterMs: 1_000 });
    }
    if (this.isRefusing && request.estimatedBytes > 0) throw refusing(this.#options.limits.tablesBytesMax);
    this.#makeRoom(request.estimatedBytes);
    const controller = new AbortController();
    const entry = this.#load(request, controller.signal).finally(() => this.#loading.delete(request.tableId));
    // Those who wait hear of a failure; when nobody does, nobody needs to.
    entry.catch(() => undefined);
    const loading: Loading = { entry, controller, estimatedBytes: request.estimatedBytes, waiters: 0 };
    this.#loading.set(request.tableId, loading);
    return loading;
  }

  async #load({ tableId, engine, load }: TableRequest, signal: AbortSignal): Promise<Entry> {
    const { clock, limits, times } = this.#options;
    const startedAtMs = performance.now();
    const table = await load({ signal });
    try {
      signal.throwIfAborted();
      if (table.bytes > limits.tableBytesMax) throw tooLarge(table.bytes, limits.tableBytesMax);
      this.#makeRoom(table.bytes, tableId);
    } catch (fault) {
      table.close();
      throw fault;
    }
    const nowMs = clock.now();
    const tookMs = performance.now() - startedAtMs;
    times.loaded(engine.name, tookMs / 1_000);
    const loadTimeMs = Math.round(tookMs);
    const entry: Entry = {
      ...{ tableId, engine, table, loadTimeMs, openedAtMs: nowMs, lastUsedAtMs: nowMs },
      users: new Set(),
      stopListening: () => undefined,
    };
    entry.stopListening = table.onLost((reason) => this.#end(entry, reason));
    this.#entries.set(tableId, entry);
    return entry;
  }

  /** Unloads idle tables until there is room for one more of so many bytes; none of them where all would not be enough. */
  #makeRoom(bytes: number, loadingId?: TableId): void {
    const { tableBytesMax, tablesBytesMax, tablesMax } = this.#options.limits;
    if (bytes > tableBytesMax) throw tooLarge(bytes, tableBytesMax);
    const over = { bytes: this.#bytes(loadingId) + bytes - tablesBytesMax, tables: this.#entries.size + 1 - tablesMax };
    const inTheWay = tablesInTheWay(this.#entries.values(), over);
    if (inTheWay === undefined) throw noRoom(bytes, tablesBytesMax);
    for (const entry of inTheWay) this.#unload(entry);
  }

  #bytes(loadingId: TableId | undefined): number {
    let bytes = 0;
    for (const { table } of this.#entries.values()) bytes += table.bytes;
    for (const [tableId, { estimatedBytes }] of this.#loading) if (tableId !== loadingId) bytes += estimatedBytes;
    return bytes;
  }

  #touch(entry: Entry): void {
    entry.lastUsedAtMs = this.#options.clock.now();
    if (this.#entries.get(entry.tableId) !== entry) return;
    this.#entries.delete(entry.tableId);
    this.#entries.set(entry.tableId, entry);
  }

  #end(entry: Entry, reason: CovistaError): void {
    const users = [...entry.users];
    entry.users.clear();
    for (const user of users) user.ended(reason);
    this.#unload(entry);
  }

  #unload(entry: Entry): void {
    if (this.#entries.get(entry.tableId) === entry) this.#entries.delete(entry.tableId);
    entry.stopListening();
    entry.table.close();
  }
}

function describe(entry: Entry): LoadedTable {
  const { tableId, engine, table, loadTimeMs, openedAtMs, lastUsedAtMs, users } = entry;
  return { tableId, engine, table, loadTimeMs, openedAtMs, lastUsedAtMs, connections: users.size };
}
