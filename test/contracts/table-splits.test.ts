import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTricky, type TrickyTables } from '../support/tricky-tables.ts';
import { withView } from '../support/with-view.ts';

const SEED = Number(process.env.COVISTA_TEST_SEED ?? 20_261_128);
const TEXT = 'o\'clock "x"';

let tricky: TrickyTables;
let tables: { readonly duckdb: Table; readonly roomless: Table; readonly memory: Table };

beforeAll(async () => {
  tricky = await openTricky(SEED, 200);
  tables = { duckdb: tricky.duckdb.table, roomless: tricky.roomless.table, memory: tricky.memory.table };
});

afterAll(async () => {
  await tricky?.close();
});

async function expectAlike<Answer>(config: ViewConfigUpdate, ask: (view: View) => Promise<Answer>): Promise<void> {
  const expected = await withView(tables.memory, config, ask);
  for (const table of [tables.duckdb, tables.roomless]) expect(await withView(table, config, ask), JSON.stringify(config)).toEqual(expected);
}

const everything = async (view: View): Promise<unknown> => [
  await view.column_paths(),
  await view.to_columns(),
  await view.to_columns({ start_row: 1, end_row: 6, start_col: 1, end_col: 3 }),
  await view.dimensions(),
];

test.each<ViewConfigUpdate>([
  { split_by: ['flag'], columns: ['count', 'serial'] },
  { split_by: ['flag', TEXT], columns: ['count'] },
  { split_by: [TEXT], columns: ['weight', 'count'], filter: [['count', '>', 0]], sort: [['count', 'desc']] },
  // Where a row has no cell, the memory engine shows an empty text or a day of the year 0, and not NULL.
])('TB18 a split of rows that are not grouped is the same on both engines: %j', (config) => expectAlike(config, everything));

test.each<ViewConfigUpdate>([
  { group_by: ['group'], split_by: ['flag'], columns: ['count'], split_rollup_mode: 'rollup' },
  { group_by: ['group', 'flag'], split_by: [TEXT, 'flag'], columns: ['count', 'weight'], split_rollup_mode: 'rollup' },
  { group_by: ['group'], split_by: [TEXT], columns: ['count'], split_rollup_mode: 'rollup', group_rollup_mode: 'flat', sort: [['count', 'desc']] },
])('TB18 totals over the columns of a split are the same on both engines: %j', (config) => expectAlike(config, everything));

test.each<ViewConfigUpdate>([
  { group_by: ['group'], split_by: ['flag'], columns: ['count'] },
  { group_by: ['group', TEXT], split_by: ['flag'], columns: ['weight'], aggregates: { weight: 'sum' } },
  { group_by: ['group'], split_by: ['flag', TEXT], columns: ['whole'], aggregates: { whole: 'count' } },
])('TB18 the least and the greatest value are the same on both engines where there is a split: %j', (config) =>
  expectAlike(config, (view) => view.get_min_max((config.columns as string[])[0] as string)),
);
