import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import type { EngineTable, TableSource } from '../../server/services/tables/engine.ts';
import { createLog } from '../../server/shared/log.ts';
import type { Content } from '../../server/storage/content-store.ts';
import { DuckdbTables } from '../../server/workers/duckdb-tables.client.ts';
import { bareSession, deleteView, makeView, tableSize } from '../support/bare-session.ts';
import { bytes, calm, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { CELLS, EXACT_TEXTS, parquetOf, TYPES, typedParquet } from '../support/table-cells.ts';
import { connectClient } from '../support/table-engines.ts';

let content: TestContent;
let small: Content;

beforeAll(async () => {
  content = await openTestContent();
  small = contentOfIngested(await content.ingest(bytes('id,name\n1,a\n2,b\n3,\n')));
});

afterAll(async () => {
  await content?.close();
});

const sourceOf = (of: Content): TableSource => ({ source: unrestricted(of), columns: null, rowLimit: null });

const engineIn = (spillDirectory: string, limits = defaultLimits): DuckdbTables =>
  new DuckdbTables({ limits, log: createLog('silent', false), spillDirectory, readableDirectories: [content.directory] });

async function withEngine(use: (engine: DuckdbTables) => Promise<void>, limits = defaultLimits): Promise<void> {
  const engine = engineIn(`${content.directory}/tables`, limits);
  try {
    await use(engine);
  } finally {
    await engine.close();
  }
}

const pivot = (key: string, id: string, groups: readonly string[]): never =>
  ({
    entityId: key,
    kind: 'table_make_view',
    body: { view_id: id, config: { group_by: groups, columns: { columns: { columns: ['id'] } } } },
  }) as never;

describe('values', () => {
  test('TB18 MEM1 every type is shown as it is said, in Arrow as in memory, and exact in JSON', () =>
    withEngine(async (engine) => {
      const typed = contentOfIngested(await content.ingest(await typedParquet(`${content.directory}/types.parquet`)));
      const table = await engine.load('typed', sourceOf(typed), calm());
      expect(Object.fromEntries(table.schema)).toEqual({ ...TYPES, forever: 'date', ancient: 'date', eternal: 'datetime' });
      const { client, session } = await connectClient(table);
      const view = await (await client.open_table('typed')).view();
      const arrow = tableFromIPC(new Uint8Array(await view.to_arrow()));
      for (const [name, expected] of Object.entries(CELLS)) {
        // Dates that no client's calendar has are dates here, and texts in memory.
        if (!['forever', 'ancient', 'eternal', 'text'].includes(name)) expect([...(arrow.getChild(name) ?? [])], name).toEqual(expected);
      }
      const json = await view.to_json_string();
      for (const exact of EXACT_TEXTS) expect(json).toContain(exact);
      const csv = await view.to_csv();
      for (const exact of EXACT_TEXTS) expect(csv).toContain(exact);
      const endless = await (await client.open_table('typed')).view({ columns: ['forever', 'eternal'] });
      expect((await endless.to_csv()).split('\n').slice(1, 3)).toEqual(['infinity,infinity 00:00:00.000', '2026-07-31,-infinity 00:00:00.000']);
      session.close();
      table.close();
    }));
});

test('TB18 a sum beyond 64 bits is exact in JSON and CSV, and refused where no type of Arrow holds it', () =>
  withEngine(async (engine) => {
    const most = contentOfIngested(await content.ingest(bytes('id\n9223372036854775807\n9223372036854775807\n')));
    const table = await engine.load('most', sourceOf(most), calm());
    const { client, session } = await connectClient(table);
    const view = await (await client.open_table('most')).view({ columns: ['id'], group_rollup_mode: 'total' });
    expect(await view.to_json_string()).toContain('18446744073709551614');
    expect(await view.to_csv()).toContain('18446744073709551614');
    await expect(view.to_arrow()).rejects.toThrow(/does not fit into the 64 bits of an Arrow integer/);
    session.close();
    table.close();
  }));

test.each([
  { where: 'in cells', duckdbTablesCellsBytesMax: defaultLimits.duckdbTablesCellsBytesMax },
  { where: 'in tables', duckdbTablesCellsBytesMax: 0 },
])('TB18 the least and greatest of decimals $where have every digit', ({ duckdbTablesCellsBytesMax }) =>
  withEngine(
    async (engine) => {
      const numbers = ['1234567890123456.79', '1234567890123456.78', '1234567890123456.77', '1234567890123456.80', '-0.10', '-0.11'];
      const rows = numbers.map((number, row) => `(${row < 4}, CAST(${number} AS DECIMAL(18,2)))`);
      const path = `${content.directory}/money.parquet`;
      await parquetOf(path, `SELECT * FROM (VALUES ${rows.join(', ')}) t(large, money)`);
      const table = await engine.load('money', sourceOf(contentOfIngested(await content.ingest(path))), calm());
      const { client, session } = await connectClient(table);
      const money = await client.open_table('money');
      const flat = await money.view({ columns: ['money'], filter: [['large', '==', true]] });
      expect(await flat.get_min_max('money')).toEqual(['1234567890123456.77', '1234567890123456.80']);
      const grouped = await money.view({
        columns: ['money'],
        group_by: ['large', 'money'],
        aggregates: { money: 'max' },
        filter: [['large', '==', false]],
      });
      expect(await grouped.get_min_max('money')).toEqual(['-0.11', '-0.10']);
      session.close();
      table.close();
    },
    { ...defaultLimits, duckdbTablesCellsBytesMax },
  ),
);

describe('the thread', () => {
  test('TB7 a thread that fails loses its tables, which load again in another', () =>
    withEngine(async (engine) => {
      const table = await engine.load('one', sourceOf(small), calm());
      const one = bareSession(table);
      expect(await one.ask(tableSize('one'))).toMatchObject({ body: { size: 3 } });
      const lost = new Promise<{ code: string }>((resolve) => table.onLost(resolve));
      await engine.kill();
      expect(await lost).toMatchObject({ code: 'unavailable' });
      expect(one.lost()).toBe('unavailable');
      expect(() => table.connect({ holder: 'alice', respond: () => undefined, lost: () => undefined })).toThrow(/open the table again/);
      const again = await engine.load('one', sourceOf(small), calm());
      expect(await bareSession(again).ask(tableSize('one'))).toMatchObject({ body: { size: 3 } });
    }));

  test('TB17 a thread that cannot start refuses tables, and nothing else happens', async () => {
    const engine = engineIn('/dev/null/nowhere');
    await expect(engine.load('one', sourceOf(small), calm())).rejects.toMatchObject({ code: 'unavailable' });
    await expect(engine.load('two', sourceOf(small), calm())).rejects.toMatchObject({ code: 'unavailable' });
    await engine.close();
  });
});

describe('sessions', () => {
  const load = (engine: DuckdbTables): Promise<EngineTable> => engine.load('one', sourceOf(small), calm());

  test(
    'TB13 a thousand sessions leave no view, no result and no relation, and the heap as it was',
    () =>
      withEngine(async (engine) => {
        const table = await load(engine);
        const heaps: number[] = [];
        for (let round = 0; round < 4; round += 1) {
          for (let one = 0; one < 250; one += 1) {
            const { send, session } = bareSession(table);
            send(makeView('one', 'plain'));
            send(pivot('one', 'pivot', one % 2 === 0 ? ['name'] : ['name', 'id']));
            send({ entityId: 'pivot', kind: 'view_on_delete', body: {} } as never);
            if (one % 3 === 0) send(deleteView('pivot'));
            session.close();
          }
          // What was under way when its session left ends a little later.
          await expect.poll(() => engine.inventory()).toEqual({ sessions: 0, views: 0, results: 0, relations: 0 });
          heaps.push(await engine.heapBytes());
        }
        // What is garbage and not collected yet is no more than this; what 750 sessions left would be.
        expect(Math.min(...heaps.slice(1))).toBeLessThan((heaps[0] ?? 0) + 16 * 1024 * 1024);
        table.close();
      }),
    180_000,
  );

  test.each([
    { where: 'in cells', relations: 0, duckdbTablesCellsBytesMax: defaultLimits.duckdbTablesCellsBytesMax },
    { where: 'in a table', relations: 1, duckdbTablesCellsBytesMax: 0 },
  ])('TB18 equal views are one result $where until the last of them ends', ({ relations, duckdbTablesCellsBytesMax }) =>
    withEngine(
      async (engine) => {
        const table = await load(engine);
        const sessions = [bareSession(table), bareSession(table), bareSession(table)];
        for (const one of sessions) expect(await one.ask(pivot('one', 'same', ['name']))).toMatchObject({ kind: 'table_make_view' });
        await expect.poll(() => engine.inventory()).toMatchObject({ sessions: 3, results: 1, relations });
        sessions[0]?.session.close();
        sessions[1]?.session.close();
        await expect.poll(() => engine.inventory()).toMatchObject({ sessions: 1, results: 1, relations });
        expect(await sessions[2]?.ask(deleteView('same'))).toMatchObject({ kind: 'view_delete' });
        await expect.poll(() => engine.inventory()).toMatchObject({ sessions: 1, results: 0, relations: 0 });
      },
      { ...defaultLimits, duckdbTablesCellsBytesMax },
    ),
  );
});
