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

/** A record batch ends at either: enough for readers to go fast, few enough to be held and written at once. */
const BATCH_ROWS = 32_768;
const BATCH_BYTES = 4 * 1024 * 1024;

/** Cells that are built at a stretch, between which a batch may end and others get their turn. */
const STEP_CELLS = 256;

/** How long values are built before the event loop gets its turn. */
const TURN_MS = 4;

/**
 * Writes a relation as an Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html), batch by batch: memory stays
 * that of a batch, and the event loop gets its turn every few milliseconds, however many columns there are.
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

/** Where batches end depends on the rows alone, not on how they arrive, so that the same rows give the same bytes. */
async function* batches(chunks: ChunkStream, columns: readonly ArrowBuilder[], schema: Schema, control: Control): AsyncGenerator<RecordBatch> {
  const stepRows = Math.max(1, Math.floor(STEP_CELLS / Math.max(1, columns.length)));
  let rows = 0;
  let turnEndsAtMs = performance.now() + TURN_MS;
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.rowCount; ) {
      const end = Math.min(chunk.rowCount, start + stepRows - (rows % stepRows));
      addRows(columns, chunk, { start, end });
      rows += end - start;
      start = end;
      if (rows % stepRows === 0 && (rows >= BATCH_ROWS || bytesOf(columns) >= BATCH_BYTES)) {
        yield toBatch(columns, schema, rows);
        rows = 0;
      }
      if (performance.now() < turnEndsAtMs) continue;
      await yieldToLoop();
      throwIfAborted(control.signal);
      turnEndsAtMs = performance.now() + TURN_MS;
    }
  }
  if (rows > 0) yield toBatch(columns, schema, rows);
}

function addRows(columns: readonly ArrowBuilder[], chunk: DuckDBDataChunk, { start, end }: { readonly start: number; readonly end: number }): void {
  for (const [index, column] of columns.entries()) column.appendRows(chunk.getColumnVector(index), start, end);
}

const bytesOf = (columns: readonly ArrowBuilder[]): number => columns.reduce((sum, { bytes }) => sum + bytes, 0);

function toBatch(columns: readonly ArrowBuilder[], schema: Schema, rows: number): RecordBatch {
  const children = columns.map((column) => column.take());
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}
