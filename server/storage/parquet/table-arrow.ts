import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { type Data, Field, makeData, Null, RecordBatch, RecordBatchStreamWriter, Schema, Struct, Utf8, Vector } from 'apache-arrow';
import { CovistaError } from '../../../protocol/errors.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import { assert } from '../../shared/assert.ts';
import {
  type ContentStore,
  type Control,
  type Row,
  type ScopedContent,
  showsAllRows,
  type TableArrow,
  type TableSelection,
} from '../content-store.ts';
import type { Column } from '../stores.ts';
import { TextBuilder } from './arrow-builders.ts';
import type { Broker, Session } from './broker.ts';
import { identifier } from './quote.ts';
import { scopedRelation } from './relation.ts';
import { type TableColumn, tableColumn, unusualTimeSql } from './table-columns.ts';
import { type ColumnCollector, codeCollector, rowBytes, TextCollector, valueCollector } from './table-vectors.ts';
import { showingNul } from './text-dictionary.ts';
import { PIECES_MAX, piecesFor, piecesSql } from './text-pieces.ts';

/** The rows that a table is made of, as SQL that takes `values` once, for its `?` in order. */
interface Selected {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly schema: readonly Column[];
}

/**
 * Renders rows as one Arrow IPC stream with one record batch, its texts encoded by dictionary. Everything that takes time is
 * done by DuckDB in its own threads: here vectors are copied and short texts numbered, and the event loop gets its turn after each 2,048 rows.
 */
export function createTableArrow(broker: Broker): ContentStore['tableArrow'] {
  return (source, selection, control) => {
    const selected = select(source, selection);
    return broker.run('bulk', control, (session) => render(session, { source, selection, selected }, control));
  };
}

function select(source: ScopedContent, { columns, rowLimit }: TableSelection): Selected {
  const relation = scopedRelation(source, { columns: columns ?? undefined });
  const schema = columns === null ? relation.schema : columns.map((name) => visibleColumn(relation.schema, name));
  const list = schema.map(({ name }) => identifier(name)).join(', ');
  const limit = rowLimit === null ? '' : ` LIMIT ${rowLimit}`;
  return { sql: `SELECT ${list} FROM (${relation.sql})${limit}`, values: relation.values, schema };
}

function visibleColumn(schema: readonly Column[], name: string): Column {
  const column = schema.find((candidate) => candidate.name === name);
  if (column === undefined) throw new CovistaError('invalid_input', `there is no column ${JSON.stringify(name)}`, { column: name });
  return column;
}

interface Job {
  readonly source: ScopedContent;
  readonly selection: TableSelection;
  readonly selected: Selected;
}

/** A column with what is known of its values. */
interface Surveyed extends TableColumn {
  /** Bytes of the longest text; 0 in a column of none. */
  readonly textBytes: number;
}

/** How a column is read, and what takes it. */
interface ColumnRead {
  /** SQL of its vectors. */
  readonly vectors: readonly string[];
  readonly collector: ColumnCollector;
}

async function render(session: Session, job: Job, control: Control): Promise<TableArrow> {
  const { selected, selection } = job;
  const { rows, columns } = await survey(session, job);
  const room = new Room(selection.bytesMax, rows * columns.reduce((sum, { sqlType }) => sum + rowBytes(sqlType), 0));
  const reads: ColumnRead[] = [];
  for (const [index, column] of columns.entries()) reads.push(await planRead(session, { selected, column, index, room, rows }, control));
  await collect(session, { selected, reads, room }, control);
  const pieces = await toStream(columns, reads, rows);
  return { rows, pieces, bytes: room.bytes, schema: columns.map(({ name, type }) => ({ name, type })) };
}

/** Bytes of the longest text that a time becomes which is not held as such. */
const TIME_TEXT_BYTES = 48;

/** How many rows there are, what their columns are in a table, which depends on the values of times, and how long texts are. */
async function survey(session: Session, { source, selection, selected }: Job): Promise<{ rows: number; columns: Surveyed[] }> {
  const aggregates = selected.schema.flatMap((column, index) => {
    const isUnusual = unusualTimeSql(column);
    if (isUnusual !== undefined) return [`coalesce(bool_or(${isUnusual}), false) AS "u${index}"`];
    const { sqlType, sql } = tableColumn(column, false);
    return sqlType === 'VARCHAR' ? [`coalesce(max(strlen(${sql})), 0) AS "t${index}"`] : [];
  });
  const describe = (row: Row): Surveyed[] =>
    selected.schema.map((column, index) => {
      const isUnusual = row[`u${index}`] === true;
      return { ...tableColumn(column, isUnusual), textBytes: isUnusual ? TIME_TEXT_BYTES : Number(row[`t${index}`] ?? 0) };
    });
  if (aggregates.length === 0 && showsAllRows(source.content.schema, source.scope)) {
    return { rows: Math.min(source.content.rows, selection.rowLimit ?? source.content.rows), columns: describe({}) };
  }
  const [row] = await session.rows(`SELECT ${['count(*) AS rows', ...aggregates].join(', ')} FROM (${selected.sql})`, selected.values);
  return { rows: Number(row?.rows), columns: describe(row ?? {}) };
}

/** What Arrow takes is told before it is taken. */
class Room {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number, bytes: number) {
    this.#bytesMax = bytesMax;
    this.take(bytes);
  }

  /** What was taken: it follows from the rows alone, which the length of the stream does not quite. */
  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    const message = `the table takes more than ${this.#bytesMax} bytes; open fewer rows or columns of it`;
    throw new CovistaError('memory_limit', message, { bytesMax: this.#bytesMax });
  }
}

interface ReadJob {
  readonly selected: Selected;
  readonly column: Surveyed;
  readonly index: number;
  readonly room: Room;
  readonly rows: number;
}

/** Texts of more than `PIECES_MAX` pieces DuckDB numbers, which takes it longer the more different ones there are. */
async function planRead(session: Session, job: ReadJob, control: Control): Promise<ColumnRead> {
  const { column, rows, index } = job;
  const { sql, sqlType, textBytes } = column;
  if (sqlType !== 'VARCHAR') return { vectors: [sql], collector: valueCollector(sqlType, rows) };
  const pieces = piecesFor(textBytes);
  if (pieces <= PIECES_MAX) return { vectors: piecesSql(sql, pieces), collector: new TextCollector(rows, pieces) };
  const dictionary = await makeDictionary(session, job, control);
  return { vectors: [`CAST(enum_code(CAST(${sql} AS ${typeName(index)})) AS INTEGER)`], collector: codeCollector(rows, dictionary) };
}

const typeName = (index: number): string => identifier(`covista_texts_${index}`);

/** DuckDB numbers the distinct texts of a column, so that none of them is read twice. */
async function makeDictionary(session: Session, { selected, column, index, room }: ReadJob, control: Control): Promise<Vector> {
  const texts = `SELECT DISTINCT ${column.sql} AS text FROM (${selected.sql})`;
  await session.execute(`CREATE TEMP TYPE ${typeName(index)} AS ENUM (SELECT text FROM (${texts}) WHERE text IS NOT NULL)`, selected.values);
  const builder = new TextBuilder(new Utf8(), (value) => value as string);
  for await (const chunk of await session.chunks(`SELECT unnest(enum_range(CAST(NULL AS ${typeName(index)})))`)) {
    throwIfAborted(control.signal);
    const vector = chunk.getColumnVector(0);
    let chars = 0;
    for (let row = 0; row < chunk.rowCount; row += 1) {
      const text = vector.getItem(row);
      assert(typeof text === 'string', 'a text');
      chars += text.length;
      builder.append(showingNul(text));
    }
    room.take(chars);
    await yieldToLoop();
  }
  return new Vector([builder.take()]);
}

interface CollectJob {
  readonly selected: Selected;
  readonly reads: readonly ColumnRead[];
  readonly room: Room;
}

async function collect(session: Session, { selected, reads, room }: CollectJob, control: Control): Promise<void> {
  const list = reads.flatMap(({ vectors }) => vectors).map((sql, index) => `${sql} AS "c${index}"`);
  let extraBytes = 0;
  for await (const chunk of await session.chunks(`SELECT ${list.join(', ')} FROM (${selected.sql})`, selected.values)) {
    throwIfAborted(control.signal);
    let at = 0;
    for (const { vectors, collector } of reads) {
      collector.append(vectors.map((_sql, index) => chunk.getColumnVector(at + index)));
      at += vectors.length;
    }
    const taken = reads.reduce((sum, { collector }) => sum + collector.extraBytes, 0);
    room.take(taken - extraBytes);
    extraBytes = taken;
    await yieldToLoop();
  }
}

/** The stream in the pieces that it is made of: the values of a column stay where they were collected. */
async function toStream(columns: readonly TableColumn[], reads: readonly ColumnRead[], rows: number): Promise<Uint8Array[]> {
  const children: Data[] = [];
  for (const { collector } of reads) children.push(await collector.take());
  const schema = new Schema(columns.map(({ name }, index) => new Field(name, children[index]?.type ?? new Null(), true)));
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  writer.write(new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children })));
  writer.finish();
  const pieces: Uint8Array[] = [];
  for await (const piece of writer) pieces.push(piece);
  return pieces;
}
