import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { Field, makeData, RecordBatch, RecordBatchStreamWriter, Schema, Struct } from 'apache-arrow';
import { throwIfAborted } from '../../shared/abort.ts';
import { present } from '../../shared/assert.ts';
import type { Control } from '../content-store.ts';
import type { ArrowBuilder } from './arrow-builders.ts';
import { arrowBuilder } from './arrow-columns.ts';
import { identifier } from './quote.ts';
import type { Relation } from './relation.ts';
import type { ChunkStream, Session } from './session.ts';
import { PIECES_MAX, piecesFor, piecesSql } from './text-pieces.ts';

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
  const columns = await planColumns(session, relation);
  const schema = new Schema(columns.map(({ name, builder }) => new Field(name, builder.type, true)));
  const list = columns.flatMap(({ vectors }) => vectors).map((sql, index) => `${sql} AS "c${index}"`);
  const chunks = await session.chunks(`SELECT ${list.join(', ')} FROM (${relation.sql})`, relation.values);
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

/** A column, what builds it, and the SQL of the vectors that it is built of. */
interface ExportColumn {
  readonly name: string;
  readonly builder: ArrowBuilder;
  readonly vectors: readonly string[];
}

/** How long texts are decides how they are read. */
async function planColumns(session: Session, { schema, sql, values }: Relation): Promise<ExportColumn[]> {
  const lengths = schema.flatMap(({ name, type }, index) => (type === 'VARCHAR' ? [`max(strlen(${identifier(name)})) AS "t${index}"`] : []));
  const [longest = {}] = lengths.length === 0 ? [] : await session.rows(`SELECT ${lengths.join(', ')} FROM (${sql})`, values);
  return schema.map(({ name, type }, index) => {
    const pieces = piecesFor(Number(longest[`t${index}`] ?? 0));
    return { name, builder: arrowBuilder(type), vectors: piecesSql(identifier(name), pieces <= PIECES_MAX ? pieces : 1) };
  });
}

/** Where batches end depends on the rows alone, not on how they arrive, so that the same rows give the same bytes. */
async function* batches(chunks: ChunkStream, columns: readonly ExportColumn[], schema: Schema, control: Control): AsyncGenerator<RecordBatch> {
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

function addRows(columns: readonly ExportColumn[], chunk: DuckDBDataChunk, { start, end }: { readonly start: number; readonly end: number }): void {
  let at = 0;
  for (const { builder, vectors } of columns) {
    const [first, ...others] = vectors.map((_sql, index) => chunk.getColumnVector(at + index));
    builder.appendRows([present(first, 'a vector of a column'), ...others], start, end);
    at += vectors.length;
  }
}

const bytesOf = (columns: readonly ExportColumn[]): number => columns.reduce((sum, { builder }) => sum + builder.bytes, 0);

function toBatch(columns: readonly ExportColumn[], schema: Schema, rows: number): RecordBatch {
  const children = columns.map(({ builder }) => builder.take());
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}
