import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';
import { type DuckDBConnection, DuckDBDataChunk, type DuckDBType } from '@duckdb/node-api';
import { CompressionType, compressionRegistry, type RecordBatch, RecordBatchReader } from 'apache-arrow';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import { translateEngineError } from '../storage/parquet/engine-error.ts';
import { createHardenedInstance } from '../storage/parquet/instance.ts';
import { identifier } from '../storage/parquet/quote.ts';
import { ARROW_TABLE, type ArrowIngestJob, type FromArrowIngest, type ToArrowIngest } from './arrow-ingest.protocol.ts';
import { assertBatchesFit, FILE_PREFIX_BYTES } from './arrow-messages.ts';
import { duckdbType } from './arrow-types.ts';
import { readerOf } from './arrow-values.ts';
import { decodeLz4Frame } from './lz4-frame.ts';

const port = present(parentPort, 'the port of a worker');
const job: ArrowIngestJob = workerData;
const CHUNK_ROWS = 2048;

let isCancelled = false;
let connection: DuckDBConnection | undefined;

const post = (message: FromArrowIngest): void => port.postMessage(message);

function throwIfCancelled(): void {
  if (isCancelled) throw new CovistaError('cancelled', 'the conversion was cancelled');
}

compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => decodeLz4Frame(bytes, job.batchBytesMax) });
compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: job.batchBytesMax }) });

interface Column {
  readonly name: string;
  readonly type: DuckDBType;
}

async function main(): Promise<void> {
  const handle = await open(job.path, 'r');
  try {
    await assertBatchesFit(handle, job.batchBytesMax);
    const reader = await openReader(handle);
    if (reader === undefined) return;
    const columns = reader.schema.fields.map((field) => ({ name: field.name, type: duckdbType(field) }));
    post({ kind: 'columns', columns: columns.map(({ name, type }) => ({ name, type: type.toString() })) });
    const [answer]: ToArrowIngest[] = await once(port, 'message');
    throwIfCancelled();
    if (answer?.kind === 'convert') await convert(reader, columns, answer.statement);
  } finally {
    await handle.close();
  }
}

async function openReader(handle: FileHandle): Promise<RecordBatchReader | undefined> {
  try {
    const reader: RecordBatchReader = await RecordBatchReader.from(handle);
    await reader.open();
    return reader;
  } catch (error) {
    const stream = await openCutFile();
    if (stream === undefined) post({ kind: 'unreadable', reason: error instanceof Error ? error.message : String(error) });
    return stream;
  }
}

/** A file without its footer is still a stream behind its first eight bytes. */
async function openCutFile(): Promise<RecordBatchReader | undefined> {
  try {
    const reader: RecordBatchReader = await RecordBatchReader.from(createReadStream(job.path, { start: FILE_PREFIX_BYTES }));
    await reader.open();
    return reader.schema === undefined ? undefined : reader;
  } catch {
    // Then it is no Arrow at all, which the caller reports with the first error.
    return undefined;
  }
}

/** Fills a table, which spills to disk when it is larger than memory, and writes it with the statement that was given. */
async function convert(reader: RecordBatchReader, columns: readonly Column[], statement: string): Promise<void> {
  const instance = await createHardenedInstance({ ...job, threads: 1 });
  try {
    connection = await instance.connect();
    const list = columns.map(({ name, type }) => `${identifier(name)} ${type}`).join(', ');
    await connection.run(`CREATE TEMP TABLE ${identifier(ARROW_TABLE)} (${list})`);
    const damage = await fill(connection, reader, columns);
    throwIfCancelled();
    const { rowsChanged: rows } = await connection.run(statement);
    post({ kind: 'done', rows, damage });
  } finally {
    connection?.closeSync();
    instance.closeSync();
  }
}

/** Why reading ended before the end of the file; null when it did not. */
async function fill(target: DuckDBConnection, reader: RecordBatchReader, columns: readonly Column[]): Promise<string | null> {
  const appender = await target.createAppender(ARROW_TABLE);
  const batches = reader[Symbol.asyncIterator]();
  const types = columns.map(({ type }) => type);
  let rows = 0;
  for (;;) {
    const batch = await batches.next().catch((error: unknown) => new Damage(error));
    if (batch instanceof Damage || batch.done) {
      appender.closeSync();
      return batch instanceof Damage ? `the Arrow data breaks off after ${rows} rows: ${batch.reason}` : null;
    }
    for await (const chunk of chunksOf(batch.value, types)) appender.appendDataChunk(chunk);
    rows += batch.value.numRows;
    post({ kind: 'progress', rows });
  }
}

class Damage {
  readonly reason: string;

  constructor(error: unknown) {
    this.reason = error instanceof Error ? error.message : String(error);
  }
}

async function* chunksOf(batch: RecordBatch, types: readonly DuckDBType[]): AsyncGenerator<DuckDBDataChunk> {
  const readers = types.map((_type, index) => readerOf(present(batch.data.children[index], 'a column of a batch')));
  for (let start = 0; start < batch.numRows; start += CHUNK_ROWS) {
    const length = Math.min(CHUNK_ROWS, batch.numRows - start);
    const chunk = DuckDBDataChunk.create(types, length);
    for (const [index, read] of readers.entries()) {
      const vector = chunk.getColumnVector(index);
      for (let row = 0; row < length; row += 1) vector.setItem(row, read(start + row));
      vector.flush();
    }
    yield chunk;
    // Lets a cancellation in.
    await setImmediate();
    throwIfCancelled();
  }
}

port.on('message', (message: ToArrowIngest) => {
  if (message.kind !== 'cancel') return;
  isCancelled = true;
  connection?.interrupt();
});

try {
  await main();
} catch (thrown) {
  const error = translateEngineError(thrown);
  if (error instanceof CovistaError) post({ kind: 'failed', error: errorBody(error) });
  else if (error instanceof RangeError) post({ kind: 'unreadable', reason: error.message });
  else throw error;
} finally {
  port.close();
}
