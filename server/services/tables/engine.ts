import type { CovistaError } from '../../../protocol/errors.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { PerspectiveType, WireFeatures } from '../../shared/perspective/types.ts';
import type { Control, ScopedContent } from '../../storage/content-store.ts';

/** What a table is made of: rows as one scope shows them, so that what is hidden is not in the table at all. */
export interface TableSource {
  readonly source: ScopedContent;
  /** Names of visible columns, in the order of the table; null: all that are visible, in the order of the version. */
  readonly columns: readonly string[] | null;
  /** At most so many rows, the first in manifest order; null: all. */
  readonly rowLimit: number | null;
}

/**
 * Holds tables and speaks Perspective's protocol (`server/shared/perspective`) about them. Who asks has been checked: the
 * sessions of a table carry requests only that its guard has passed.
 */
export interface TableEngine {
  readonly name: 'memory' | 'duckdb';
  /** In which language it takes expressions of view configurations. */
  readonly dialect: 'exprtk' | 'sql';
  /**
   * Makes a table that is hosted under `key`. `memory_limit` when there is no room, `unavailable` when the engine cannot run,
   * `cancelled` when the signal aborts; then nothing is left of it.
   */
  load(key: string, source: TableSource, control: Control): Promise<EngineTable>;
  /** What it holds now, where it can tell. */
  inventory?(): Promise<EngineInventory>;
  /** What it holds of memory for tables and their views, where it is measured, as of a moment ago. */
  memory?(): EngineMemory;
  /** How often what the engine keeps was asked for and was there, by the name of its cache, as of the last inventory. */
  readonly caches?: Readonly<Record<string, () => Hits>>;
  /** Columns of its tables that are kept decoded, as of the last inventory; null: it had no time to say. */
  keptColumns?(): number | null;
  /** Ends every table and what the engine runs on. */
  close(): Promise<void>;
}

export interface EngineMemory {
  /** What it got of the system; some engines never give any of it back but by ending a thread. */
  readonly heapBytes: number;
  /** What of it is used now. */
  readonly usedBytes: number;
}

/** What an engine holds for sessions; nothing of it is left when they have ended. */
export interface EngineInventory {
  readonly sessions: number;
  readonly views: number;
  /** What views came to, shared by those that are equal. */
  readonly results: number;
  /** Relations of the engine's database in which results are; null: it has no time to say. */
  readonly relations: number | null;
}

export interface EngineTable {
  readonly rows: number;
  /** What it takes of memory, as well as the engine can tell. */
  readonly bytes: number;
  /** In the order of the columns, which an object would not keep: names that are whole numbers come first in it. */
  readonly schema: ReadonlyMap<string, PerspectiveType>;
  /** Whether columns are decimals, which may have more digits than a double; absent: none is. */
  readonly hasDecimals?: boolean;
  /** Columns of floats of 32 bits that the engine has in 64; absent: there is none. */
  readonly singles?: ReadonlySet<string>;
  /** What the engine answers to `get_features`, by which configurations are checked before they reach it. */
  readonly features: WireFeatures;
  /** Opens a session; throws `unavailable` when the table is lost. */
  connect(peer: EnginePeer): EngineSession;
  /** Calls back once, when the engine lost the table, so that it must be loaded again; returns how to stop listening. */
  onLost(listener: (reason: CovistaError) => void): () => void;
  /** Frees the table. Its sessions have been closed before. */
  close(): void;
}

export interface EnginePeer {
  /** Whose session it is, so that nobody takes what everybody shares. */
  readonly holder: string;
  /** Takes one Response of the protocol. The bytes belong to the peer. */
  respond(bytes: Uint8Array): void;
  /** The session has ended because the engine failed; nothing more comes of it. */
  lost(reason: CovistaError): void;
}

export interface EngineSession {
  /**
   * Handles one Request of the protocol, in order. Each is answered by one Response with its `msg_id`, `server_error` included;
   * those that subscribe may be answered again later. Never throws for what the request says.
   */
  handle(request: Uint8Array): void;
  /** Frees the views and callbacks that the session made, whatever state they are in. Nothing more is answered. */
  close(): void;
}
