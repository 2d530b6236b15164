import { availableParallelism } from 'node:os';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { Limits } from '../../../protocol/limits.ts';
import { Admission, type QueryKind } from '../../storage/parquet/admission.ts';
import { Interruption } from '../../storage/parquet/interruption.ts';
import { Session } from '../../storage/parquet/session.ts';

/** Runs queries on an instance, no more than the limits allow at once. Windows are `interactive`, and never wait behind pivots. */
export class Queries {
  readonly #instance: DuckDBInstance;
  readonly #admission: Admission;
  readonly #timeoutMs: number;
  /** Connections that wait for work, at most as many as queries may run at once: making one takes as long as reading a window. */
  readonly #idle: DuckDBConnection[] = [];

  constructor(instance: DuckDBInstance, limits: Limits) {
    this.#instance = instance;
    // One core stays free of pivots: whoever answers meanwhile needs it.
    const runningMax = Math.min(limits.duckdbTablesQueriesMax, Math.max(2, availableParallelism()));
    this.#admission = new Admission(runningMax, limits.duckdbQueueMax);
    this.#timeoutMs = limits.operationTimeoutMs;
  }

  /** Runs work on a connection that nobody else has meanwhile. Fails with `rate_limited`, `cancelled`, `timeout` or `memory_limit`, or an EngineError. */
  async run<T>(kind: QueryKind, signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#run(kind, new Interruption(signal, this.#timeoutMs), work);
  }

  /** Takes away what nobody needs any more: it is never refused, and waits for its turn as long as that takes. */
  async remove(work: (session: Session) => Promise<void>): Promise<void> {
    return this.#run('removal', new Interruption(new AbortController().signal), work);
  }

  async #run<T>(kind: QueryKind, interruption: Interruption, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      const release = await this.#admission.acquire(kind, interruption);
      try {
        return await this.#onConnection(interruption, work);
      } finally {
        release();
      }
    } finally {
      interruption.close();
    }
  }

  async #onConnection<T>(interruption: Interruption, work: (session: Session) => Promise<T>): Promise<T> {
    const session = new Session(this.#idle.pop() ?? (await this.#instance.connect()), interruption, undefined);
    let isSound = false;
    try {
      const result = await work(session);
      interruption.throwIfInterrupted();
      isSound = true;
      return result;
    } finally {
      if (isSound) this.#idle.push(session.release());
      else session.close();
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.closeSync();
    this.#instance.closeSync();
  }
}
