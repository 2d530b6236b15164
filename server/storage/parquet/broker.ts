import { mkdir, readdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Control } from '../content-store.ts';
import { Admission, type QueryKind } from './admission.ts';
import { createHardenedInstance } from './instance.ts';
import { Interruption } from './interruption.ts';
import { Session } from './session.ts';

export type { QueryKind } from './admission.ts';
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

/**
 * The one owner of DuckDB. Interactive and bulk queries have an in-memory instance each, because the number of threads is a
 * setting of an instance: with one thread a short query starts at once on the libuv thread that carries it, and never queues
 * behind the tasks of a long one. Both share one memory budget and one admission.
 */
export class Broker {
  readonly #instances: Record<QueryKind, DuckDBInstance>;
  readonly #admission: Admission;
  readonly #limits: Limits;

  constructor(instances: Record<QueryKind, DuckDBInstance>, limits: Limits) {
    this.#instances = instances;
    this.#admission = new Admission(limits.duckdbQueriesMax, limits.duckdbQueueMax);
    this.#limits = limits;
  }

  /**
   * Runs work on a connection of its own, which is closed afterwards with everything temporary in it. Fails with
   * `rate_limited` when too many wait, `cancelled`, `timeout`, `memory_limit` or `storage_full`; other faults of a statement
   * are an EngineError.
   */
  async run<T>(kind: QueryKind, control: BrokerControl, work: (session: Session) => Promise<T>): Promise<T> {
    const interruption = new Interruption(control.signal, control.timeoutMs ?? this.#limits.operationTimeoutMs);
    try {
      const release = await this.#admission.acquire(kind, interruption);
      try {
        return await this.#runAdmitted(kind, control, interruption, work);
      } finally {
        release();
      }
    } finally {
      interruption.close();
    }
  }

  async #runAdmitted<T>(kind: QueryKind, control: Control, interruption: Interruption, work: (session: Session) => Promise<T>): Promise<T> {
    const connection = await this.#instances[kind].connect();
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

/** Interactive queries get this share of the memory and spill budgets. */
const INTERACTIVE_SHARE = 0.25;

export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const { limits, spillDirectory } = options;
  await wipe(spillDirectory);
  const directories = [...options.readableDirectories, spillDirectory];
  const open = (kind: QueryKind, threads: number, share: number): Promise<DuckDBInstance> =>
    createHardenedInstance({
      threads,
      memoryBytes: limits.duckdbMemoryBytes * share,
      spillDirectory: join(spillDirectory, kind),
      spillBytesMax: limits.duckdbSpillBytesMax * share,
      directories,
    });
  const threads = availableParallelism();
  const instances = {
    interactive: await open('interactive', 1, INTERACTIVE_SHARE),
    bulk: await open('bulk', threads, 1 - INTERACTIVE_SHARE),
  };
  options.log.info({ threads, memoryBytes: limits.duckdbMemoryBytes }, 'query engine started');
  return new Broker(instances, limits);
}

async function wipe(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
}
