import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import type { ScopedContent } from '../../server/storage/content-store.ts';
import { chosen, statementsOf } from '../../server/workers/duckdb-tables/grid.ts';
import { bytes, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { connectClient, duckdbEngine } from '../support/table-engines.ts';

const ROWS = 6_000;
/** The total, a group for every two rows, and the rows. */
const ALL = 1 + ROWS / 2 + ROWS;
const GROUPED: ViewConfigUpdate = { columns: ['id'], group_by: ['half', 'id'] };
/** Shows the total and the groups, each of which is apart from the next. */
const FOLDED: ViewConfigUpdate = { ...GROUPED, group_by_depth: 1 };

let content: TestContent;
let source: ScopedContent;

beforeAll(async () => {
  content = await openTestContent();
  const lines = Array.from({ length: ROWS }, (_unused, id) => `${id},${id >> 1},${'ab'[id % 2]}`);
  source = unrestricted(contentOfIngested(await content.ingest(bytes(`id,half,kind\n${lines.join('\n')}\n`))));
});

afterAll(async () => {
  await content?.close();
});

async function withTable<Result>(
  limits: Partial<Limits>,
  use: (table: Table, tableOf: (holder: string) => Promise<Table>) => Promise<Result>,
): Promise<Result> {
  const { engine, close } = await duckdbEngine([content.directory], { ...defaultLimits, ...limits });
  try {
    const loaded = await engine.load('open rows', { source, columns: null, rowLimit: null }, { signal: new AbortController().signal });
    const tableOf = async (holder: string): Promise<Table> => (await connectClient(loaded, holder)).client.open_table('open rows');
    const result = await use(await tableOf('alice'), tableOf);
    loaded.close();
    return result;
  } finally {
    await close();
  }
}

/** What a view shows after rows of it were closed and opened, and how many rows that was. */
async function walked(table: Table, config: ViewConfigUpdate): Promise<unknown[]> {
  const view = await table.view(config);
  const seen: unknown[] = [await view.to_json(), await view.expand(2), await view.expand(2), await view.to_json()];
  await view.set_depth(0);
  seen.push(await view.num_rows(), await view.expand(5), await view.to_json({ start_row: 3, end_row: 2_900 }), await view.collapse(0));
  await view.set_depth(1);
  seen.push(await view.num_rows(), await view.expand(0), await view.collapse(4), await view.to_json({ start_row: 1 }));
  return seen;
}

test.each<[string, ViewConfigUpdate]>([
  ['groups', FOLDED],
  ['a split', { ...FOLDED, split_by: ['kind'] }],
])('TB18 rows of %s that are apart are read in pieces out of their tables, as they are where they are kept', async (_kind, config) => {
  const read = await withTable({ duckdbTablesCellsBytesMax: 0 }, (table) => walked(table, config));
  const kept = await withTable({}, (table) => walked(table, config));
  expect(read).toEqual(kept);
  expect(kept[0]).toHaveLength(1 + ROWS / 2);
  expect(kept.filter((seen) => typeof seen === 'number')).toEqual([2, 0, 1 + ROWS / 2, 2, ROWS / 2 + 2, ALL, 0, 2]);
});

test('TB18 a statement names some rows at most, however many a window has', () => {
  const texts = (rows: Parameters<typeof statementsOf>[0]): string[] =>
    [...statementsOf(rows, (piece) => ({ sql: chosen('n', piece), values: [] }))].map(({ sql }) => sql);
  expect(texts([])).toEqual(['false']);
  expect(texts([{ start: 0, end: 1_500_000 }])).toEqual(['n BETWEEN 0 AND 1499999']);
  expect(
    texts([
      { start: 0, end: 2 },
      { start: 4, end: 5 },
      { start: 9, end: 1_500_000 },
    ]),
  ).toEqual(['n BETWEEN 0 AND 4 AND n IN (0, 1, 4)', 'n BETWEEN 9 AND 1499999']);
  const apart = texts(Array.from({ length: 10_000 }, (_unused, row) => ({ start: 3 * row, end: 3 * row + 1 })));
  expect(apart).toHaveLength(5);
  for (const text of apart) expect(text.length).toBeLessThan(20_000);
});

test('TB15 views that are equal share which rows are open at first, and those that go on find room or are told that there is none', () =>
  withTable({ duckdbTablesViewsBytesMax: 800_000 }, async (table) => {
    const views: View[] = [];
    for (let count = 0; count < 40; count += 1) views.push(await table.view(FOLDED));
    for (const view of views) expect(await view.num_rows()).toBe(1 + ROWS / 2);
    const outcomes: string[] = [];
    for (const view of views) outcomes.push(await view.expand(1).then(String, ({ message }: Error) => message));
    const opened = outcomes.filter((outcome) => outcome === '2').length;
    expect(opened).toBeGreaterThan(3);
    expect(opened).toBeLessThan(10);
    expect(outcomes.at(-1)).toContain('there is no room to remember which rows are open');
    // Who was refused shows what it showed; what others give back is there to take.
    const last = views.at(-1);
    expect(await last?.num_rows()).toBe(1 + ROWS / 2);
    await views[0]?.delete();
    expect(await last?.expand(1)).toBe(2);
    await last?.set_depth(0);
    expect(await views.at(-2)?.expand(1)).toBe(2);
  }));

test('TB15 a view that is open takes no memory for what opening it further would not change', () =>
  withTable({ duckdbTablesViewsBytesMax: 4 * (ALL - 1) }, async (table) => {
    const view = await table.view(GROUPED);
    for (const row of [0, 1, 2]) expect(await view.expand(row)).toBe(0);
    await view.set_depth(1);
    await expect(view.collapse(0)).rejects.toThrow('there is no room to remember which rows are open');
    expect(await view.num_rows()).toBe(ALL);
    expect((await view.get_config()).group_by_depth ?? null).toBeNull();
  }));

test('TB15 configurations count once for all views that are equal, and are refused where there is no room', () =>
  withTable({ duckdbTablesViewsBytesMax: 200_000 }, async (table) => {
    const filtered = (chars: number): ViewConfigUpdate => ({ ...FOLDED, filter: [['kind', '!=', 'x'.repeat(chars)]] });
    await expect(table.view(filtered(20_000))).rejects.toThrow('there is no room for so large a view');
    const views = await Promise.all(Array.from({ length: 50 }, (_unused, view) => table.view({ ...filtered(2_000), group_by_depth: view % 2 })));
    const [all, folded] = views;
    expect([await all?.num_rows(), await folded?.num_rows()]).toEqual([ALL, 1 + ROWS / 2]);
    expect((await folded?.get_config())?.group_by_depth).toBe(1);
    expect((await folded?.get_config())?.filter).toEqual(filtered(2_000).filter);
  }));

test('TB15 one person has at most a quarter of the memory for configurations and open rows, so that others make views', () =>
  withTable({ duckdbTablesViewsBytesMax: 400_000 }, async (table, tableOf) => {
    const refused = 'there is no room';
    const named = (name: string): ViewConfigUpdate => ({ ...GROUPED, filter: [['kind', '!=', name.repeat(3_000)]] });
    const mine = [await table.view(FOLDED), await table.view(FOLDED), await table.view(FOLDED)];
    const outcomes: string[] = [];
    for (const view of mine) outcomes.push(await view.expand(1).then(String, ({ message }: Error) => message));
    expect(outcomes).toEqual(['2', '2', expect.stringContaining(refused)]);
    await table.view(named('a'));
    await expect(table.view(named('b'))).rejects.toThrow(refused);
    // Others have their own, and what is there already is refused to nobody.
    const theirs = await tableOf('bob');
    expect(await (await theirs.view(named('b'))).num_rows()).toBe(ALL);
    expect(await (await theirs.view(FOLDED)).expand(1)).toBe(2);
    expect(await (await table.view(named('b'))).num_rows()).toBe(ALL);
    await mine[0]?.delete();
    await mine[1]?.delete();
    expect(await mine[2]?.expand(1)).toBe(2);
  }));

test('TB18 a view tells its own configuration, also where another shows the same', () =>
  withTable({}, async (table) => {
    const sorts: NonNullable<ViewConfigUpdate['sort']>[] = [[], [['half', 'none']], [['kind', 'none']]];
    const views = await Promise.all(sorts.map((sort) => table.view({ ...FOLDED, sort })));
    expect(await Promise.all(views.map(async (view) => (await view.get_config()).sort))).toEqual(sorts);
    const windows = [{}, { offset: 1 }].map((given) => ({ before: { column: 'id', aggregate: 'lag', ...given } }));
    const windowed = await Promise.all(windows.map((each) => table.view({ windows: each } as unknown as ViewConfigUpdate)));
    const told = await Promise.all(
      windowed.map(async (view) => (await view.get_config()) as unknown as { windows?: { before?: { offset?: number | null } } }),
    );
    expect(told.map((config) => config.windows?.before?.offset ?? null)).toEqual([null, 1]);
  }));
