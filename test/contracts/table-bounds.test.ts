import type { Table, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import type { ScopedContent } from '../../server/storage/content-store.ts';
import { columnsJson, rowsJson, rowsNdjson } from '../../server/workers/duckdb-tables/frame-text.ts';
import { TextRoom } from '../../server/workers/duckdb-tables/text-room.ts';
import { bytes, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { duckdbEngine, openTable } from '../support/table-engines.ts';

const ROWS = 6_000;

type Columns = Record<string, unknown[]>;

let content: TestContent;
let source: ScopedContent;

/** A table of `id` from 0, `half` of it, and a text of a hundred characters. */
beforeAll(async () => {
  content = await openTestContent();
  const lines = Array.from({ length: ROWS }, (_unused, id) => `${id},${id >> 1},${String(id).padStart(99, '0')}x`);
  source = unrestricted(contentOfIngested(await content.ingest(bytes(`id,half,text\n${lines.join('\n')}\n`))));
});

afterAll(async () => {
  await content?.close();
});

async function withTable(limits: Partial<Limits>, use: (table: Table) => Promise<void>): Promise<void> {
  const { engine, close } = await duckdbEngine([content.directory], { ...defaultLimits, ...limits });
  try {
    const opened = await openTable(engine, 'bounds', { source, columns: null, rowLimit: null });
    await use(opened.table);
    await opened.close();
  } finally {
    await close();
  }
}

test.each<[string, ViewConfigUpdate]>([
  ['rows', { split_by: ['half'] }],
  ['sorted rows', { split_by: ['half'], sort: [['id', 'desc']] }],
  ['groups', { split_by: ['half'], group_by: ['id'] }],
])('TB15 a split of %s has as many columns as viewColumnsMax, and no more', (_kind, config) =>
  withTable({ viewColumnsMax: 11 }, async (table) => {
    const few = await table.view({ ...config, columns: ['id', 'text'], filter: [['id', '<', 10]] });
    expect(await few.num_columns()).toBe(10);
    const more = { ...config, columns: ['id', 'text'], filter: [['id', '<', 11]] } as ViewConfigUpdate;
    await expect(table.view(more)).rejects.toThrow('more than 5 columns of each kind; all of them may be at most 11 (viewColumnsMax)');
    await expect(table.view({ ...config, columns: ['id'] })).rejects.toThrow('viewColumnsMax');
    await expect(table.view({ ...config, columns: [] })).rejects.toThrow('viewColumnsMax');
    // What was refused leaves the engine as it was.
    expect(await few.num_rows()).toBeGreaterThan(0);
  }),
);

test('TB15 a window whose texts have more than viewBytesMax bytes is refused before it is read whole, and the next one is read', () =>
  withTable({ viewBytesMax: 300_000, duckdbTablesCellsBytesMax: 0 }, async (table) => {
    const said = 'the window has more than 300000 bytes of text; read fewer rows';
    for (const config of [{}, { sort: [['id', 'asc']] }, { group_by: ['id'] }] as ViewConfigUpdate[]) {
      const view = await table.view({ ...config, columns: ['text'], aggregates: { text: 'last' } });
      for (let time = 0; time < 3; time += 1) {
        for (const window of [{}, { end_row: 3_002 }]) await expect(view.to_columns(window)).rejects.toThrow(said);
        // Some come in one piece, others in several.
        for (const end_row of [2_000, 2_600]) expect(((await view.to_columns({ end_row })) as Columns).text).toHaveLength(end_row);
      }
      await view.delete();
    }
    const numbers = await table.view({ columns: ['id', 'half'] });
    expect(((await numbers.to_columns()) as Columns).id).toEqual(Array.from({ length: ROWS }, (_unused, id) => id));
  }));

test('TB15 paths of columns that have more than viewBytesMax bytes are refused, and some of them are read', () =>
  withTable({ viewBytesMax: 20_000 }, async (table) => {
    const view = await table.view({ columns: ['id', 'half'], split_by: ['text'], filter: [['id', '<', 150]] });
    await expect(view.column_paths()).rejects.toThrow('the paths of the columns have more than 20000 bytes; read fewer columns');
    const path = (id: number): string => `${String(id).padStart(99, '0')}x`;
    expect(await view.column_paths({ start_col: 1, end_col: 3 })).toEqual([`${path(0)}|half`, `${path(1)}|id`]);
    expect(await view.column_paths({ start_col: 299, end_col: 400 })).toEqual([`${path(149)}|half`]);
    expect(await view.column_paths({ start_col: 300, end_col: 400 })).toEqual([]);
  }));

test('TB15 names of columns count with every row that has them, before any is written', () =>
  withTable({ viewBytesMax: 300_000 }, async (table) => {
    const said = 'the window has more than 300000 bytes; read fewer rows';
    const view = await table.view({ columns: ['id'], group_by: ['id'], split_by: ['text'], filter: [['id', '<', 100]] });
    const refused = (reads: Promise<unknown>[]): Promise<unknown> => Promise.all(reads.map((read) => expect(read).rejects.toThrow(said)));
    await refused([view.to_json(), view.to_ndjson()]);
    expect(await view.to_json({ end_row: 20 })).toHaveLength(20);
    expect(Object.keys((await view.to_columns()) as Columns)).toHaveLength(101);
    const more = await table.view({ columns: ['id', 'half', 'text'], split_by: ['text'], filter: [['id', '<', 1_000]] });
    const nothing = { end_row: 0 };
    await refused([more.to_columns(nothing), more.to_json(nothing), more.to_ndjson(nothing), more.to_csv(nothing), more.to_arrow(nothing)]);
    expect(Object.keys((await more.to_columns({ end_row: 1, end_col: 6 })) as Columns)).toHaveLength(6);
  }));

test('TB15 texts count as JSON has them, however few their characters', () => {
  const frame = (text: string) =>
    ({ rows: 1, columns: [{ path: ['text'], kind: 'string', type: 'VARCHAR', values: [text] }], paths: undefined }) as const;
  for (const write of [columnsJson, rowsJson, rowsNdjson]) {
    const written = (text: string): string => write(frame(text), { isFormatted: false, room: new TextRoom(1_000) });
    expect(written('x'.repeat(900))).toContain('x'.repeat(900));
    expect(written('\u0001'.repeat(150))).toContain('\\u0001'.repeat(150));
    expect(() => written('\u0001'.repeat(200))).toThrow('the window has more than 1000 bytes');
  }
});
