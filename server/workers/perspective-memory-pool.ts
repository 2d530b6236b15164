import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { throwIfAborted } from '../shared/abort.ts';
import type { Logger } from '../shared/log.ts';
import type { PerspectiveType } from '../shared/perspective/types.ts';
import type { ThreadCounts } from '../shared/thread-counts.ts';
import type { ContentStore, Control, ScopedContent, TableArrow } from '../storage/content-store.ts';
import { type MemoryHosted, MemoryThread } from './perspective-memory.client.ts';
import type { EngineMemory } from './perspective-memory.protocol.ts';

/** What a table is made of: see `TableSource` of the services, which this fits. */
interface MemorySource {
  readonly source: ScopedContent;
  readonly columns: readonly string[] | null;
  readonly rowLimit: number | null;
}

export interface MemoryTable extends MemoryHosted {
  readonly singles: ReadonlySet<string>;
  readonly rows: number;
  readonly schema: ReadonlyMap<string, PerspectiveType>;
}

interface PerspectiveMemoryOptions {
  readonly content: Pick<ContentStore, 'tableArrow'>;
  readonly limits: Pick<
    Limits,
    'tableBytesMax' | 'memoryThreadsMax' | 'memoryThreadBytesMax' | 'memoryEngineBytesMax' | 'memoryThreadIdleBytes' | 'viewBytesMax'
  >;
  readonly log: Logger;
  /** Where its threads are counted. */
  readonly counts?: ThreadCounts;
}

/** A table holds its columns wider than Arrow does, and is in the engine's memory as Arrow too while it is made. */
const BYTES_PER_ARROW_BYTE = 3.5;
/** What a table takes beside its columns. */
const TABLE_BYTES = 256 * 1024;

/**
 * The `memory` engine of tables: Perspective's own, in threads. A table lives in one thread; one that is not loaded yet takes
 * the thread with the fewest bytes, those of views included, of those that have room. A thread that fails takes its tables with it and nothing else.
 */
export class PerspectiveMemory {
  readonly name = 'memory';
  readonly dialect = 'exprtk';
  readonly #options: PerspectiveMemoryOptions;
  readonly #threads = new Set<MemoryThread>();
  /** Threads that have ended their work and are about to be gone. */
  readonly #ending = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: PerspectiveMemoryOptions) {
    this.#options = options;
  }

  /** The threads that run, for those who watch them. */
  get threads(): readonly MemoryThread[] {
    return [...this.#threads];
  }

  /** What its threads hold, together. */
  memory(): EngineMemory {
    const held = [...this.#threads].map(({ memory }) => memory);
    const sum = (of: keyof EngineMemory): number => held.reduce((bytes, memory) => bytes + memory[of], 0);
    return { heapBytes: sum('heapBytes'), usedBytes: sum('usedBytes') };
  }

  /**
   * Makes a table, hosted under `key`. `memory_limit` when it is too large or no thread has room, `unavailable` when the
   * engine does not run, `unprocessable_data` when it refuses the data, `cancelled` when the signal aborts.
   */
  async load(key: string, { source, columns, rowLimit }: MemorySource, control: Control): Promise<MemoryTable> {
    this.#assertOpen();
    // A thread takes some tenths of a second to start, in which the rows can be read.
    if (this.#threads.size === 0) this.#start();
    const { content, limits } = this.#options;
    const bytesMax = Math.max(0, Math.floor((limits.tableBytesMax - TABLE_BYTES) / BYTES_PER_ARROW_BYTE));
    const arrow = await content.tableArrow(source, { columns, rowLimit, bytesMax }, control).catch((fault: unknown) => {
      throw asOfTable(fault, bytesMax, limits.tableBytesMax);
    });
    this.#assertOpen();
    throwIfAborted(control.signal);
    const bytes = TABLE_BYTES + Math.ceil(arrow.bytes * BYTES_PER_ARROW_BYTE);
    const hosted = await this.#threadFor(bytes).load(key, arrow.pieces, bytes);
    if (control.signal.aborted) hosted.close();
    throwIfAborted(control.signal);
    return describe(hosted, arrow, { bytes, singles: singlesOf(source.content, arrow) });
  }

  /** Ends every table and thread. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const thread of [...this.#threads]) this.#retire(thread);
    await Promise.all(this.#ending);
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new CovistaError('unavailable', 'the engine of tables is closed');
  }

  #threadFor(bytes: number): MemoryThread {
    const { memoryThreadsMax, memoryThreadBytesMax } = this.#options.limits;
    const roomy = [...this.#threads].filter((thread) => thread.bytes + bytes <= memoryThreadBytesMax);
    const [least] = roomy.sort((one, other) => takenBy(one) - takenBy(other));
    if (least?.isEmpty) return least;
    if (bytes <= memoryThreadBytesMax && this.#threads.size < memoryThreadsMax) return this.#start();
    if (least !== undefined) return least;
    const message = 'no thread of the engine has room for this table; close others, or open fewer rows or columns';
    throw new CovistaError('memory_limit', message, { bytes, memoryThreadBytesMax });
  }

  #start(): MemoryThread {
    const thread: MemoryThread = new MemoryThread({
      log: this.#options.log,
      settings: { windowBytesMax: this.#options.limits.viewBytesMax, usedBytesMax: this.#options.limits.memoryEngineBytesMax },
      onGone: (isFailure) => {
        this.#threads.delete(thread);
        this.#options.counts?.ended('perspective-memory', isFailure);
      },
      onEmpty: () => {
        // The engine never gives memory back, so a thread that has more than it needs makes way for a new one.
        if (thread.held.heapBytes > this.#options.limits.memoryThreadIdleBytes) this.#retire(thread);
      },
    });
    this.#threads.add(thread);
    this.#options.counts?.started('perspective-memory');
    return thread;
  }

  #retire(thread: MemoryThread): void {
    this.#threads.delete(thread);
    const ending = thread.kill().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

/** What it was said to use has its views; what is being loaded is not in it yet. */
const takenBy = ({ bytes, memory }: MemoryThread): number => Math.max(bytes, memory.usedBytes);

/** Rows that are too large are told of by what a table may take, which is a limit that people know. */
function asOfTable(fault: unknown, bytesMax: number, tableBytesMax: number): unknown {
  if (!(fault instanceof CovistaError) || fault.code !== 'memory_limit' || fault.details.bytesMax !== bytesMax) return fault;
  const message = `the table would take more than ${tableBytesMax} bytes of memory; open fewer rows or columns, or another engine`;
  return new CovistaError('memory_limit', message, { tableBytesMax }, fault);
}

/**
 * What a table takes is told as it follows from its rows: what the engine measures depends on what else it did, and with it on
 * rows that who is told must not know of.
 */
function describe(hosted: MemoryHosted, { rows, schema }: TableArrow, held: Pick<MemoryTable, 'bytes' | 'singles'>): MemoryTable {
  return {
    ...held,
    rows,
    schema: new Map(schema.map(({ name, type }) => [name, type])),
    features: hosted.features,
    connect: (peer) => hosted.connect(peer),
    onLost: (listener) => hosted.onLost(listener),
    close: () => hosted.close(),
  };
}

/** Of the opened columns alone: an expression may have the name of one that is not in the table, hidden ones included. */
function singlesOf(content: MemorySource['source']['content'], { schema }: TableArrow): ReadonlySet<string> {
  const opened = new Set(schema.map(({ name }) => name));
  return new Set(content.schema.flatMap(({ name, type }) => (type === 'FLOAT' && opened.has(name) ? [name] : [])));
}
