import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { Field, makeData, Null, RecordBatch, RecordBatchStreamWriter, Schema, Struct, Utf8, Vector } from 'apache-arrow';
import { CovistaError } from '../../../protocol/errors.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import { assert } from '../../shared/assert.ts';
import { type ContentStore, type Control, type ScopedContent, showsAllRows, type TableArrow, type TableSelection } from '../content-store.ts';
import type { Column } from '../stores.ts';
import { TextBuilder } from './arrow-builders.ts';
import type { Broker, Session } from './broker.ts';

import { identifier } from './quote.ts';
import { scopedRelation } from './relation.ts';
import { type TableColumn, tableColumn, unusualTimeSql } from './table-columns.ts';
import { type ColumnCollector, collectorOf, rowBytes } from './table-vectors.ts';

/** The rows that a table is made of, as SQL that takes `values` once, for its `?` in order. */
interface Selected {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly schema: readonly Column[];
}

/**
 * Renders rows as one Arrow IPC stream with one record batch, its texts encoded by dictionary. Everything that takes time is
 * done by DuckDB in its own threads: here vectors are only copied, and the event loop gets its turn after each 2,048 rows.
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

async function render(session: Session, job: Job, control: Control): Promise<TableArrow> {
  const { selected, selection } = job;
  const { rows, columns } = await survey(session, job);
  const bytes = rows * columns.reduce((sum, { sqlType }) => sum + rowBytes(sqlType), 0);
  const room = new Room(selection.bytesMax, bytes);
  const dictionaries = new Map<string, Vector>();
  for (const [index, column] of columns.entries()) {
    if (column.sqlType === 'VARCHAR') dictionaries.set(column.name, await makeDictionary(session, { selected, column, index, room }, control));
  }
  const collectors = columns.map(({ name, sqlType }) => collectorOf(sqlType, rows, dictionaries.get(name)));
  await collect(session, { selected, columns, collectors }, control);
  const pieces = await toStream(columns, collectors, rows);
  return { rows, pieces, bytes: room.bytes, schema: columns.map(({ name, type }) => ({ name, type })) };
}

/** How many rows there are, and what their columns are in a table: of times it depends on the values. */
async function survey(session: Session, { source, selection, selected }: Job): Promise<{ rows: number; columns: TableColumn[] }> {
  const checks = selected.schema.map(unusualTimeSql);
  const aggregates = checks.flatMap((check, index) => (check === undefined ? [] : [`coalesce(bool_or(${check}), false) AS "u${index}"`]));
  const isCounted = showsAllRows(source.content.schema, source.scope);
  if (isCounted && aggregates.length === 0) {
    const rows = Math.min(source.content.rows, selection.rowLimit ?? source.content.rows);
    return { rows, columns: selected.schema.map((column) => tableColumn(column, false)) };
  }
  const [row] = await session.rows(`SELECT ${['count(*) AS rows', ...aggregates].join(', ')} FROM (${selected.sql})`, selected.values);
  return { rows: Number(row?.rows), columns: selected.schema.map((column, index) => tableColumn(column, row?.[`u${index}`] === true)) };
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

interface DictionaryJob {
  readonly selected: Selected;
  readonly column: TableColumn;
  readonly index: number;
  readonly room: Room;
}

const typeName = (index: number): string => identifier(`covista_texts_${index}`);

/** DuckDB numbers the distinct texts of a column, so that none of them is read twice. */
async function makeDictionary(session: Session, { selected, column, index, room }: DictionaryJob, control: Control): Promise<Vector> {
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
      builder.append(text);
    }
    room.take(chars);
    await yieldToLoop();
  }
  return new Vector([builder.take()]);
}

interface CollectJob {
  readonly selected: Selected;
  readonly columns: readonly TableColumn[];
  readonly collectors: readonly ColumnCollector[];
}

async function collect(session: Session, { selected, columns, collectors }: CollectJob, control: Control): Promise<void> {
  const list = columns.map(({ sql, sqlType }, index) =>
    sqlType === 'VARCHAR' ? `CAST(enum_code(CAST(${sql} AS ${typeName(index)})) AS INTEGER) AS "c${index}"` : `${sql} AS "c${index}"`,
  );
  for await (const chunk of await session.chunks(`SELECT ${list.join(', ')} FROM (${selected.sql})`, selected.values)) {
    throwIfAborted(control.signal);
    for (const [index, collector] of collectors.entries()) collector.append(chunk.getColumnVector(index));
    await yieldToLoop();
  }
}

/** The stream in the pieces that it is made of: the values of a column stay where they were collected. */
async function toStream(columns: readonly TableColumn[], collectors: readonly ColumnCollector[], rows: number): Promise<Uint8Array[]> {
  const children = collectors.map((collector) => collector.take());
  const schema = new Schema(columns.map(({ name }, index) => new Field(name, children[index]?.type ?? new Null(), true)));
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  writer.write(new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children })));
  writer.finish();
  const pieces: Uint8Array[] = [];
  for await (const piece of writer) pieces.push(piece);
  return pieces;
}
