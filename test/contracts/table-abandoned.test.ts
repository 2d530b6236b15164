import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import type { EngineTable, TableEngine } from '../../server/services/tables/engine.ts';
import { type Content, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { bareSession, deleteView } from '../support/bare-session.ts';
import { calm, contentOfIngested, openTestContent, type TestContent } from '../support/content.ts';
import { parquetOf } from '../support/table-cells.ts';
import { duckdbEngine } from '../support/table-engines.ts';

const ROWS = 500_000;
/** Takes minutes over all rows, and is interrupted between some thousands of them. */
const SLOW = Array.from({ length: 20 }).reduce<string>((inner) => `strip_accents(${inner})`, `"text"`);
const NOTHING = { sessions: 0, views: 0, results: 0, relations: 0 };

let content: TestContent;
let rows: Content;

beforeAll(async () => {
  content = await openTestContent();
  const path = `${content.directory}/rows.parquet`;
  await parquetOf(path, `SELECT i AS id, i % 100 AS part, repeat('é', 100) || i AS text FROM range(${ROWS}) t(i)`);
  rows = contentOfIngested(await content.ingest(path));
});

afterAll(async () => {
  await content?.close();
});

async function withTable(overrides: Partial<typeof defaultLimits>, use: (table: EngineTable, engine: TableEngine) => Promise<void>): Promise<void> {
  const { engine, close } = await duckdbEngine([content.directory], { ...defaultLimits, duckdbTablesColumnsBytesMax: 0, ...overrides });
  try {
    const table = await engine.load('rows', { source: { content: rows, scope: UNRESTRICTED }, columns: null, rowLimit: null }, calm());
    await use(table, engine);
    table.close();
  } finally {
    await close();
  }
}

type Asked = Parameters<ReturnType<typeof bareSession>['send']>[0];

const view = (id: string, config: object): Asked => ({ entityId: 'rows', kind: 'table_make_view', body: { view_id: id, config } }) as never;
const pivot = (id: string, filter: number): Asked =>
  view(id, {
    group_by: ['part'],
    columns: { columns: { columns: ['id'] } },
    filter: [{ column: 'id', op: '>', value: [{ float: filter }] }],
  });
const split = (id: string): Asked => view(id, { group_by: ['part'], split_by: ['part'], columns: { columns: { columns: ['id'] } } });
const slowPivot = (id: string): Asked =>
  view(id, {
    group_by: ['part'],
    columns: { columns: { columns: ['slow'] } },
    aggregates: { slow: { aggregations: ['max'] } },
    expressions: { slow: SLOW },
  });
const slowRows = (id: string): Asked => view(id, { columns: { columns: { columns: ['slow'] } }, expressions: { slow: SLOW } });
const csv = (id: string): Asked => ({ entityId: id, kind: 'view_to_csv', body: { viewport: null } }) as never;
const collapse = (id: string): Asked => ({ entityId: id, kind: 'view_collapse', body: { row_index: 0 } }) as never;

/** Sessions that hold both places of queries until they leave. */
async function occupied(table: EngineTable, engine: TableEngine): Promise<{ leave(): void }> {
  const [reader, pivoting] = [bareSession(table), bareSession(table)];
  const before = (await engine.inventory?.())?.results ?? 0;
  pivoting.send(slowPivot('slow'));
  await expect.poll(async () => (await engine.inventory?.())?.results).toBe(before + 1);
  expect(await reader.ask(slowRows('slow'))).toMatchObject({ kind: 'table_make_view' });
  reader.send(csv('slow'));
  return {
    leave: () => {
      reader.session.close();
      pivoting.session.close();
    },
  };
}

test('TB13 a view that is being computed or waits for that ends when its session does, or when it is deleted', () =>
  withTable({ duckdbTablesQueriesMax: 2 }, async (table, engine) => {
    const [running, waiting, other] = [bareSession(table), bareSession(table), bareSession(table)];
    running.send(slowPivot('slow'));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 1 });
    waiting.send(pivot('quick', 1));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 2 });
    waiting.session.close();
    await expect.poll(() => engine.inventory?.()).toMatchObject({ sessions: 2, results: 1 });
    running.session.close();
    await expect.poll(() => engine.inventory?.()).toEqual({ ...NOTHING, sessions: 1 });
    const asked = other.ask(slowPivot('slow'));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 1 });
    expect(await other.ask(deleteView('slow'))).toMatchObject({ kind: 'view_delete' });
    expect(await asked).toMatchObject({ kind: 'server_error', body: { message: 'the view was deleted' } });
    await expect.poll(() => engine.inventory?.()).toEqual({ ...NOTHING, sessions: 1 });
    other.session.close();
  }));

test('TB13 a view that another waits for is computed on', () =>
  withTable({ duckdbTablesQueriesMax: 2 }, async (table, engine) => {
    const [busy, leaving, staying] = [bareSession(table), bareSession(table), bareSession(table)];
    busy.send(slowPivot('slow'));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 1 });
    leaving.send(pivot('same', 1));
    const answer = staying.ask(pivot('same', 1));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 2, views: 3 });
    leaving.session.close();
    busy.session.close();
    expect(await answer).toMatchObject({ kind: 'table_make_view' });
    expect(await staying.ask(collapse('same'))).toMatchObject({ kind: 'view_collapse', body: { num_changed: 100 } });
    staying.session.close();
  }));

test('TB13 a view that is left at any moment leaves the room for cells to others', () =>
  withTable({ duckdbTablesCellsBytesMax: 100_000 }, async (table, engine) => {
    for (let round = 0; round < 150; round += 1) {
      const leaving = bareSession(table);
      leaving.send(pivot('left', round));
      await sleep(round / 5);
      leaving.session.close();
    }
    await expect.poll(() => engine.inventory?.()).toEqual(NOTHING);
    const stayings = Array.from({ length: 4 }, () => bareSession(table));
    for (const [index, { ask }] of stayings.entries()) expect(await ask(pivot('own', index))).toMatchObject({ kind: 'table_make_view' });
    // What finds no room is in a table.
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 4, relations: 0 });
    for (const { session } of stayings) session.close();
  }));

test('TB13 what nobody has any more is removed however many queries wait', () =>
  withTable({ duckdbTablesQueriesMax: 2, duckdbQueueMax: 1, duckdbTablesCellsBytesMax: 0 }, async (table, engine) => {
    const [owner, waiting] = [bareSession(table), bareSession(table)];
    await owner.ask(pivot('own', 1));
    await expect.poll(() => engine.inventory?.()).toMatchObject({ results: 1, relations: 1 });
    const busy = await occupied(table, engine);
    waiting.send(pivot('waiting', 2));
    expect(await waiting.ask(pivot('too many', 3))).toMatchObject({ kind: 'server_error', body: { message: expect.stringMatching(/already wait/) } });
    owner.session.close();
    busy.leave();
    waiting.session.close();
    await expect.poll(() => engine.inventory?.()).toEqual(NOTHING);
  }));

test('TB15 nobody takes all views that are computed, and views of the rows as they are take none of them', () =>
  withTable({ duckdbTablesResultsMax: 8 }, async (table, engine) => {
    const [first, second, other] = [bareSession(table, 'alice'), bareSession(table, 'alice'), bareSession(table, 'bob')];
    const made = { kind: 'table_make_view' };
    const rowsOf = (id: string, columns: string[]): Asked => view(id, { columns: { columns: { columns } } });
    expect(await first.ask(pivot('one', 1))).toMatchObject(made);
    expect(await second.ask(pivot('two', 2))).toMatchObject(made);
    expect(await second.ask(pivot('three', 3))).toMatchObject({ kind: 'server_error', body: { message: expect.stringMatching(/you have 2/) } });
    // What somebody has already is there for everybody.
    expect(await second.ask(pivot('shared', 1))).toMatchObject(made);
    const choices = [['id'], ['part'], ['text'], ['id', 'part'], ['id', 'text'], ['part', 'text'], ['part', 'id'], ['text', 'id']];
    for (const [index, columns] of choices.entries()) expect(await first.ask(rowsOf(`rows${index}`, columns))).toMatchObject(made);
    expect(await engine.inventory?.()).toMatchObject({ results: 10 });
    expect(await other.ask(pivot('three', 3))).toMatchObject(made);
    expect(await other.ask(pivot('four', 4))).toMatchObject(made);
    expect(await first.ask(deleteView('one'))).toMatchObject({ kind: 'view_delete' });
    expect(await second.ask(pivot('five', 5))).toMatchObject({ kind: 'server_error' });
    expect(await second.ask(deleteView('shared'))).toMatchObject({ kind: 'view_delete' });
    expect(await second.ask(pivot('five', 5))).toMatchObject(made);
    for (const { session } of [first, second, other]) session.close();
    await expect.poll(() => engine.inventory?.()).toEqual(NOTHING);
  }));

test('TB13 a reader who leaves takes nothing from another who unfolds the same view', () =>
  withTable({ duckdbTablesQueriesMax: 2 }, async (table, engine) => {
    const [leaving, staying] = [bareSession(table), bareSession(table)];
    for (const { ask } of [leaving, staying]) expect(await ask(split('same'))).toMatchObject({ kind: 'table_make_view' });
    const busy = await occupied(table, engine);
    leaving.send(collapse('same'));
    const answer = staying.ask(collapse('same'));
    await staying.ask({ entityId: 'rows', kind: 'table_size', body: {} } as never);
    leaving.session.close();
    busy.leave();
    expect(await answer).toMatchObject({ kind: 'view_collapse', body: { num_changed: 100 } });
    staying.session.close();
  }));
