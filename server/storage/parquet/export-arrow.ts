import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { Field, makeData, Null, RecordBatch, RecordBatchStreamWriter, Schema, Struct } from 'apache-arrow';
import { throwIfAborted } from '../../shared/abort.ts';
import type { Control } from '../content-store.ts';
import type { ArrowBuilder } from './arrow-builders.ts';
import { arrowBuilder } from './arrow-columns.ts';
import type { Relation } from './relation.ts';
import type { ChunkStream, Session } from './session.ts';

/** Rows of a record batch: enough for readers to go fast, few enough to be built in small steps. */
const BATCH_ROWS = 32_768;

/**
 * Writes a relation as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html), batch by batch: memory stays
 * that of a batch, and the event loop gets its turn after every piece of 2,048 rows.
 */
export async function writeArrow(session: Session, relation: Relation, path: string, control: Control): Promise<void> {
  const columns = relation.schema.map(({ type }) => arrowBuilder(type));
  const schema = new Schema(relation.schema.map(({ name }, index) => new Field(name, columns[index]?.type ?? new Null(), true)));
  const chunks = await session.chunks(relation.sql, relation.values);
  const writer = new RecordBatchStreamWriter();
  const written = pipeline(writer.toNodeStream(), createWriteStream(path, { flags: 'w' }));
  try {
    writer.reset(undefined, schema);
    for await (const batch of batches(chunks, columns, schema, control)) writer.write(batch);
    writer.finish();
  } catch (error) {
    writer.abort(error);
    await written.catch(() => undefined);
    throw error;
  }
  await written;
}

async function* batches(chunks: ChunkStream, columns: readonly ArrowBuilder[], schema: Schema, control: Control): AsyncGenerator<RecordBatch> {
  let rows = 0;
  for await (const chunk of chunks) {
    throwIfAborted(control.signal);
    addChunk(columns, chunk);
    rows += chunk.rowCount;
    if (rows >= BATCH_ROWS) {
      yield toBatch(columns, schema, rows);
      rows = 0;
    }
    await yieldToLoop();
  }
  if (rows > 0) yield toBatch(columns, schema, rows);
}

function addChunk(columns: readonly ArrowBuilder[], chunk: DuckDBDataChunk): void {
  for (const [index, column] of columns.entries()) {
    const vector = chunk.getColumnVector(index);
    for (let row = 0; row < chunk.rowCount; row += 1) column.append(vector.getItem(row));
  }
}

function toBatch(columns: readonly ArrowBuilder[], schema: Schema, rows: number): RecordBatch {
  const children = columns.map((column) => column.take());
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}
