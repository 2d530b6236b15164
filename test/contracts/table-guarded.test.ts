import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTricky, type TrickyTables } from '../support/tricky-tables.ts';
import { withView } from '../support/with-view.ts';

let tricky: TrickyTables;
let tables: readonly Table[];

beforeAll(async () => {
  tricky = await openTricky(7, 60);
  tables = [tricky.duckdb.table, tricky.roomless.table, tricky.memory.table];
});

afterAll(async () => {
  await tricky?.close();
});

test.each<readonly [string, string]>([
  ['', 'is empty'],
  [' ', 'is empty'],
  ['x\0y', 'contains a NUL character'],
  ...['psp_pkey', 'psp_op', 'psp_okey', 'PSP_OP', '__ROW_PATH__', '__INDEX__', '__ID__', '__covista_place'].map(
    (name) => [name, 'is reserved'] as const,
  ),
])('TB3 a name that no column can have is none of an expression or of a window: %j %s', async (name, why) => {
  const said = (what: string): string => `the name of ${what} ${why}: ${JSON.stringify(name)}`;
  for (const table of tables) {
    const expressions = { [name]: '"count" + 1' };
    const windows = { [name]: { column: 'count', aggregate: 'sum', cumulative: true } };
    for (const more of [{ columns: ['count'] }, { columns: [name] }, { columns: ['count'], group_by: [name] }]) {
      await expect(table.view({ ...more, expressions } as ViewConfigUpdate)).rejects.toThrow(said('an expression'));
      await expect(table.view({ ...more, windows } as unknown as ViewConfigUpdate)).rejects.toThrow(said('a window'));
    }
    const checked = await table.validate_expressions({ ...expressions, other: '1' });
    expect(checked.errors).toEqual({ [name]: { error_message: said('an expression'), line: 0, column: 0 } });
    expect(checked.expression_schema).toEqual({ other: 'float' });
  }
});

test('TB18 no text has NULL in it, and none is matched by it or is not', async () => {
  for (const operator of ['contains', 'begins with', 'ends with', 'matches']) {
    for (const name of [operator, `not ${operator}`]) {
      for (const others of [[], [['count', '>', 600]]]) {
        const config = { columns: ['serial'], filter_op: 'or', filter: [['group', name, null], ...others] } as unknown as ViewConfigUpdate;
        const [duckdb, roomless, memory] = await Promise.all(tables.map((table) => withView(table, config, (view) => view.to_columns())));
        expect(duckdb, JSON.stringify(config)).toEqual(memory);
        expect(roomless).toEqual(memory);
      }
    }
  }
});

const FAR = 4_294_967_295;

type Columns = NonNullable<Parameters<View['column_paths']>[0]>;

test.each<ViewConfigUpdate>([
  { columns: ['serial', 'count'] },
  { columns: ['count', 'weight'], group_by: ['group'] },
  { columns: ['count'], split_by: ['flag'] },
  { columns: ['count', 'whole'], group_by: ['group'], split_by: ['flag'], sort: [['weight', 'desc']] },
])('TB18 a window that goes beyond a view is what the view has of it, on both engines: %j', async (config) => {
  const ways: readonly ((view: View, window: object) => Promise<unknown>)[] = [
    (view, window) => view.to_columns(window),
    async (view, window) => (await view.to_csv(window)).trimEnd(),
    (view, window) => view.column_paths(window as Columns),
  ];
  for (const table of tables) {
    const same = (window: object, other: object): Promise<void> =>
      withView(table, config, async (view) => {
        for (const way of ways) expect(await way(view, window)).toEqual(await way(view, other));
      });
    await same({ end_col: FAR, end_row: FAR }, {});
    await same({ start_row: 3, end_row: FAR, start_col: 1, end_col: FAR }, { start_row: 3, start_col: 1 });
    for (const nothing of [{ start_col: FAR }, { start_col: 9, end_col: FAR }, { start_col: 1, end_col: 0 }]) {
      await same(nothing, { start_col: 0, end_col: 0 });
      expect(await withView(table, config, (view) => view.column_paths(nothing as Columns))).toEqual([]);
    }
  }
});
