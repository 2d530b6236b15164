import { type DuckDBConnection, type DuckDBDataChunk, type DuckDBType, DuckDBTypeId, type DuckDBValue } from '@duckdb/node-api';
import { Turns } from '../../shared/turns.ts';
import type { OnProgress, Row } from '../content-store.ts';
import { translateEngineError } from './engine-error.ts';
import type { Interruption } from './interruption.ts';
import { readRows } from './json-values.ts';

/** An interrupt is lost on a statement that waits for its thread, so it is repeated until the statement has ended. */
const INTERRUPT_EVERY_MS = 20;
const PROGRESS_EVERY_MS = 250;

/** What a parameter's type is before a value is bound, where nothing around it says. */
const UNKNOWN_TYPES: readonly DuckDBTypeId[] = [DuckDBTypeId.INVALID, DuckDBTypeId.ANY, DuckDBTypeId.SQLNULL];

export interface ChunkStream extends AsyncIterable<DuckDBDataChunk> {
  readonly names: readonly string[];
  readonly types: readonly DuckDBType[];
}

/** A result that is there as a whole. */
export interface WholeResult {
  readonly types: readonly DuckDBType[];
  readonly chunks: readonly DuckDBDataChunk[];
}

/** One connection, for as long as a piece of work holds it. Parameters are `?`, in order. */
export class Session {
  readonly #connection: DuckDBConnection;
  readonly #interruption: Interruption;
  readonly #onProgress: OnProgress | undefined;
  readonly #forget: () => void;
  #interrupts: NodeJS.Timeout | undefined;

  constructor(connection: DuckDBConnection, interruption: Interruption, onProgress: OnProgress | undefined) {
    this.#connection = connection;
    this.#interruption = interruption;
    this.#onProgress = onProgress;
    this.#forget = interruption.onInterrupt(() => this.#interrupt());
  }

  /** Runs a statement and returns the number of rows that it wrote or changed. */
  async execute(sql: string, values?: readonly unknown[]): Promise<number> {
    const result = await this.#attempt(() => this.#connection.run(sql, bindable(values)));
    return result.rowsChanged;
  }

  /** Runs a statement, telling the caller's `onProgress` how far it has come. */
  async executeWithProgress(phase: string, sql: string, values?: readonly unknown[]): Promise<number> {
    const onProgress = this.#onProgress;
    if (onProgress === undefined) return this.execute(sql, values);
    await this.execute('SET enable_progress_bar_print = false');
    await this.execute('SET enable_progress_bar = true');
    const timer = setInterval(() => {
      const { percentage } = this.#connection.progress;
      if (percentage >= 0) onProgress({ phase, done: Math.round(percentage), total: 100, unit: 'steps' });
    }, PROGRESS_EVERY_MS);
    try {
      return await this.execute(sql, values);
    } finally {
      clearInterval(timer);
    }
  }

  /** All rows, as JSON values. For results that the caller knows to be small. */
  async rows(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    const rows: Row[] = [];
    const turns = new Turns();
    const stream = await this.chunks(sql, values);
    for await (const chunk of stream) for await (const some of readRows(chunk, stream, turns)) rows.push(...some);
    return rows;
  }

  /** Rows in pieces, produced as they are read. Must be read to its end or left by closing the session. */
  async chunks(sql: string, values?: readonly unknown[]): Promise<ChunkStream> {
    const result = await this.#attempt(() => this.#connection.stream(sql, bindable(values)));
    const fetch = (): Promise<DuckDBDataChunk | null> => this.#attempt(() => result.fetchChunk());
    return {
      names: result.columnNames(),
      types: result.columnTypes(),
      [Symbol.asyncIterator]: () => iterate(fetch),
    };
  }

  /** A whole result at once. For results that the caller knows to be small: it is one way to the engine, where a stream takes several. */
  async whole(sql: string, values?: readonly unknown[]): Promise<WholeResult> {
    const result = await this.#attempt(() => this.#connection.run(sql, bindable(values)));
    return { types: result.columnTypes(), chunks: Array.from({ length: result.chunkCount }, (_unused, index) => result.getChunk(index)) };
  }

  /** Names and types of the columns that a SELECT yields, without running it. */
  async describe(sql: string): Promise<{ name: string; type: DuckDBType }[]> {
    const prepared = await this.#attempt(() => this.#connection.prepare(sql));
    const columns = Array.from({ length: prepared.columnCount }, (_unused, index) => ({
      name: prepared.columnName(index),
      type: prepared.columnType(index),
    }));
    prepared.destroySync();
    return columns;
  }

  /** Types of the named parameters of a SELECT, as far as it tells them, and of its columns, if it tells those of all parameters. */
  async signature(sql: string): Promise<{ readonly parameters: ReadonlyMap<string, string>; readonly columns: string[] | undefined }> {
    const prepared = await this.#attempt(() => this.#connection.prepare(sql));
    const known: [string, string][] = [];
    for (let index = 1; index <= prepared.parameterCount; index += 1) {
      if (!UNKNOWN_TYPES.includes(prepared.parameterTypeId(index)))
        known.push([prepared.parameterName(index), prepared.parameterType(index).toString()]);
    }
    const isKnown = known.length === prepared.parameterCount;
    const columns = isKnown ? Array.from({ length: prepared.columnCount }, (_unused, index) => prepared.columnType(index).toString()) : undefined;
    prepared.destroySync();
    return { parameters: new Map(known), columns };
  }

  close(): void {
    this.release().closeSync();
  }

  /** Ends the session and leaves its connection to another. Only after work that succeeded, which has read every stream to its end. */
  release(): DuckDBConnection {
    this.#forget();
    clearInterval(this.#interrupts);
    return this.#connection;
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    this.#interruption.throwIfInterrupted();
    try {
      const result = await work();
      this.#interruption.throwIfInterrupted();
      return result;
    } catch (error) {
      throw this.#interruption.reason ?? translateEngineError(error);
    }
  }

  #interrupt(): void {
    this.#connection.interrupt();
    this.#interrupts = setInterval(() => this.#connection.interrupt(), INTERRUPT_EVERY_MS);
  }
}

/** The engine makes the next chunk while the last one is read. */
async function* iterate(fetch: () => Promise<DuckDBDataChunk | null>): AsyncGenerator<DuckDBDataChunk> {
  let next = fetch();
  try {
    for (;;) {
      const chunk = await next;
      if (chunk === null || chunk.rowCount === 0) return;
      next = fetch();
      // It may fail before it is asked for.
      next.catch(() => undefined);
      yield chunk;
    }
  } finally {
    // A connection that is closed must not be at work.
    await next.catch(() => undefined);
  }
}

function bindable(values: readonly unknown[] | undefined): DuckDBValue[] | undefined {
  return values === undefined || values.length === 0 ? undefined : (values as DuckDBValue[]);
}
