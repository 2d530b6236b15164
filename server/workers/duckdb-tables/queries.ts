import type { DuckDBInstance } from '@duckdb/node-api';
import type { Limits } from '../../../protocol/limits.ts';
import { Admission, type QueryKind } from '../../storage/parquet/admission.ts';
import { Interruption } from '../../storage/parquet/interruption.ts';
import { Session } from '../../storage/parquet/session.ts';

/** Runs queries on an instance, no more than the limits allow at once. Windows are `interactive`, and never wait behind pivots. */
export class Queries {
  readonly #instance: DuckDBInstance;
  readonly #admission: Admission;
  readonly #timeoutMs: number;

  constructor(instance: DuckDBInstance, limits: Limits) {
    this.#instance = instance;
    this.#admission = new Admission(limits.duckdbTablesQueriesMax, limits.duckdbQueueMax);
    this.#timeoutMs = limits.operationTimeoutMs;
  }

  /** Runs work on a connection of its own. Fails with `rate_limited`, `cancelled`, `timeout` or `memory_limit`, or an EngineError. */
  async run<T>(kind: QueryKind, signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const interruption = new Interruption(signal, this.#timeoutMs);
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
    const session = new Session(await this.#instance.connect(), interruption, undefined);
    try {
      const result = await work(session);
      interruption.throwIfInterrupted();
      return result;
    } finally {
      session.close();
    }
  }

  close(): void {
    this.#instance.closeSync();
  }
}
