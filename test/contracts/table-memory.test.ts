import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import type { EngineTable, TableSource } from '../../server/services/tables/engine.ts';
import { encodeRequest } from '../../server/shared/perspective/codec.ts';
import { type Content, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import type { PerspectiveMemory } from '../../server/workers/perspective-memory-pool.ts';
import { bareSession, deleteView, makeView, readRows, tableSize } from '../support/bare-session.ts';
import { bytes, calm, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { seededRandom } from '../support/random.ts';
import { sample } from '../support/samples.ts';
import { CELLS, TYPES, typedParquet } from '../support/table-cells.ts';
import { connectClient, memoryEngine } from '../support/table-engines.ts';

const FLIGHTS = 200_000;

let content: TestContent;
let memory: PerspectiveMemory;
let small: TableSource;
let superstore: Content;

const sourceOf = (of: Content, options: Partial<TableSource> = {}): TableSource => ({
  source: unrestricted(of),
  columns: null,
  rowLimit: null,
  ...options,
});

beforeAll(async () => {
  content = await openTestContent();
  memory = memoryEngine(content.store);
  small = sourceOf(contentOfIngested(await content.ingest(bytes('id,name\n1,a\n2,b\n3,\n'))));
  superstore = contentOfIngested(await content.ingest(sample('superstore.parquet')));
});

afterAll(async () => {
  await memory?.close();
  await content?.close();
});

let keys = 0;
async function load(source: TableSource, engine = memory): Promise<{ key: string; table: EngineTable }> {
  keys += 1;
  const key = `table${keys}`;
  return { key, table: await engine.load(key, source, calm()) };
}

/** All cells of a table, as a client reads them. */
async function columnsOf(source: TableSource): Promise<Record<string, unknown[]>> {
  const { key, table } = await load(source);
  const { client, session } = await connectClient(table);
  const view = await (await client.open_table(key)).view();
  const arrow = tableFromIPC(await view.to_arrow());
  session.close();
  table.close();
  return Object.fromEntries(arrow.schema.fields.map(({ name }) => [name, [...(arrow.getChild(name) ?? [])]]));
}

describe('loading', () => {
  test('MEM2 holds real rows in manifest order, texts and numbers alike', async () => {
    const flights = contentOfIngested(await content.ingest(sample('flights-200k.arrow')));
    expect(flights.rows).toBe(FLIGHTS);
    const window = { startRow: 0, endRow: 10_000, columns: undefined, bytesMax: 1e9 };
    for (const [of, columns] of [
      [flights, ['delay', 'distance', 'time']],
      [superstore, ['Row ID', 'Customer Name', 'City', 'Sales', 'Quantity']],
    ] as const) {
      const rows = await content.store.rows(unrestricted(of), window, calm());
      const cells = await columnsOf(sourceOf(of, { columns, rowLimit: 10_000 }));
      expect(Object.keys(cells)).toEqual(columns);
      for (const name of columns)
        expect(cells[name]?.map((cell) => (typeof cell === 'bigint' ? Number(cell) : cell))).toEqual(rows.map((row) => row[name]));
    }
  });

  test('MEM2 holds nothing that the scope hides, and the first rows of what it shows, in the order of columns that was asked for', async () => {
    const row = { sql: '"State" = ?', values: ['California'], columns: [{ name: 'State', type: 'VARCHAR' }] };
    const scope: Scope = { parts: [{ rows: row, mask: { hidden: ['Profit'], columnIdsBelow: 1_000 } }] };
    const source = { content: superstore, scope };
    const { table } = await load({ source, columns: null, rowLimit: null });
    expect(table.rows).toBe(await content.store.count(source, calm()));
    expect([...table.schema.keys()]).not.toContain('Profit');
    table.close();
    const cells = await columnsOf({ source, columns: ['City', 'Row ID'], rowLimit: 1_001 });
    const rows = await content.store.rows(source, { startRow: 0, endRow: 1_001, columns: ['City', 'Row ID'], bytesMax: 1e9 }, calm());
    expect(Object.keys(cells)).toEqual(['City', 'Row ID']);
    expect(cells.City).toEqual(rows.map(({ City }) => City));
    await expect(load({ source, columns: ['Profit'], rowLimit: null })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('MEM1 keeps what every type is said to keep', async () => {
    const of = contentOfIngested(await content.ingest(await typedParquet(`${content.directory}/types.parquet`)));
    const { table } = await load(sourceOf(of));
    const { schema } = table;
    table.close();
    expect(Object.fromEntries(schema)).toEqual(TYPES);
    const cells = await columnsOf(sourceOf(of));
    for (const [name, expected] of Object.entries(CELLS)) expect(cells[name], name).toEqual(expected);
  });

  test('MEM1 keeps texts of every length, seldom and often, among NULLs and behind a filter', async () => {
    const random = seededRandom(20_260_731);
    const text = (bytesMax: number): string =>
      Array.from({ length: random.below(bytesMax) }, () => random.pick(['a', 'b', '"', '|', 'é', '€', '😀'])).join('');
    const rows = Array.from({ length: 9_000 }, (_unused, id) => ({
      id,
      ...{ tiny: text(4), short: text(10), middle: text(40), long: text(300), often: ['one of few', 'another of few that is longer'][id % 2] },
      ...(random.below(10) < 3 ? { middle: null, tiny: null, long: null } : {}),
    }));
    const of = contentOfIngested(await content.ingest(bytes(rows.map((row) => JSON.stringify(row)).join('\n'))));
    const third = { sql: '"id" % 3 = 0', values: [], columns: [{ name: 'id', type: 'BIGINT' }] };
    for (const scope of [UNRESTRICTED, { parts: [{ rows: third, mask: null }] }]) {
      const shown = rows.filter(({ id }) => scope === UNRESTRICTED || id % 3 === 0);
      const cells = await columnsOf({ source: { content: of, scope }, columns: null, rowLimit: null });
      for (const name of ['tiny', 'short', 'middle', 'long', 'often'] as const) expect(cells[name], name).toEqual(shown.map((row) => row[name]));
    }
  });

  test('MEM1 holds a table without rows, and columns of NULL alone', async () => {
    const of = contentOfIngested(await content.ingest(bytes('id,name\n1,\n')));
    expect(await columnsOf(sourceOf(of))).toEqual({ id: [1n], name: [null] });
    expect(await columnsOf(sourceOf(of, { rowLimit: 0 }))).toEqual({ id: [], name: [] });
  });

  test('MEM5 refuses what is too large before the engine sees it, and ends a thread that has grown', async () => {
    const engine = memoryEngine(content.store, resolveLimits({ tableBytesMax: 1_000_000, memoryThreadIdleBytes: 1 }));
    try {
      await expect(load(sourceOf(superstore), engine)).rejects.toMatchObject({ code: 'memory_limit', details: { tableBytesMax: 1_000_000 } });
      const { key, table } = await load(small, engine);
      const [thread] = engine.threads;
      const { ask } = bareSession(table);
      await ask(tableSize(key));
      const ended = new Promise((resolve) => table.onLost(resolve));
      table.close();
      await Promise.race([ended, until(() => engine.threads.length === 0)]);
      expect(engine.threads).not.toContain(thread);
      const again = await load(small, engine);
      expect(again.table.rows).toBe(3);
    } finally {
      await engine.close();
    }
  });

  test('MEM6 leaves the signals to the server', async () => {
    const before = process.listenerCount('SIGINT');
    const { table } = await load(small);
    table.close();
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

describe('threads', () => {
  test('MEM3 a thread that fails loses its tables and no others; they load again', async () => {
    const engine = memoryEngine(content.store);
    try {
      const [one, other] = [await load(small, engine), await load(sourceOf(superstore), engine)];
      expect(engine.threads).toHaveLength(2);
      const [first] = engine.threads;
      const [ofOne, ofOther] = [bareSession(one.table), bareSession(other.table)];
      await ofOne.ask(tableSize(one.key));
      const lost = new Promise<{ code: string }>((resolve) => one.table.onLost(resolve));
      await first?.kill();
      expect(await lost).toMatchObject({ code: 'unavailable' });
      expect(ofOne.lost()).toBe('unavailable');
      expect(() => one.table.connect({ holder: 'alice', respond: () => undefined, lost: () => undefined })).toThrow(/open it again/);
      expect(await ofOther.ask(tableSize(other.key))).toMatchObject({ kind: 'table_size', body: { size: superstore.rows } });
      expect(ofOther.lost()).toBeUndefined();
      const again = await engine.load(one.key, small, calm());
      expect(await bareSession(again).ask(tableSize(one.key))).toMatchObject({ body: { size: 3 } });
    } finally {
      await engine.close();
    }
  });

  test('MEM3 a load under way in a thread that fails is refused', async () => {
    const engine = memoryEngine(content.store);
    try {
      await load(small, engine).then(({ table }) => table.close());
      const loading = load(sourceOf(superstore), engine);
      loading.catch(() => undefined);
      await until(() => engine.threads.some(({ isEmpty }) => !isEmpty));
      await Promise.all(engine.threads.map((thread) => thread.kill()));
      await expect(loading).rejects.toMatchObject({ code: 'unavailable' });
    } finally {
      await engine.close();
    }
  });
});

describe('sessions', () => {
  test('MEM4 a second view of one name is refused, and the session that tried leaves nothing', async () => {
    const { key, table } = await load(small);
    const [one, other] = [bareSession(table), bareSession(table)];
    expect(await one.ask(makeView('no such table', 'v'))).toMatchObject({ kind: 'server_error' });
    expect(await one.ask(makeView(key, 'v'))).toMatchObject({ kind: 'table_make_view' });
    expect(await one.ask(makeView(key, 'v'))).toMatchObject({ kind: 'server_error' });
    expect(await other.ask(makeView(key, 'v'))).toMatchObject({ kind: 'server_error' });
    one.session.close();
    expect(await other.ask(makeView(key, 'v'))).toMatchObject({ kind: 'table_make_view' });
    other.session.close();
    await expectNothingLeft(key, table);
  });

  test('MEM4 a view is not deleted by another session, and one that was deleted does not disturb the end', async () => {
    const { key, table } = await load(small);
    const [one, other] = [bareSession(table), bareSession(table)];
    await one.ask(makeView(key, 'mine'));
    expect(await other.ask(deleteView('mine'))).toMatchObject({ kind: 'server_error', body: { status_code: 'view_not_found' } });
    expect(await one.ask(deleteView('mine'))).toMatchObject({ kind: 'view_delete' });
    one.session.close();
    other.session.close();
    await expectNothingLeft(key, table);
  });

  test('MEM4 a session that closes while requests are under way hears nothing more and leaves nothing', async () => {
    const { key, table } = await load(sourceOf(superstore));
    const heard: Uint8Array[] = [];
    const session = table.connect({ holder: 'alice', respond: (answer) => heard.push(answer), lost: () => undefined });
    for (let view = 0; view < 20; view += 1) session.handle(encodeRequest({ msgId: view + 1, ...(makeView(key, `w${view}`) as object) } as never));
    session.close();
    await expectNothingLeft(key, table);
    expect(heard).toEqual([]);
  });

  test('MEM4 a thousand sessions leave no view and no session behind', async () => {
    const { key, table } = await load(small);
    const sizes: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      for (let one = 0; one < 250; one += 1) {
        const { send, ask, session } = bareSession(table);
        const request = makeView(key, `r${round}n${one}`);
        // Some end before the engine has begun.
        if (one % 2 === 0) await ask(request);
        else send(request);
        session.close();
      }
      sizes.push(await heapBytesAfter(key, table));
    }
    // What the first sessions took is taken again by those that follow.
    expect(sizes.at(-1)).toBe(sizes[0]);
    await expectNothingLeft(key, table);
  });

  test('MEM7 who asks for much ahead keeps another waiting for one answer, and nothing of it is made once the session has ended', async () => {
    const { key, table } = await load(sourceOf(superstore));
    const greedy = bareSession(table);
    const other = bareSession(table);
    await greedy.ask(makeView(key, 'greedy'));
    const asked = 300;
    for (let number = 0; number < asked; number += 1) greedy.send(readRows('greedy'));
    expect(await other.ask(tableSize(key))).toMatchObject({ body: { size: 9_994 } });
    expect(greedy.answered()).toBeLessThan(asked / 2);
    greedy.session.close();
    expect(await other.ask(tableSize(key))).toMatchObject({ body: { size: 9_994 } });
    expect(greedy.answered()).toBeLessThan(asked / 2);
    other.session.close();
    await expectNothingLeft(key, table);
  });

  test('MEM4 bytes that are no request are answered or passed over, and other sessions go on', async () => {
    const { key, table } = await load(small);
    const [one, other] = [bareSession(table), bareSession(table)];
    for (const noise of [new Uint8Array(0), new Uint8Array([255, 255, 255]), bytes('no request'), new Uint8Array(1_000)]) one.session.handle(noise);
    expect(await other.ask(tableSize(key))).toMatchObject({ body: { size: 3 } });
    one.session.close();
    other.session.close();
    await expectNothingLeft(key, table);
  });
});

/** A thread handles messages in order: when it has answered this one, everything before is done. */
async function heapBytesAfter(key: string, table: EngineTable): Promise<number> {
  const last = bareSession(table);
  await last.ask(tableSize(key));
  const held = memory.threads.map((thread) => thread.held);
  last.session.close();
  return held.reduce((sum, { heapBytes }) => sum + heapBytes, 0);
}

async function expectNothingLeft(key: string, table: EngineTable): Promise<void> {
  const last = bareSession(table);
  await last.ask(tableSize(key));
  const held = memory.threads.map((thread) => thread.held);
  last.session.close();
  table.close();
  expect(held.map(({ views }) => views)).toEqual(held.map(() => 0));
  // The one that asked is still there.
  expect(held.reduce((sum, { sessions }) => sum + sessions, 0)).toBeLessThanOrEqual(1);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
