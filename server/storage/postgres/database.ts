import { createPgDriverFactory } from '@slonik/pg-driver';
import pg from 'pg';
import { type CommonQueryMethods, createPool, type DatabasePool, type QuerySqlToken } from 'slonik';
import type { z } from 'zod';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert, present } from '../../shared/assert.ts';
import type { Logger } from '../../shared/log.ts';
import { isLostConnection, isTransient, translate } from './faults.ts';
import { preparing, withSettings } from './prepared.ts';
import { sql } from './sql.ts';

type Query<Row> = QuerySqlToken<z.ZodType<Row, z.ZodTypeDef, Row>>;

/** Where statements run: on any connection of the pool, or inside of a transaction. */
export interface Executor {
  rows<Row>(query: Query<Row>): Promise<readonly Row[]>;
  /** The first row, if there is any. */
  first<Row>(query: Query<Row>): Promise<Row | undefined>;
  one<Row>(query: Query<Row>): Promise<Row>;
}

const DELETED_AT_ONCE_MAX = 10_000;

/** Deletes what `some` selects by `ctid`, given a bound, piece by piece: each is short, whatever has piled up. */
export async function deleteInPieces(executor: Executor, deleteSome: (rowsMax: number) => Query<{ readonly deleted: number }>): Promise<void> {
  while ((await executor.one(deleteSome(DELETED_AT_ONCE_MAX))).deleted === DELETED_AT_ONCE_MAX);
}

/** Thrown inside of a transaction to roll it back and run it again, because it met what another one was just committing. */
export class RunAgain extends Error {
  override readonly name = 'RunAgain';
}

const RUNS_MAX = 5;

const START = sql<Record<string, never>>`START TRANSACTION`;
const COMMIT = sql<Record<string, never>>`COMMIT`;
const ROLLBACK = sql<Record<string, never>>`ROLLBACK`;

/** 64-bit integers of the schema (rows, bytes, sequences) stay far below 2^53; one that does not is a fault. */
function parseInteger(text: string): number {
  const value = Number(text);
  assert(Number.isSafeInteger(value), `integer ${text} of the database`);
  return value;
}

const parseDate = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => Date;

function executor(methods: CommonQueryMethods): Executor {
  return {
    rows: (query) => methods.any(query),
    first: async (query) => (await methods.any(query))[0],
    one: async (query) => present((await methods.any(query))[0], 'the row of a query'),
  };
}

/** Whether the connection can go on; what went wrong before says more than what keeps it from being rolled back. */
async function isRolledBack(transaction: Executor): Promise<boolean> {
  return transaction.rows(ROLLBACK).then(
    () => true,
    () => false,
  );
}

/** A bounded pool of PostgreSQL connections; whatever fails comes out as the protocol's error. */
export class Database implements Executor {
  readonly url: string;
  readonly limits: Limits;
  readonly log: Logger;
  readonly #pool: DatabasePool;
  readonly #executor: Executor;

  constructor(url: string, limits: Limits, log: Logger, pool: DatabasePool) {
    this.url = url;
    this.limits = limits;
    this.log = log;
    this.#pool = pool;
    this.#executor = executor(pool);
  }

  rows<Row>(query: Query<Row>): Promise<readonly Row[]> {
    return this.#guarded(() => this.#executor.rows(query));
  }

  first<Row>(query: Query<Row>): Promise<Row | undefined> {
    return this.#guarded(() => this.#executor.first(query));
  }

  one<Row>(query: Query<Row>): Promise<Row> {
    return this.#guarded(() => this.#executor.one(query));
  }

  /**
   * Runs `work` in one transaction, which is rolled back when it throws; again, a bounded number of times, when it lost
   * against another transaction.
   */
  async transaction<Result>(work: (transaction: Executor) => Promise<Result>): Promise<Result> {
    for (let run = 1; ; run += 1) {
      const outcome = await this.#guarded(() => this.#runOnce(work));
      if (outcome.done) return outcome.result;
      const again = outcome.error instanceof RunAgain || isTransient(outcome.error);
      if (!again) throw translate(outcome.error);
      if (run === RUNS_MAX) throw new CovistaError('unavailable', 'the change kept meeting others; try again', {}, outcome.error);
    }
  }

  /**
   * The pool closes a connection on which a routine throws, so an error that does not concern the connection leaves as a value.
   * Slonik's own transactions follow every promise of the process from the first one on (`AsyncLocalStorage`), which slows down
   * whatever the process does.
   */
  #runOnce<Result>(work: (transaction: Executor) => Promise<Result>) {
    return this.#pool.connect(async (connection) => {
      const transaction = executor(connection);
      await transaction.rows(START);
      try {
        const result = await work(transaction);
        await transaction.rows(COMMIT);
        return { done: true, result } as const;
      } catch (error) {
        if (isLostConnection(error) || !(await isRolledBack(transaction))) throw error;
        return { done: false, error } as const;
      }
    });
  }

  async #guarded<Result>(routine: () => Promise<Result>): Promise<Result> {
    const { databaseQueueMax } = this.limits;
    if (this.#pool.state().waitingClients >= databaseQueueMax) {
      throw new CovistaError('unavailable', 'too many requests wait for the database', { databaseQueueMax });
    }
    try {
      return await routine();
    } catch (error) {
      throw translate(error);
    }
  }

  pool(): { readonly busy: number; readonly idle: number; readonly waiting: number } {
    const { acquiredConnections: busy, idleConnections: idle, waitingClients: waiting } = this.#pool.state();
    return { busy, idle, waiting };
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

/** Connects once, so that a wrong url or a database that is down shows here. */
export async function openDatabase(options: { readonly url: string; readonly limits: Limits; readonly log: Logger }): Promise<Database> {
  const { url, limits, log } = options;
  try {
    const pool = await createPool(withSettings(url), {
      driverFactory: preparing(createPgDriverFactory()),
      maximumPoolSize: limits.databasePoolMax,
      statementTimeout: limits.statementTimeoutMs,
      // A transaction is idle only while commits publish their files, which is bounded like any operation.
      idleInTransactionSessionTimeout: limits.operationTimeoutMs,
      idleTimeout: limits.operationTimeoutMs,
      // Nothing here changes the state of a session, so a returned connection needs no reset.
      resetConnection: async () => {},
      queryRetryLimit: 0,
      transactionRetryLimit: 0,
      typeParsers: [
        { name: 'int8', parse: parseInteger },
        { name: 'timestamptz', parse: (text: string) => parseDate(text).toISOString() },
      ],
    });
    return new Database(url, limits, log, pool);
  } catch (error) {
    throw translate(error);
  }
}
