import { mkdir, readdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Control } from '../content-store.ts';
import { Admission, type QueryKind, type QueryLoad } from './admission.ts';
import { createHardenedInstance, type InstanceOptions } from './instance.ts';
import { Interruption } from './interruption.ts';
import { Session } from './session.ts';

export type { QueryKind, QueryLoad } from './admission.ts';
export type { ChunkStream, Session } from './session.ts';

export interface BrokerOptions {
  readonly limits: Limits;
  /** Private to this broker: whatever is in it when it starts is removed. */
  readonly spillDirectory: string;
  /** Directories that statements may read and write beside the spill directory. */
  readonly readableDirectories: readonly string[];
  readonly log: Logger;
}

export interface BrokerControl extends Control {
  /** Absent: `operationTimeoutMs`. Waiting counts. */
  readonly timeoutMs?: number;
}

interface Instances {
  readonly interactive: DuckDBInstance;
  /** Of background work, too. */
  readonly bulk: DuckDBInstance;
}

interface BrokerParts {
  readonly instances: Instances;
  /** Of the instance that a worker thread may have. */
  readonly threadOptions: InstanceOptions;
  readonly limits: Limits;
}

/**
 * The one owner of DuckDB. Interactive and bulk queries have an in-memory instance each, because the number of threads is a
 * setting of an instance: with one thread a short query starts at once on the libuv thread that carries it, and never queues
 * behind the tasks of a long one. Both share one memory budget and one admission.
 */
export class Broker {
  readonly #instances: Instances;
  readonly #threadOptions: InstanceOptions;
  readonly #admission: Admission;
  readonly #threadAdmission: Admission;
  readonly #limits: Limits;

  constructor({ instances, threadOptions, limits }: BrokerParts) {
    this.#instances = instances;
    this.#threadOptions = threadOptions;
    this.#admission = new Admission(limits.duckdbQueriesMax, limits.duckdbQueueMax);
    this.#threadAdmission = new Admission(1, limits.duckdbQueueMax);
    this.#limits = limits;
  }

  /** Queries that run, and that wait. */
  get load(): QueryLoad {
    return this.#admission.load;
  }

  /**
   * Runs work on a connection of its own, which is closed afterwards with everything temporary in it. Fails with
   * `rate_limited` when too many wait, `cancelled`, `timeout`, `memory_limit` or `storage_full`; other faults of a statement
   * are an EngineError.
   */
  async run<T>(kind: QueryKind, control: BrokerControl, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#within(control, (interruption) =>
      admitted(this.#admission, kind, interruption, () => this.#onConnection(kind, control, interruption, work)),
    );
  }

  /**
   * Admits work that a worker thread does with an instance of its own, which it opens with the options it is given. One at a
   * time, because all such instances share one part of the memory budget. Aborts its signal instead of failing by itself.
   */
  async runThread<T>(control: BrokerControl, work: (options: InstanceOptions, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#within(control, (interruption) =>
      admitted(this.#threadAdmission, 'bulk', interruption, () =>
        admitted(this.#admission, 'bulk', interruption, () => work(this.#threadOptions, interruption.signal)),
      ),
    );
  }

  async #within<T>(control: BrokerControl, work: (interruption: Interruption) => Promise<T>): Promise<T> {
    const interruption = new Interruption(control.signal, control.timeoutMs ?? this.#limits.operationTimeoutMs);
    try {
      return await work(interruption);
    } finally {
      interruption.close();
    }
  }

  async #onConnection<T>(kind: QueryKind, control: Control, interruption: Interruption, work: (session: Session) => Promise<T>): Promise<T> {
    const connection = await this.#instances[kind === 'interactive' ? kind : 'bulk'].connect();
    const session = new Session(connection, interruption, control.onProgress);
    try {
      const result = await work(session);
      interruption.throwIfInterrupted();
      return result;
    } finally {
      session.close();
    }
  }

  /** The caller sees to it that nothing runs any more. */
  close(): void {
    for (const instance of Object.values(this.#instances)) instance.closeSync();
  }
}

async function admitted<T>(admission: Admission, kind: QueryKind, interruption: Interruption, work: () => Promise<T>): Promise<T> {
  const release = await admission.acquire(kind, interruption);
  try {
    return await work();
  } finally {
    release();
  }
}

/** How the memory and spill budgets are shared out. */
const SHARES = { interactive: 1 / 6, bulk: 4 / 6, thread: 1 / 6 } as const;

export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const { limits, spillDirectory } = options;
  await wipe(spillDirectory);
  const directories = [...options.readableDirectories, spillDirectory];
  const optionsOf = (part: keyof typeof SHARES, threads: number): InstanceOptions => ({
    threads,
    memoryBytes: limits.duckdbMemoryBytes * SHARES[part],
    spillDirectory: join(spillDirectory, part),
    spillBytesMax: limits.duckdbSpillBytesMax * SHARES[part],
    directories,
  });
  const threads = availableParallelism();
  const instances = {
    interactive: await createHardenedInstance(optionsOf('interactive', 1)),
    bulk: await createHardenedInstance(optionsOf('bulk', threads)),
  };
  options.log.info({ threads, memoryBytes: limits.duckdbMemoryBytes }, 'query engine started');
  return new Broker({ instances, threadOptions: optionsOf('thread', 1), limits });
}

async function wipe(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
}
