import type { ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableId } from '../../protocol/ids.ts';
import type { TableSource } from '../../server/services/tables/engine.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import { openTestContent, type TestContent } from '../support/content.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';
import { type GuardedTable, memoryEngine, openGuarded } from '../support/table-engines.ts';

const COLUMNS = [
  { name: 'id', type: 'INTEGER' },
  { name: 'salary', type: 'FLOAT' },
] as const;
const ID = tableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');

let workshop: ParquetWorkshop;
let content: TestContent;
let memory: ReturnType<typeof memoryEngine>;
let all: TableSource;

beforeAll(async () => {
  workshop = await openWorkshop();
  const file = await workshop.file('SELECT CAST(i AS INTEGER) AS id, CAST(i / 10 AS FLOAT) AS salary FROM range(1, 3) r(i)', COLUMNS);
  all = { source: { content: contentOf(COLUMNS, [file]), scope: UNRESTRICTED }, columns: null, rowLimit: null };
  content = await openTestContent({}, { readable: [workshop.directory] });
  memory = memoryEngine(content.store);
});

afterAll(async () => {
  await memory?.close();
  await content?.close();
  await workshop?.close();
});

async function withTable(source: TableSource, use: (table: GuardedTable['table']) => Promise<void>): Promise<void> {
  const opened = await openGuarded(memory, ID, source);
  try {
    await use(opened.table);
  } finally {
    await opened.close();
  }
}

test.each([
  [
    'hidden',
    (): TableSource => ({
      ...all,
      source: { ...all.source, scope: { parts: [{ rows: null, mask: { hidden: ['salary'], columnIdsBelow: 1_000 } }] } },
    }),
  ],
  ['not opened', (): TableSource => ({ ...all, columns: ['id'] })],
])('TB12 an expression that is named like a column of 32 bits that is %s is filtered as any other', (_why, source) =>
  withTable(source(), async (table) => {
    for (const name of ['salary', 'other']) {
      const view = await table.view({ expressions: { [name]: '0.1' }, filter: [[name, '==', 0.1]], columns: ['id'] } as ViewConfigUpdate);
      expect(await view.to_columns(), name).toEqual({ id: [1, 2] });
    }
  }),
);

test('TB18 a configuration comes back with the numbers that were given, not with those of 32 bits that they became', () =>
  withTable(all, async (table) => {
    const filter = [
      ['id', '<', 2],
      ['salary', '<', 1e300],
      ['salary', '==', 0.1],
      ['salary', '<', 0.2],
    ];
    const view = await table.view({ filter } as unknown as ViewConfigUpdate);
    expect(await view.to_columns()).toMatchObject({ id: [1] });
    expect((await view.get_config()).filter).toEqual(filter);
  }));
