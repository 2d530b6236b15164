import type { View, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import type { TableSource } from '../../server/services/tables/engine.ts';
import { type Content, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { bytes, contentOfIngested, openTestContent, type TestContent } from '../support/content.ts';
import { duckdbEngine, type OpenTable, openTable } from '../support/table-engines.ts';

const ROWS = 600;
const CITIES = ['Zürich', 'Łódź', 'ålesund', 'Aarhus', '', 'São "Paulo"', 'b|c', '日本'];
const COLUMNS = ['city', 'kind', 'amount', 'price', 'at'];

let content: TestContent;
let orders: Content;

beforeAll(async () => {
  content = await openTestContent();
  const lines = Array.from({ length: ROWS }, (_unused, row) => {
    const city = row % 9 === 8 ? '' : `"${CITIES[(row * 5) % CITIES.length]?.replaceAll('"', '""')}"`;
    return [
      city,
      `kind ${row % 3}`,
      (row * 7) % 50,
      row % 4 === 0 ? '' : (row % 20) / 4,
      `2026-01-${String(1 + (row % 28)).padStart(2, '0')}`,
      `id${row}`,
    ];
  });
  orders = contentOfIngested(await content.ingest(bytes(`${[...COLUMNS, 'id'].join(',')}\n${lines.map((line) => line.join(',')).join('\n')}\n`)));
});

afterAll(async () => {
  await content?.close();
});

const sourceOf = (of: Content, scope: Scope = UNRESTRICTED, rowLimit: number | null = null): TableSource => ({
  source: { content: of, scope },
  columns: null,
  rowLimit,
});

interface Opened extends OpenTable {
  /** Tables of columns, once nothing is being made. */
  columns(): Promise<number | null | undefined>;
  hits(): Promise<number | undefined>;
}

async function withTable(source: TableSource, columnsBytesMax: number, use: (table: Opened) => Promise<void>): Promise<void> {
  const { engine, close } = await duckdbEngine([content.directory], { ...defaultLimits, duckdbTablesColumnsBytesMax: columnsBytesMax });
  try {
    const opened = await openTable(engine, 'orders', source);
    const columns = async (): Promise<number | null | undefined> => {
      await engine.inventory?.();
      return engine.keptColumns?.();
    };
    await use({
      ...opened,
      columns,
      hits: async () => {
        await engine.inventory?.();
        return engine.caches?.table_columns?.().hits;
      },
    });
    await opened.close();
    await expect.poll(columns).toBe(0);
  } finally {
    await close();
  }
}

async function rowsOf({ table }: OpenTable, config: ViewConfigUpdate): Promise<unknown> {
  const view: View = await table.view(config);
  try {
    return JSON.parse(await view.to_json_string());
  } finally {
    await view.delete();
  }
}

/** Everything that reads rows otherwise where they are kept as columns. */
const CONFIGS = [
  { group_by: ['city'], columns: ['amount', 'price'] },
  { group_by: ['city', 'kind'], columns: ['amount', 'city'], aggregates: { city: 'distinct count' }, sort: [['amount', 'desc']] },
  { group_by: ['kind', 'city'], columns: ['price'], sort: [['city', 'desc']] },
  { group_by: ['city'], split_by: ['kind'], columns: ['amount'], sort: [['amount', 'col desc']] },
  { group_by: ['kind'], split_by: ['city', 'kind'], columns: ['price'] },
  { group_by: ['kind'], columns: ['city', 'amount'], aggregates: { city: 'last', amount: 'first' } },
  { group_by: ['at'], columns: ['amount'], filter: [['city', 'contains', 'l']] },
  { columns: ['city', 'amount'], filter: [['city', '>', 'B']], sort: [['city', 'desc']] },
  { group_by: ['named'], columns: ['amount'], expressions: { named: 'upper("city")' } },
  {
    group_by: ['city'],
    columns: ['running'],
    windows: { running: { column: 'amount', aggregate: 'sum', order_by: ['at', 'asc'], cumulative: true } },
  },
  { group_by: ['city', 'kind', 'at'], columns: ['amount'], group_rollup_mode: 'flat', sort: [['amount', 'asc']] },
  { columns: ['amount', 'city'], group_rollup_mode: 'total', aggregates: { city: 'join' } },
] as ViewConfigUpdate[];

const KIND_1_HIDDEN: Scope = {
  parts: [{ rows: { sql: '"kind" <> ?', values: ['kind 1'], columns: [{ name: 'kind', type: 'VARCHAR' }] }, mask: null }],
};

test.each([
  { rows: 'all rows', scope: UNRESTRICTED, limit: null },
  { rows: 'the first rows', scope: UNRESTRICTED, limit: 250 },
  { rows: 'the rows that a grant shows', scope: KIND_1_HIDDEN, limit: null },
])('TB18 views of $rows are the same out of columns that are kept as out of files', async ({ scope, limit }) => {
  const source = sourceOf(orders, scope, limit);
  const expected: unknown[] = [];
  await withTable(source, 0, async (table) => {
    for (const config of CONFIGS) expected.push(await rowsOf(table, config));
    expect(await table.columns()).toBe(0);
  });
  await withTable(source, defaultLimits.duckdbTablesColumnsBytesMax, async (table) => {
    for (const _twice of [1, 2]) for (const config of CONFIGS) await rowsOf(table, config);
    const kept = async (): Promise<number | undefined> => {
      await rowsOf(table, { columns: COLUMNS, group_rollup_mode: 'total' } as ViewConfigUpdate);
      return table.hits();
    };
    // The same view finds all columns, as soon as the last of them is kept.
    const first = (await kept()) ?? 0;
    await expect.poll(kept).toBeGreaterThan(first);
    const before = (await table.hits()) ?? 0;
    for (const [index, config] of CONFIGS.entries()) expect(await rowsOf(table, config), JSON.stringify(config)).toEqual(expected[index]);
    expect(await table.hits()).toBe(before + CONFIGS.length);
  });
});

test('TB18 columns that were not used for longest make room for others', async () => {
  // A number of 600 rows takes 4,800 bytes, a view at most half of the room.
  await withTable(sourceOf(orders), 12_000, async (table) => {
    const use = async (column: string): Promise<void> => {
      for (const _twice of [1, 2]) await rowsOf(table, { columns: [column], group_rollup_mode: 'total' });
    };
    await use('amount');
    await expect.poll(() => table.columns()).toBe(1);
    await use('price');
    await expect.poll(() => table.columns()).toBe(2);
    await use('at');
    await expect.poll(() => table.columns()).toBe(3);
    // Texts take 1,200 bytes, so that one number must go.
    await use('city');
    await use('kind');
    await expect.poll(() => table.columns()).toBe(4);
    const before = (await table.hits()) ?? 0;
    await rowsOf(table, { columns: ['amount'], group_rollup_mode: 'total' });
    expect(await table.hits()).toBe(before);
    await rowsOf(table, { columns: ['price'], group_rollup_mode: 'total' });
    expect(await table.hits()).toBe(before + 1);
  });
});

test('TB18 TB13 a table that is closed while its columns are made leaves nothing of them', async () => {
  const wide = Array.from({ length: 8 }, (_unused, index) => `text${index}`);
  const lines = Array.from({ length: 40_000 }, (_unused, row) => wide.map((_name, index) => `value ${(row * (index + 3)) % 9_000}`).join(','));
  const many = contentOfIngested(await content.ingest(bytes(`${wide.join(',')}\n${lines.join('\n')}\n`)));
  const { engine, close } = await duckdbEngine([content.directory]);
  const columns = async (): Promise<number | null | undefined> => {
    await engine.inventory?.();
    return engine.keptColumns?.();
  };
  const keep = async (): Promise<OpenTable> => {
    const table = await openTable(engine, 'many', sourceOf(many));
    for (const _twice of [1, 2]) await rowsOf(table, { columns: wide, group_rollup_mode: 'total' } as ViewConfigUpdate);
    return table;
  };
  try {
    for (const waitFor of [1, 2, 3]) {
      const table = await keep();
      await expect.poll(async () => ((await columns()) ?? 0) >= waitFor, { interval: 1 }).toBe(true);
      await table.close();
      await expect.poll(columns).toBe(0);
    }
    // All of the room is there again.
    const table = await keep();
    await expect.poll(columns).toBe(wide.length);
    await table.close();
  } finally {
    await close();
  }
});

test('TB18 a column of nothing but different texts stays in its file', async () => {
  const many = Array.from({ length: 70_000 }, (_unused, row) => `${row},key ${row}`).join('\n');
  const keys = contentOfIngested(await content.ingest(bytes(`amount,id\n${many}\n`)));
  await withTable(sourceOf(keys), defaultLimits.duckdbTablesColumnsBytesMax, async (table) => {
    const config = { columns: ['amount', 'id'], group_rollup_mode: 'total' } as ViewConfigUpdate;
    const first = await rowsOf(table, config);
    for (const _twice of [1, 2]) expect(await rowsOf(table, config)).toEqual(first);
    await expect.poll(() => table.columns()).toBe(1);
    expect(await table.hits()).toBe(0);
  });
});
