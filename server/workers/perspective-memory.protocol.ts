import type { ErrorBody } from '../../protocol/errors.ts';
import type { WireFeatures } from '../shared/perspective/types.ts';

/** What the worker is started with. */
export interface MemorySettings {
  /** How many bytes an answer may have. */
  readonly windowBytesMax: number;
  /** How much of its memory the engine may use before it takes no more. */
  readonly usedBytesMax: number;
}

/** What the worker is told. Bytes are transferred, not copied, wherever their memory is their own. */
export type ToMemory =
  /** Makes a table of an Arrow IPC stream, given in pieces; answered by `loaded` or `refused`. `bytes`: what it is reckoned to take. */
  | { readonly kind: 'load'; readonly load: number; readonly table: string; readonly pieces: readonly Uint8Array[]; readonly bytes: number }
  /** Frees a table; its sessions have been closed before. Answered by `freed`. */
  | { readonly kind: 'free'; readonly table: string }
  | { readonly kind: 'open'; readonly session: number; readonly table: string }
  /** One Request of Perspective's protocol; answered by `answered`. */
  | { readonly kind: 'request'; readonly session: number; readonly bytes: Uint8Array }
  | { readonly kind: 'close'; readonly session: number };

export interface LoadedTable {
  /** What the engine took for it. */
  readonly bytes: number;
  readonly features: WireFeatures;
}

export type FromMemory =
  /** The engine runs. */
  | { readonly kind: 'ready' }
  | ({ readonly kind: 'loaded'; readonly load: number; readonly memory: EngineMemory } & LoadedTable)
  | { readonly kind: 'refused'; readonly load: number; readonly memory: EngineMemory; readonly error: ErrorBody }
  /** Said of tables in the order in which they were freed. */
  | { readonly kind: 'freed'; readonly memory: EngineMemory }
  /** What sessions have made of the memory meanwhile; said a little after they did something. */
  | { readonly kind: 'memory'; readonly memory: EngineMemory }
  /** A request has been handled. Each response says for which session it is: subscriptions of others may have one. */
  | { readonly kind: 'answered'; readonly session: number; readonly responses: readonly MemoryResponse[] }
  | { readonly kind: 'closed'; readonly session: number; readonly held: MemoryHoldings };

export interface MemoryResponse {
  readonly session: number;
  readonly bytes: Uint8Array;
}

export interface EngineMemory {
  /** Size of the engine's memory, which never shrinks while its thread runs. */
  readonly heapBytes: number;
  /** What of it tables and views take now. */
  readonly usedBytes: number;
}

/** What the engine holds for all sessions together. */
export interface MemoryHoldings {
  readonly sessions: number;
  readonly views: number;
  readonly heapBytes: number;
}
