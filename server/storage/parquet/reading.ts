import { Turns } from '../../shared/turns.ts';
import { type ContentStore, type Control, type Row, type ScopedContent, showsAllRows } from '../content-store.ts';
import type { Broker } from './broker.ts';
import { readRows } from './json-values.ts';
import { scopedRelation } from './relation.ts';

/** Reads rows for people: windows of a version, and how many there are. */
export function createReader(broker: Broker): Pick<ContentStore, 'rows' | 'count'> {
  return {
    rows: (source, window, control) => readWindow(broker, source, window, control),
    count: (source, control) => count(broker, source, control),
  };
}

async function count(broker: Broker, source: ScopedContent, control: Control): Promise<number> {
  if (showsAllRows(source.content.schema, source.scope)) return source.content.rows;
  const { sql, values } = scopedRelation(source);
  const [row] = await broker.run('interactive', control, (session) => session.rows(`SELECT count(*) AS rows FROM (${sql})`, values));
  return Number(row?.rows ?? 0);
}

type Window = Parameters<ContentStore['rows']>[1];

async function readWindow(broker: Broker, source: ScopedContent, window: Window, control: Control): Promise<Row[]> {
  const { columns, bytesMax } = window;
  const { source: narrowed, offset } = withoutFilesBefore(source, window.startRow, window.endRow);
  const { sql, values } = scopedRelation(narrowed, { columns });
  const limit = window.endRow - window.startRow;
  return broker.run('interactive', control, async (session) => {
    const taken: Row[] = [];
    let bytes = 0;
    const turns = new Turns();
    const stream = await session.chunks(`SELECT * FROM (${sql}) LIMIT ${limit} OFFSET ${offset}`, values);
    for await (const chunk of stream) {
      for await (const rows of readRows(chunk, { names: stream.names, order: columns ?? stream.names }, turns)) {
        for (const row of rows) {
          bytes += Buffer.byteLength(JSON.stringify(row));
          if (bytes > bytesMax && taken.length > 0) return taken;
          taken.push(row);
        }
      }
    }
    return taken;
  });
}

/** Leaves out the files that lie before and behind the window; with a filter nobody knows where rows are. */
function withoutFilesBefore(source: ScopedContent, startRow: number, endRow: number): { source: ScopedContent; offset: number } {
  const { content, scope } = source;
  if (!showsAllRows(content.schema, scope)) return { source, offset: startRow };
  let position = 0;
  let skipped = 0;
  const files = content.files.filter(({ rows }) => {
    const start = position;
    position += rows;
    if (position <= startRow) skipped = position;
    return position > startRow && start < endRow;
  });
  return { source: { content: { ...content, files }, scope }, offset: startRow - skipped };
}
