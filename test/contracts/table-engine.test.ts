import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Random, seededRandom } from '../support/random.ts';
import { openTricky, type TrickyTables } from '../support/tricky-tables.ts';
import { TRICKY_COLUMNS } from '../support/view-cases.ts';
import { withView } from '../support/with-view.ts';

const SEED = Number(process.env.COVISTA_TEST_SEED ?? 20_260_731);

let tricky: TrickyTables;
let duckdb: Table;
let roomless: Table;
let memory: Table;
let relation: string;

beforeAll(async () => {
  tricky = await openTricky(SEED, 400);
  [duckdb, roomless, memory] = [tricky.duckdb.table, tricky.roomless.table, tricky.memory.table];
  relation = tricky.relation;
});

afterAll(async () => {
  await tricky?.close();
});

interface Shown {
  readonly columns: Record<string, unknown[]>;
}

async function shown(table: Table, config: ViewConfigUpdate): Promise<Shown> {
  return withView(table, config, async (view) => ({ columns: rounded((await view.to_columns()) as Record<string, unknown[]>) }));
}

/** The last digits of a mean depend on the order in which it was added up. */
function rounded(columns: Record<string, unknown[]>): Record<string, unknown[]> {
  const round = (value: unknown): unknown => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value);
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.map(round)]));
}

describe('the duckdb engine answers as the memory engine does', () => {
  test(`TB18 opening and closing rows shows the same, and says the same of it, in steps of seed ${SEED}`, async () => {
    for (const config of [
      { group_by: ['group', 'flag', 'day'], columns: ['count'] },
      { group_by: ['day', 'whole'], columns: ['count', 'part'], sort: [['count', 'desc']] },
      { group_by: ['flag', 'group'], split_by: ['o\'clock "x"'], columns: ['weight'], group_by_depth: 1 },
    ] as ViewConfigUpdate[]) {
      const steps = (table: Table) => withView(table, config, (view) => opened(view, seededRandom(SEED)));
      const expected = await steps(memory);
      for (const table of [duckdb, roomless]) expect(await steps(table), JSON.stringify(config)).toEqual(expected);
    }
  });

  test('TB18 the least and the greatest value of a column are the same, grouped and not', async () => {
    const extremes = (table: Table, config: ViewConfigUpdate, column: string) => withView(table, config, (view) => view.get_min_max(column));
    for (const column of ['count', 'weight', 'whole', 'part', 'group']) {
      for (const config of [
        { columns: [column] },
        { columns: [column], filter: [['count', '>', 100]] },
        { columns: [column], group_by: ['flag', 'whole'], aggregates: { [column]: 'count' } },
      ] as ViewConfigUpdate[]) {
        const expected = await extremes(memory, config, column);
        for (const table of [duckdb, roomless]) expect(await extremes(table, config, column), JSON.stringify(config)).toEqual(expected);
      }
    }
  });

  test('TB18 a view without columns has those of the table, its expressions and its windows', async () => {
    const config = { expressions: { made: '"count" + 1' }, windows: { total: { column: 'count', aggregate: 'sum' } } };
    const described = (table: Table) => withView(table, config, async (view) => [await view.column_paths(), await view.schema()]);
    const [names] = await described(duckdb);
    expect(names).toEqual([...TRICKY_COLUMNS.map(({ name }) => name), 'made', 'total']);
    expect(await described(duckdb)).toEqual(await described(memory));
  });
});

/** What a view shows and says while its rows are opened and closed. */
async function opened(view: View, random: Random): Promise<unknown[]> {
  const isSplit = ((await view.get_config()).split_by ?? []).length > 0;
  const seen: unknown[] = [await view.to_columns()];
  for (let step = 0; step < 25; step += 1) {
    const row = random.below((await view.dimensions()).num_view_rows);
    const kind = random.below(5);
    const said = kind === 0 ? await view.set_depth(random.below(3)) : kind < 3 ? await view.expand(row) : await view.collapse(row);
    // Of a split the memory engine does not say how many rows that changed.
    seen.push([kind, row], isSplit ? undefined : said, (await view.dimensions()).num_view_rows, await view.to_columns());
  }
  return seen;
}

describe('the duckdb engine answers what SQL gives', () => {
  test('TB18 totals of groups', async () => {
    const view = { group_by: ['group'], columns: ['part', 'whole', 'count'], aggregates: { whole: 'avg', count: 'max' } };
    const { columns } = await shown(duckdb, view);
    const sql = `SELECT "group" AS path, coalesce(sum(part), 0) AS part, avg(whole) AS whole, max("count") AS count FROM ${relation} GROUP BY 1 ORDER BY 1 NULLS FIRST`;
    const expected = await tricky.rows(sql);
    expect(columns.__ROW_PATH__).toEqual([[], ...expected.map(({ path }) => [path])]);
    const values = rounded({
      part: expected.map((row) => row.part),
      whole: expected.map((row) => row.whole),
      count: expected.map((row) => row.count),
    });
    for (const [name, list] of Object.entries(values)) expect(columns[name]?.slice(1)).toEqual(list);
  });

  test('TB18 NULL takes no part in the greatest value, the median and a product', async () => {
    const aggregates = { whole: 'max', part: 'median' };
    const { columns } = await shown(duckdb, { columns: ['whole', 'part'], aggregates, group_rollup_mode: 'total' });
    const [expected] = await tricky.rows(`SELECT max(whole) AS whole FROM ${relation}`);
    expect(columns.whole).toEqual([expected?.whole]);
    expect(columns.part?.[0]).not.toBeNull();
  });

  test('TB18 expressions of both languages, and dates by year, quarter, month, week, day and hour', async () => {
    const expressions = {
      doubled: '"count" * 2',
      shout: `upper("group")`,
      year: `bucket("moment", 'Y')`,
      quarter: `date_trunc('quarter', "day")`,
      month: `bucket("day", 'M')`,
      week: `bucket("day", 'W')`,
      hour: `bucket("moment", 'h')`,
      sized: `CASE WHEN "count" > 0 THEN 'up' ELSE 'down' END`,
    };
    expect((await duckdb.validate_expressions(expressions)).errors).toEqual({});
    const { columns } = await shown(duckdb, { expressions, columns: Object.keys(expressions) });
    const sql = `SELECT "count" * 2 AS doubled, epoch_ms(CAST(date_trunc('week', "day") AS TIMESTAMP)) AS week, epoch_ms(date_trunc('hour', moment)) AS hour FROM ${relation}`;
    const expected = await tricky.rows(sql);
    for (const name of ['doubled', 'week', 'hour']) expect(columns[name]).toEqual(expected.map((row) => row[name]));
  });

  test('TB18 an expression that reads what is not its own is refused', async () => {
    for (const source of [`(SELECT 1)`, `getenv('HOME')`, `"nope" + 1`, `read_text('/etc/passwd')`, '1; DROP TABLE x']) {
      expect(Object.keys((await duckdb.validate_expressions({ bad: source })).errors), source).toEqual(['bad']);
    }
  });
});

test('TB18 Arrow has the types of the memory engine and the values of JSON', async () => {
  const config: ViewConfigUpdate = { columns: TRICKY_COLUMNS.map(({ name }) => name) };
  const read = (table: Table) =>
    withView(table, config, async (view) => tableFromIPC(new Uint8Array(await view.to_arrow({ start_row: 5, end_row: 60 }))));
  const [ours, theirs] = [await read(duckdb), await read(memory)];
  const types = theirs.schema.fields.map((field) => `${field.name} ${field.type}`);
  // See ARCHITECTURE.md.
  const narrowed = types.map((type) => (type === 'ratio Float64' ? 'ratio Float32' : type));
  expect(ours.schema.fields.map((field) => `${field.name} ${field.type}`)).toEqual(narrowed);
  expect(ours.toArray().map((row) => Object.values(row.toJSON()))).toEqual(theirs.toArray().map((row) => Object.values(row.toJSON())));
});

test('TB18 equal views made at once show the same, and are deleted in any order', async () => {
  const config: ViewConfigUpdate = { group_by: ['group'], columns: ['count'] };
  const views = await Promise.all(Array.from({ length: 20 }, () => duckdb.view(config)));
  const all = await Promise.all(views.map((view) => view.to_columns()));
  expect(new Set(all.map((columns) => JSON.stringify(columns))).size).toBe(1);
  await Promise.all(views.reverse().map((view) => view.delete()));
});
