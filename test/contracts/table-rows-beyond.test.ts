import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tableId } from '../../protocol/ids.ts';
import { bytes, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { duckdbEngine, type EngineUnderTest, type GuardedTable, memoryEngine, openGuarded } from '../support/table-engines.ts';
import { withView } from '../support/with-view.ts';

const ID = tableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');
const LINES = ['1,x,true', '2,y,false', '3,,', '4,z,true', '5,x,false'];
const NUMBER_MAX = 2 ** 32 - 1;
/** Numbers of rows and depths that no view here has. */
const BEYOND = [
  50,
  255,
  256,
  1_000_000,
  1_000_000_000,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 31 + 1,
  3_000_000_000,
  NUMBER_MAX - 255,
  NUMBER_MAX - 1,
  NUMBER_MAX,
];

let content: TestContent;
let engine: EngineUnderTest;
let memory: ReturnType<typeof memoryEngine>;
let tables: { readonly duckdb: GuardedTable; readonly memory: GuardedTable };

beforeAll(async () => {
  content = await openTestContent();
  engine = await duckdbEngine([content.directory]);
  memory = memoryEngine(content.store);
  const ingested = contentOfIngested(await content.ingest(bytes(`id,name,flag\n${LINES.join('\n')}\n`)));
  const source = { source: unrestricted(ingested), columns: null, rowLimit: null };
  tables = { duckdb: await openGuarded(engine.engine, ID, source), memory: await openGuarded(memory, ID, source) };
});

afterAll(async () => {
  await Promise.all(Object.values(tables ?? {}).map((table) => table.close()));
  await engine?.close();
  await memory?.close();
  await content?.close();
});

const viewed = <Result>(table: Table, config: ViewConfigUpdate, use: (view: View) => Promise<Result>): Promise<Result> =>
  withView(table, { columns: ['id'], ...config }, use);

const shown = async (view: View): Promise<unknown> => [(await view.dimensions()).num_view_rows, await view.to_columns()];

describe.each(['duckdb', 'memory'] as const)('the %s engine', (name) => {
  test.each<[string, ViewConfigUpdate]>([
    ['rows', {}],
    ['groups', { group_by: ['name', 'flag'] }],
    ['closed groups', { group_by: ['name', 'flag'], group_by_depth: 1 }],
    ['a split', { split_by: ['flag'] }],
    ['groups in a split', { group_by: ['name', 'flag'], split_by: ['flag'] }],
    ['leaves', { group_by: ['name', 'flag'], group_rollup_mode: 'flat' }],
    ['leaves in a split', { group_by: ['name'], split_by: ['flag'], group_rollup_mode: 'flat' }],
    ['a total', { group_by: ['name', 'flag'], group_rollup_mode: 'total' }],
  ])('MEM9 rows and depths beyond those of a view of %s are neither opened nor closed, whatever their number', async (_kind, config) => {
    const { table } = tables[name];
    const before = await viewed(table, config, shown);
    for (const number of BEYOND) {
      await viewed(table, config, async (view) => {
        expect([await view.expand(number), await view.collapse(number)], String(number)).toEqual([0, 0]);
        await view.set_depth(number);
        expect(await shown(view), String(number)).toEqual(before);
      });
    }
  });

  test('MEM9 the first row beyond those that are shown is neither opened nor closed', async () => {
    const outcome = await viewed(tables[name].table, { group_by: ['name', 'flag'] }, async (view) => {
      await view.collapse(0);
      return [await view.expand(1), await view.collapse(1), (await view.dimensions()).num_view_rows, await view.expand(0), await view.expand(1)];
    });
    expect(outcome).toEqual([0, 0, 1, 4, 1]);
  });
});
