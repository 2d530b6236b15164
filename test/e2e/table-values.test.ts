import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { ENGINES } from '../../protocol/operations/table.ts';
import type { ViewConfigInput } from '../../protocol/operations/view.ts';
import type { Rest } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { parquetOf } from '../support/table-cells.ts';

/** Rows that an export reads at a time. */
const EXPORT_ROWS = 3;
const ROWS = 10;
/** What a window may have, and a text of which one fits into it. */
const BYTES_MAX = 20_000;
const LONG = 6_000;

const SELECT = `SELECT i AS id,
  CASE i % 3 WHEN 0 THEN 'a' WHEN 1 THEN '},{"b"\\' ELSE NULL END AS name,
  DATE '2026-01-15' + CAST(i * 20 AS INTEGER) AS "x|day",
  TIMESTAMP '2026-01-15 12:13:14' + to_hours(i) AS moment,
  CAST(1234567890123456.78 + i AS DECIMAL(18, 2)) AS money,
  CAST(9007199254740993 + i AS BIGINT) AS big,
  CAST(i / 7 AS DOUBLE) AS part
FROM range(${ROWS}) r(i)`;

let server: TestServer;
let directory: string;
let owner: Client;
let rest: Rest;
let datasetId: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-values-'));
  server = await startTestServer(['--view-export-rows', String(EXPORT_ROWS), '--view-bytes-max', String(BYTES_MAX)]);
  owner = await server.client('owner');
  rest = await server.rest('owner');
  ({ datasetId } = await owner.dataset.create({ name: 'Values' }));
  await owner.version.commit({ datasetId, branch: 'main' }, { body: await parquetOf(join(directory, 'values.parquet'), SELECT) });
});

afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

type Engine = (typeof ENGINES)[number];

interface Made {
  readonly tableId: string;
  readonly viewId: string;
  readonly schema: readonly { readonly name: string; readonly type: string }[];
}

async function viewOn(engine: Engine, config: ViewConfigInput): Promise<Made> {
  const { tableId } = await owner.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
  return { tableId, ...(await owner.view.create({ tableId, ...config })) };
}

async function rowsOf({ tableId, viewId }: Made): Promise<Record<string, unknown>[]> {
  const page = await owner.view.data({ tableId, viewId });
  return 'rows' in page ? page.rows : [];
}

const fetched = async ({ tableId, viewId }: Made, rest_: string): Promise<string> =>
  new TextDecoder().decode((await rest.get(`/api/explore/perspective/table/${tableId}/view/${viewId}/${rest_}`)).bytes);

const linesOf = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe.each(['memory', 'duckdb'] as const)('values of the engine %s', (engine) => {
  test('TB10 an export has every row once, however many are read at a time', async () => {
    for (const config of [{}, { group_by: ['name'], columns: ['part'] }] as ViewConfigInput[]) {
      const view = await viewOn(engine, config);
      const rows = await rowsOf(view);
      expect(rows.length).toBeGreaterThan(EXPORT_ROWS);
      const lines = linesOf(await fetched(view, 'export?format=ndjson')) as Record<string, unknown>[];
      // Days, times and digits too.
      expect(lines).toEqual(rows);
      expect((await fetched(view, 'export?format=csv')).trimEnd().split('\n')).toHaveLength(1 + rows.length);
    }
  });

  test('TB2 a window has the rows that were asked for in every format', async () => {
    const view = await viewOn(engine, { columns: ['id', 'name'] });
    const lines = linesOf(await fetched(view, 'data?format=ndjson&startRow=4&endRow=6'));
    expect(lines).toEqual([
      { id: 4, name: '},{"b"\\' },
      { id: 5, name: null },
    ]);
    expect(await fetched(view, 'data?format=csv&startRow=4&endRow=5')).toBe('"id","name"\n4,"},{""b""\\"\n');
  });

  test('TB2 columns whose names are whole numbers are in the order of the version', async () => {
    const { datasetId: years } = await owner.dataset.create({ name: 'Years' });
    await owner.version.commit({ datasetId: years, branch: 'main' }, { body: csv('country,2020,2019', 'AT,2,1') });
    const { tableId, schema } = await owner.table.open({ datasetId: years, ref: 'main', engine }, { perspective: false });
    const view = await owner.view.create({ tableId });
    for (const columns of [schema, view.schema]) expect(columns.map(({ name }) => name)).toEqual(['country', '2020', '2019']);
    expect(await fetched({ tableId, ...view }, 'export?format=csv')).toBe('"country","2020","2019"\n"AT",2,1\n');
  });

  test('TB15 a window has no more bytes than it may, whatever view it is of', async () => {
    const { datasetId: long } = await owner.dataset.create({ name: 'Long' });
    const select = `SELECT i AS id, repeat(chr(97 + CAST(i AS INTEGER)), ${LONG}) AS long FROM range(${ROWS}) r(i)`;
    await owner.version.commit({ datasetId: long, branch: 'main' }, { body: await parquetOf(join(directory, 'long.parquet'), select) });
    for (const config of [
      {},
      { sort: [['id', 'desc']] },
      { group_by: ['id'], columns: ['long'], aggregates: { long: 'any' } },
    ] as ViewConfigInput[]) {
      const { tableId } = await owner.table.open({ datasetId: long, ref: 'main', engine }, { perspective: false });
      const { viewId } = await owner.view.create({ tableId, ...config });
      const read = (endRow: number) => owner.view.data({ tableId, viewId, startRow: 0, endRow });
      expect(await read(2)).toMatchObject({ endRow: 2 });
      const lines = linesOf(await fetched({ tableId, viewId, schema: [] }, 'export?format=ndjson'));
      expect(lines.length).toBeGreaterThanOrEqual(ROWS);
      const tooLarge = { code: 'payload_too_large', message: expect.stringContaining(`more than ${BYTES_MAX} bytes`) };
      await expect(read(8)).rejects.toMatchObject(tooLarge);
      const answer = await rest.get(`/api/explore/perspective/table/${tableId}/view/${viewId}/data?endRow=8&format=arrow`);
      expect([answer.status, answer.body]).toMatchObject([413, { error: tooLarge }]);
    }
  });

  test('TB2 rows say days and times of groups, of expressions and of columns with a path as they say others', async () => {
    const expressions = { month: `bucket("x|day", 'M')`, hour: `bucket("moment", 'h')` };
    const [, first, , second] = await rowsOf(await viewOn(engine, { expressions, group_by: ['month', 'hour'], columns: ['id'] }));
    expect(first?.__ROW_PATH__).toEqual(['2026-01-01']);
    expect(second?.__ROW_PATH__).toEqual(['2026-02-01']);
    const [, , deep] = await rowsOf(await viewOn(engine, { expressions, group_by: ['month', 'hour'], columns: ['id'] }));
    expect(deep?.__ROW_PATH__).toEqual(['2026-01-01', '2026-01-15T12:00:00.000Z']);
    const split = { split_by: ['name'], columns: ['x|day'], filter: [['id', '==', 0]] } as ViewConfigInput;
    expect(await rowsOf(await viewOn(engine, split))).toEqual([{ 'a|x|day': '2026-01-15' }]);
    const windows = { before: { column: 'x|day', aggregate: 'lag' } };
    expect((await rowsOf(await viewOn(engine, { windows, group_by: ['before'], columns: ['id'] }))).at(-1)?.__ROW_PATH__).toEqual(['2026-06-24']);
  });

  test('TB2 a view tells the types of all its columns, those that it makes itself too', async () => {
    const config = { expressions: { double: '"part" * 2' }, windows: { running: { column: 'id', aggregate: 'sum', cumulative: true } } };
    expect((await viewOn(engine, config)).schema.slice(-2)).toEqual([
      { name: 'double', type: 'float' },
      { name: 'running', type: 'float' },
    ]);
  });

  test('TB3 what is wrong is said with the name of the expression or the column', async () => {
    const faults: [config: Parameters<typeof viewOn>[1], said: RegExp][] = [
      [{ expressions: { fine: '1', torn: '"part" +' }, columns: ['torn'] }, /^the expression "torn": ./],
      [{ expressions: { unknown: 'nothing("part")' } }, /^the expression "unknown": (?!.*row filter)/],
      [{ expressions: { lost: '"nothing"' } }, /^the expression "lost": there is no column "nothing"(?!.*of main)/],
      [{ aggregates: { moment: 'nothing' }, group_by: ['part'] }, /^there is no aggregate "nothing" for "moment", a column of type datetime$/],
      [{ filter: [['part', 'nothing', 1]] }, /^there is no filter "nothing" for "part", a column of type float$/],
    ];
    for (const [config, said] of faults) {
      await expect(viewOn(engine, config)).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringMatching(said) });
    }
  });

  test('TB3 an expression that is nested too deeply is refused, and no table suffers', async () => {
    const nested = (times: number) => viewOn(engine, { expressions: { x: `${'('.repeat(times)}"part"${')'.repeat(times)}` }, columns: ['x'] });
    const deepest = await nested(50);
    for (const times of [100, 4_900]) await expect(nested(times)).rejects.toMatchObject({ code: 'invalid_input' });
    expect((await rowsOf(deepest))[7]).toEqual({ x: 1 });
    expect(await rowsOf(await nested(1))).toHaveLength(ROWS);
  });

  test('TB18 rows keep the digits of integers and decimals that a double does not hold, and no more of floats than there are', async () => {
    const [, second] = await rowsOf(await viewOn(engine, { columns: ['big', 'money', 'part'] }));
    const money = engine === 'duckdb' ? '1234567890123457.78' : 1_234_567_890_123_457.8;
    expect(second).toEqual({ big: '9007199254740994', money, part: 1 / 7 });
    const totals = { group_rollup_mode: 'total', columns: ['big'], aggregates: { big: 'avg' } } as ViewConfigInput;
    expect((await rowsOf(await viewOn(engine, totals)))[0]?.big).toBeTypeOf('number');
  });
});
