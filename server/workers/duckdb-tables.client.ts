import { Worker } from 'node:worker_threads';
import { CovistaError, errorFromBody } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Logger } from '../shared/log.ts';
import type { Hits } from '../shared/metrics.ts';
import type { PerspectiveType, WireFeatures } from '../shared/perspective/types.ts';
import type { ThreadCounts } from '../shared/thread-counts.ts';
import type { Control } from '../storage/content-store.ts';
import { DUCKDB_FEATURES } from './duckdb-tables/features.ts';
import type { DuckdbTableSource } from './duckdb-tables/table.ts';
import type { DuckdbTablesOptions, FromDuckdbTables, TablesHits, TablesInventory, ToDuckdbTables } from './duckdb-tables.protocol.ts';
import { passOn } from './pass-on.ts';

export interface DuckdbTablesParts {
  readonly limits: Limits;
  readonly log: Logger;
  /** Private to this engine: whatever is in it when it starts is removed. */
  readonly spillDirectory: string;
  readonly readableDirectories: readonly string[];
  /** Whether nothing may be written to disk; what exceeds the memory fails then. */
  readonly inMemoryOnly?: boolean;
  /** Where its threads are counted. */
  readonly threads?: ThreadCounts;
}

/** Who a session answers. The bytes belong to the peer. */
export interface DuckdbTablesPeer {
  readonly holder: string;
  respond(bytes: Uint8Array): void;
  lost(reason: CovistaError): void;
}

export interface DuckdbTablesSession {
  handle(request: Uint8Array): void;
  close(): void;
}

interface LoadedTable {
  readonly rows: number;
  readonly schema: ReadonlyMap<string, PerspectiveType>;
  readonly hasDecimals: boolean;
}

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));

const NO_HITS: TablesHits = { views: { hits: 0, misses: 0 }, columns: { hits: 0, misses: 0 } };

/** A thread with what depends on it. When it ends, everything of it is lost; the next table starts another. */
class TablesThread {
  readonly #worker: Worker;
  readonly #log: Logger;
  readonly #loads = new Map<number, PromiseWithResolvers<LoadedTable>>();
  readonly #sessions = new Map<number, DuckdbTablesPeer>();
  readonly #lossListeners = new Set<(reason: CovistaError) => void>();
  #inventory: PromiseWithResolvers<TablesInventory> | undefined;
  /** How often views were shared and found their columns, as of the last inventory. */
  hits: TablesHits = NO_HITS;
  /** Columns that are kept, as of then; null: the database did not say. */
  columns: number | null = 0;
  readonly #ended: Promise<void>;
  #isLost = false;
  #isClosing = false;

  constructor(options: DuckdbTablesOptions, log: Logger, threads: ThreadCounts | undefined) {
    this.#log = log;
    threads?.started('duckdb-tables');
    this.#worker = new Worker(WORKER, { workerData: options, name: 'duckdb-tables' });
    this.#worker.unref();
    this.#worker.on('message', (message: FromDuckdbTables) => this.#receive(message));
    this.#worker.on('error', (error) => log.error({ err: error }, 'the thread of the duckdb tables failed'));
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        threads?.ended('duckdb-tables', !this.#isClosing);
        this.#lose();
        resolve();
      });
    });
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  tell(message: ToDuckdbTables): void {
    if (!this.#isLost) this.#worker.postMessage(message);
  }

  load(table: number, key: string, source: DuckdbTableSource): Promise<LoadedTable> {
    const settle = Promise.withResolvers<LoadedTable>();
    this.#loads.set(table, settle);
    this.#hold();
    this.tell({ kind: 'load', table, key, source });
    return settle.promise.finally(() => {
      this.#loads.delete(table);
      this.#hold();
    });
  }

  connect(table: number, session: number, peer: DuckdbTablesPeer): void {
    if (this.#isLost) throw lostError();
    this.#sessions.set(session, peer);
    this.#hold();
    this.tell({ kind: 'connect', table, session, holder: peer.holder });
  }

  disconnect(session: number): void {
    if (!this.#sessions.delete(session)) return;
    this.tell({ kind: 'disconnect', session });
    this.#hold();
  }

  /** Asked by several at once, it is taken once. */
  inventory(): Promise<TablesInventory> {
    if (this.#isLost) return Promise.resolve(NOTHING);
    if (this.#inventory === undefined) {
      this.#inventory = Promise.withResolvers();
      this.tell({ kind: 'inventory' });
    }
    return this.#inventory.promise;
  }

  /** What it keeps in JavaScript. */
  async heapBytes(): Promise<number> {
    return this.#isLost ? 0 : (await this.#worker.getHeapStatistics()).used_heap_size;
  }

  /** Ends the thread as a crash would. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Ends the thread in peace. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#worker.ref();
    this.tell({ kind: 'close' });
    await this.#ended;
  }

  onLost(listener: (reason: CovistaError) => void): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  /** Keeps the process alive for as long as somebody may wait for an answer. */
  #hold(): void {
    if (this.#loads.size + this.#sessions.size > 0) this.#worker.ref();
    else this.#worker.unref();
  }

  #receive(message: FromDuckdbTables): void {
    switch (message.kind) {
      case 'ready':
        this.#log.info('duckdb tables started');
        break;
      case 'loaded':
        this.#loads.get(message.table)?.resolve(message);
        break;
      case 'failed':
        this.#loads.get(message.table)?.reject(errorFromBody(message.error));
        break;
      case 'response':
        passOn(message.bytes, { peer: this.#sessions.get(message.session), log: this.#log, end: () => this.disconnect(message.session) });
        break;
      case 'inventory':
        this.hits = message.hits;
        this.columns = message.columns;
        this.#inventory?.resolve(message.inventory);
        this.#inventory = undefined;
        break;
      case 'fault':
        this.#log.warn({ fault: message.message }, 'a query of a duckdb table failed');
        break;
    }
  }

  #lose(): void {
    this.#isLost = true;
    const reason = lostError();
    for (const { reject } of this.#loads.values()) reject(reason);
    this.#inventory?.resolve(NOTHING);
    for (const peer of this.#sessions.values()) peer.lost(reason);
    this.#sessions.clear();
    for (const listener of this.#lossListeners) listener(reason);
    this.#lossListeners.clear();
  }
}

const NOTHING: TablesInventory = { sessions: 0, views: 0, results: 0, relations: 0 };

const lostError = (): CovistaError => new CovistaError('unavailable', 'the engine of the table ended; open the table again');

/** A table that is read where its files are; it takes next to no memory itself. */
class DuckdbTable {
  readonly rows: number;
  readonly bytes = 0;
  readonly schema: ReadonlyMap<string, PerspectiveType>;
  readonly hasDecimals: boolean;
  readonly features: WireFeatures = DUCKDB_FEATURES;
  readonly #thread: TablesThread;
  readonly #id: number;
  readonly #nextNumber: () => number;

  constructor(thread: TablesThread, id: number, loaded: LoadedTable, nextNumber: () => number) {
    this.#thread = thread;
    this.#id = id;
    this.#nextNumber = nextNumber;
    this.rows = loaded.rows;
    this.schema = loaded.schema;
    this.hasDecimals = loaded.hasDecimals;
  }

  connect(peer: DuckdbTablesPeer): DuckdbTablesSession {
    const session = this.#nextNumber();
    this.#thread.connect(this.#id, session, peer);
    return {
      handle: (bytes) => this.#thread.tell({ kind: 'request', session, bytes }),
      close: () => this.#thread.disconnect(session),
    };
  }

  onLost(listener: (reason: CovistaError) => void): () => void {
    return this.#thread.onLost(listener);
  }

  close(): void {
    this.#thread.tell({ kind: 'unload', table: this.#id });
  }
}

/** The engine that answers Perspective's protocol out of DuckDB, in a thread of its own with an instance of its own. */
export class DuckdbTables {
  readonly name = 'duckdb';
  readonly dialect = 'sql';
  readonly caches: Readonly<Record<string, () => Hits>> = { view_results: () => this.#hits.views, table_columns: () => this.#hits.columns };
  readonly #options: DuckdbTablesOptions;
  readonly #log: Logger;
  readonly #threads: ThreadCounts | undefined;
  #thread: TablesThread | undefined;
  #numbers = 0;

  constructor({ limits, spillDirectory, readableDirectories, inMemoryOnly = false, log, threads }: DuckdbTablesParts) {
    const duckdbTablesSpillBytesMax = inMemoryOnly ? 0 : limits.duckdbTablesSpillBytesMax;
    this.#options = { limits: { ...limits, duckdbTablesSpillBytesMax }, spillDirectory, readableDirectories };
    this.#log = log;
    this.#threads = threads;
  }

  async load(key: string, source: DuckdbTableSource, control: Control): Promise<DuckdbTable> {
    control.signal.throwIfAborted();
    const thread = this.#running();
    const id = this.#nextNumber();
    const cancel = (): void => thread.tell({ kind: 'unload', table: id });
    control.signal.addEventListener('abort', cancel, { once: true });
    try {
      return new DuckdbTable(thread, id, await thread.load(id, key, source), () => this.#nextNumber());
    } finally {
      control.signal.removeEventListener('abort', cancel);
    }
  }

  keptColumns(): number | null {
    return this.#thread === undefined ? 0 : this.#thread.columns;
  }

  get #hits(): TablesHits {
    return this.#thread?.hits ?? NO_HITS;
  }

  /** What its thread keeps in JavaScript, for those who watch it. */
  async heapBytes(): Promise<number> {
    return (await this.#thread?.heapBytes()) ?? 0;
  }

  /** Ends its thread as a crash would: its tables are lost, and the next one to be loaded starts another. */
  async kill(): Promise<void> {
    await this.#thread?.kill();
  }

  async inventory(): Promise<TablesInventory> {
    return (await this.#thread?.inventory()) ?? NOTHING;
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.close();
  }

  #running(): TablesThread {
    if (this.#thread === undefined || this.#thread.isLost) this.#thread = new TablesThread(this.#options, this.#log, this.#threads);
    return this.#thread;
  }

  #nextNumber(): number {
    this.#numbers += 1;
    return this.#numbers;
  }
}
