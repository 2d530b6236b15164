import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import { literal } from '../../server/storage/parquet/quote.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';
import { seededRandom } from '../support/random.ts';
import { duckdbEngine, type EngineUnderTest, type OpenTable, openTable } from '../support/table-engines.ts';
import { TRICKY_COLUMNS, TRICKY_SCHEMA, trickyRows, viewCase } from '../support/view-cases.ts';

const SEED = Number(process.env.COVISTA_TEST_SEED ?? 20_260_731);
const CASES = 300;

let workshop: ParquetWorkshop;
let engine: EngineUnderTest;
let open: OpenTable;
/** The same rows in Perspective's own engine. */
let reference: Table;
let relation: string;

beforeAll(async () => {
  workshop = await openWorkshop();
  const rows = trickyRows(seededRandom(SEED), 400);
  const files = [await fileOf(rows.slice(0, 150)), await fileOf(rows.slice(150))];
  relation = `read_parquet([${files.map(({ path }) => literal(path)).join(', ')}])`;
  engine = await duckdbEngine([workshop.directory]);
  open = await openTable(engine.engine, 'tricky', {
    source: { content: contentOf(TRICKY_COLUMNS, files), scope: UNRESTRICTED },
    columns: null,
    rowLimit: null,
  });
  const perspective = await import('@perspective-dev/client/node');
  reference = await perspective.table(TRICKY_SCHEMA);
  await reference.update(rows);
});

afterAll(async () => {
  await open.close();
  await engine.close();
  await workshop.close();
});

function fileOf(rows: readonly Record<string, unknown>[]) {
  const cells = (row: Record<string, unknown>): string => TRICKY_COLUMNS.map(({ name, type }) => cellSql(row[name], type)).join(', ');
  const names = TRICKY_COLUMNS.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(', ');
  return workshop.file(`SELECT * FROM (VALUES ${rows.map((row) => `(${cells(row)})`).join(', ')}) AS rows(${names})`, TRICKY_COLUMNS);
}

function cellSql(value: unknown, type: string): string {
  if (value === null || value === undefined) return `CAST(NULL AS ${type})`;
  if (type === 'TIMESTAMP') return `CAST(make_timestamp_ms(${String(value)}) AS TIMESTAMP)`;
  return `CAST(${literal(String(value))} AS ${type})`;
}

interface Shown {
  readonly columns: Record<string, unknown[]>;
  readonly window: Record<string, unknown[]>;
  readonly paths: string[];
  readonly rows: number;
}

async function shown(table: Table, config: ViewConfigUpdate): Promise<Shown> {
  return withView(table, config, async (view) => ({
    columns: rounded((await view.to_columns()) as Record<string, unknown[]>),
    window: rounded((await view.to_columns({ start_row: 2, end_row: 9, start_col: 1, end_col: 3 })) as Record<string, unknown[]>),
    paths: await view.column_paths(),
    rows: (await view.dimensions()).num_view_rows,
  }));
}

async function withView<T>(table: Table, config: ViewConfigUpdate, use: (view: View) => Promise<T>): Promise<T> {
  const view = await table.view(config);
  try {
    return await use(view);
  } finally {
    await view.delete();
  }
}

/** The last digits of a mean depend on the order in which it was added up. */
function rounded(columns: Record<string, unknown[]>): Record<string, unknown[]> {
  const round = (value: unknown): unknown => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value);
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.map(round)]));
}

describe('the duckdb engine answers as the memory engine does', () => {
  test(`TB18 rows, order and totals of ${CASES} configurations from seed ${SEED}`, async () => {
    const random = seededRandom(SEED);
    let compared = 0;
    for (let number = 0; number < CASES; number += 1) {
      const config = viewCase(random);
      const [ours, theirs] = [await shown(open.table, config), await shown(reference, config)];
      // Of no rows at all the memory engine shows now NULL, now 0.
      const isEmpty = theirs.rows === 1 && theirs.columns.__ROW_PATH__?.length === 1;
      if (isEmpty) expect(ours.rows).toBe(1);
      if (isEmpty) continue;
      compared += 1;
      expect(ours, `case ${number} of seed ${SEED}: ${JSON.stringify(config)}`).toEqual(theirs);
    }
    expect(compared).toBeGreaterThan(CASES * 0.8);
  });

  test('TB18 opening and closing rows shows the same, and says the same of it', async () => {
    const steps = async (table: Table): Promise<unknown[]> =>
      withView(table, { group_by: ['group', 'flag', 'day'], columns: ['count'] }, async (view) => {
        const seen: unknown[] = [];
        const look = async (step: Promise<unknown>): Promise<void> => void seen.push(await step, await view.to_columns());
        await look(view.collapse(3));
        await look(view.expand(3));
        await look(view.collapse(0));
        await look(view.expand(0));
        await look(view.set_depth(1));
        await look(view.expand(2));
        await look(view.set_depth(0));
        return seen;
      });
    expect(await steps(open.table)).toEqual(await steps(reference));
  });
});

describe('the duckdb engine answers what SQL gives', () => {
  test('TB18 totals of groups', async () => {
    const view = { group_by: ['group'], columns: ['part', 'whole', 'count'], aggregates: { whole: 'avg', count: 'max' } };
    const { columns } = await shown(open.table, view);
    const sql = `SELECT "group" AS path, coalesce(sum(part), 0) AS part, avg(whole) AS whole, max("count") AS count FROM ${relation} GROUP BY 1 ORDER BY 1 NULLS LAST`;
    const expected = await workshop.rows(sql);
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
    const { columns } = await shown(open.table, { columns: ['whole', 'part'], aggregates, group_rollup_mode: 'total' });
    const [expected] = await workshop.rows(`SELECT max(whole) AS whole FROM ${relation}`);
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
    expect((await open.table.validate_expressions(expressions)).errors).toEqual({});
    const { columns } = await shown(open.table, { expressions, columns: Object.keys(expressions) });
    const sql = `SELECT "count" * 2 AS doubled, epoch_ms(CAST(date_trunc('week', "day") AS TIMESTAMP)) AS week, epoch_ms(date_trunc('hour', moment)) AS hour FROM ${relation}`;
    const expected = await workshop.rows(sql);
    for (const name of ['doubled', 'week', 'hour']) expect(columns[name]).toEqual(expected.map((row) => row[name]));
  });

  test('TB18 an expression that reads what is not its own is refused', async () => {
    for (const source of [`(SELECT 1)`, `getenv('HOME')`, `"nope" + 1`, `read_text('/etc/passwd')`, '1; DROP TABLE x']) {
      expect(Object.keys((await open.table.validate_expressions({ bad: source })).errors), source).toEqual(['bad']);
    }
  });
});

test('TB18 Arrow has the types of the memory engine and the values of JSON', async () => {
  const config: ViewConfigUpdate = { columns: TRICKY_COLUMNS.map(({ name }) => name) };
  const read = (table: Table) =>
    withView(table, config, async (view) => tableFromIPC(new Uint8Array(await view.to_arrow({ start_row: 5, end_row: 60 }))));
  const [ours, theirs] = [await read(open.table), await read(reference)];
  expect(ours.schema.fields.map((field) => `${field.name} ${field.type}`)).toEqual(
    theirs.schema.fields.map((field) => `${field.name} ${field.type}`),
  );
  expect(ours.toArray().map((row) => Object.values(row.toJSON()))).toEqual(theirs.toArray().map((row) => Object.values(row.toJSON())));
});

test('TB18 equal views made at once show the same, and are deleted in any order', async () => {
  const config: ViewConfigUpdate = { group_by: ['group'], columns: ['count'] };
  const views = await Promise.all(Array.from({ length: 20 }, () => open.table.view(config)));
  const all = await Promise.all(views.map((view) => view.to_columns()));
  expect(new Set(all.map((columns) => JSON.stringify(columns))).size).toBe(1);
  await Promise.all(views.reverse().map((view) => view.delete()));
});
