import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { CovistaError, errorFromBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import type { Logger } from '../shared/log.ts';
import { passOn } from './pass-on.ts';
import type { EngineMemory, FromMemory, LoadedTable, MemoryHoldings, MemorySettings, ToMemory } from './perspective-memory.protocol.ts';

/** Takes what comes of one session. */
export interface MemoryPeer {
  respond(bytes: Uint8Array): void;
  lost(reason: CovistaError): void;
}

export interface MemorySession {
  handle(request: Uint8Array): void;
  close(): void;
}

/** What is hosted in a thread. */
export interface MemoryHosted extends LoadedTable {
  connect(peer: MemoryPeer): MemorySession;
  onLost(listener: (reason: CovistaError) => void): () => void;
  close(): void;
}

interface MemoryThreadOptions {
  readonly settings: MemorySettings;
  readonly log: Logger;
  /** Called once, when the thread is gone; whether it failed. */
  readonly onGone: (isFailure: boolean) => void;
  /** Called when the last table was freed. */
  readonly onEmpty: () => void;
}

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));

/** Smaller pieces are copied: many share memory with what is not sent. */
const TRANSFER_BYTES_MIN = 64 * 1024;

/** One thread with an engine, and the tables and sessions in it. When it ends, for whatever reason, they are all lost. */
export class MemoryThread {
  readonly #worker: Worker;
  readonly #options: MemoryThreadOptions;
  readonly #loads = new Map<number, PromiseWithResolvers<LoadedTable>>();
  readonly #tables = new Set<HostedTable>();
  readonly #peers = new Map<number, MemoryPeer>();
  #numbers = 0;
  #reservedBytes = 0;
  #gone: CovistaError | undefined;
  #isKilled = false;
  #held: MemoryHoldings = { sessions: 0, views: 0, heapBytes: 0 };
  #usedBytes = 0;
  /** What tables take that are to be freed and are not yet, in order. */
  readonly #freeing: number[] = [];

  constructor(options: MemoryThreadOptions) {
    this.#options = options;
    // The engine copies its environment into its memory, which is nobody's business there.
    const workerData = options.settings;
    this.#worker = new Worker(WORKER, { name: 'perspective-memory', workerData, env: {}, stdout: true, stderr: true });
    this.#worker.on('message', (message: FromMemory) => this.#receive(message));
    this.#worker.on('error', (error) => this.#end(new CovistaError('unavailable', 'the engine of the table failed; open it again', {}, error)));
    this.#worker.on('exit', () => this.#end(new CovistaError('unavailable', 'the engine of the table ended; open it again')));
    for (const output of [this.#worker.stdout, this.#worker.stderr]) this.#logOutput(output);
  }

  /** Bytes of its tables, those that are being loaded included. */
  get bytes(): number {
    let bytes = this.#reservedBytes;
    for (const table of this.#tables) bytes += table.bytes;
    return bytes;
  }

  get isEmpty(): boolean {
    return this.#tables.size === 0 && this.#loads.size === 0;
  }

  /** What it held when it last said so: after a load, or the end of a session or table. */
  get held(): MemoryHoldings {
    return this.#held;
  }

  /** Its memory when it last said so, without what tables take that it is about to free. */
  get memory(): EngineMemory {
    const freeing = this.#freeing.reduce((sum, bytes) => sum + bytes, 0);
    return { heapBytes: this.#held.heapBytes, usedBytes: Math.max(0, this.#usedBytes - freeing) };
  }

  /** Hosts a table under a name that is not used in this thread. The pieces are gone afterwards. `reservedBytes`: what it may take. */
  async load(table: string, pieces: readonly Uint8Array[], reservedBytes: number): Promise<MemoryHosted> {
    if (this.#gone !== undefined) throw this.#gone;
    this.#numbers += 1;
    const load = this.#numbers;
    const loaded = Promise.withResolvers<LoadedTable>();
    this.#loads.set(load, loaded);
    this.#reservedBytes += reservedBytes;
    const buffers = pieces.filter(({ buffer }) => buffer.byteLength >= TRANSFER_BYTES_MIN).map(({ buffer }) => buffer as ArrayBuffer);
    this.#post({ kind: 'load', load, table, pieces, bytes: reservedBytes }, [...new Set(buffers)]);
    try {
      const hosted = new HostedTable(this.#doors(table), await loaded.promise);
      this.#tables.add(hosted);
      return hosted;
    } finally {
      this.#reservedBytes -= reservedBytes;
    }
  }

  /** Ends the thread; its tables are lost. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    await this.#worker.terminate();
  }

  #doors(table: string): Doors {
    return {
      open: (peer) => this.#open(table, peer),
      free: (hosted) => {
        if (!this.#tables.delete(hosted)) return;
        this.#freeing.push(hosted.bytes);
        this.#post({ kind: 'free', table });
      },
    };
  }

  #open(table: string, peer: MemoryPeer): MemorySession {
    if (this.#gone !== undefined) throw this.#gone;
    this.#numbers += 1;
    const session = this.#numbers;
    this.#peers.set(session, peer);
    this.#post({ kind: 'open', session, table });
    return {
      handle: (bytes) => {
        if (this.#peers.has(session)) this.#post({ kind: 'request', session, bytes });
      },
      close: () => this.#close(session),
    };
  }

  #close(session: number): void {
    if (this.#peers.delete(session)) this.#post({ kind: 'close', session });
  }

  #post(message: ToMemory, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#gone === undefined) this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromMemory): void {
    switch (message.kind) {
      case 'answered':
        // A session that was closed meanwhile hears nothing more.
        for (const { session, bytes } of message.responses) {
          passOn(bytes, { peer: this.#peers.get(session), log: this.#options.log, end: () => this.#close(session) });
        }
        break;
      case 'loaded':
        this.#note(message);
        this.#settle(message.load).resolve(message);
        break;
      case 'refused':
        this.#note(message);
        this.#settle(message.load).reject(errorFromBody(message.error));
        this.#announceEmpty();
        break;
      case 'freed':
        this.#freeing.shift();
        this.#note(message);
        this.#announceEmpty();
        break;
      case 'memory':
        this.#note(message);
        break;
      case 'closed':
        this.#held = message.held;
        break;
    }
  }

  #note({ memory: { heapBytes, usedBytes } }: { readonly memory: EngineMemory }): void {
    this.#held = { ...this.#held, heapBytes };
    this.#usedBytes = usedBytes;
  }

  #announceEmpty(): void {
    if (this.isEmpty) this.#options.onEmpty();
  }

  #settle(load: number): PromiseWithResolvers<LoadedTable> {
    const loading = present(this.#loads.get(load), 'a load under way');
    this.#loads.delete(load);
    return loading;
  }

  #end(reason: CovistaError): void {
    if (this.#gone !== undefined) return;
    this.#gone = reason;
    this.#options.onGone(!this.#isKilled);
    if (reason.cause !== undefined) this.#options.log.error({ err: reason.cause }, 'an engine of tables failed');
    for (const load of this.#loads.values()) load.reject(reason);
    this.#loads.clear();
    const peers = [...this.#peers.values()];
    this.#peers.clear();
    for (const peer of peers) peer.lost(reason);
    const tables = [...this.#tables];
    this.#tables.clear();
    for (const table of tables) table.lose(reason);
  }

  /** The engine writes to the console what it also answers. */
  #logOutput(output: Readable): void {
    output.setEncoding('utf8');
    output.on('data', (text: string) => this.#options.log.debug({ engine: 'memory' }, text.trimEnd()));
  }
}

/** What a table needs of its thread. */
interface Doors {
  open(peer: MemoryPeer): MemorySession;
  free(table: HostedTable): void;
}

class HostedTable implements MemoryHosted {
  readonly bytes: number;
  readonly features: LoadedTable['features'];
  readonly #doors: Doors;
  readonly #sessions = new Set<MemorySession>();
  readonly #listeners = new Set<(reason: CovistaError) => void>();
  #lost: CovistaError | undefined;

  constructor(doors: Doors, { bytes, features }: LoadedTable) {
    this.#doors = doors;
    this.bytes = bytes;
    this.features = features;
  }

  connect(peer: MemoryPeer): MemorySession {
    if (this.#lost !== undefined) throw this.#lost;
    const session = this.#doors.open(peer);
    this.#sessions.add(session);
    return {
      handle: (request) => session.handle(request),
      close: () => {
        this.#sessions.delete(session);
        session.close();
      },
    };
  }

  onLost(listener: (reason: CovistaError) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const session of this.#sessions) session.close();
    this.#sessions.clear();
    this.#doors.free(this);
  }

  lose(reason: CovistaError): void {
    this.#lost = reason;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(reason);
  }
}
