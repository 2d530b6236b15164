import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { tableId as parseTableId, type TableId } from '../../protocol/ids.ts';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import { Asker } from '../../server/services/tables/asker.ts';
import type { EngineTable, TableEngine } from '../../server/services/tables/engine.ts';
import { Guard } from '../../server/services/tables/guard.ts';
import { TablePool, type TableRequest } from '../../server/services/tables/table-pool.ts';
import { decodeResponse, encodeRequest } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest, PerspectiveResponse, StatusCode } from '../../server/shared/perspective/types.ts';
import { type FakeEngine, fakeTable } from '../support/fake-table.ts';

const ID = parseTableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');
const DEAF = { holder: 'alice', lost: () => undefined, computed: () => undefined };

function openGuard(fake: FakeEngine, limits: Partial<Limits> = {}): { ask(request: object): void; answers: PerspectiveResponse[] } {
  const answers: PerspectiveResponse[] = [];
  const guard = new Guard({
    tableId: ID,
    table: fake.table,
    dialect: 'exprtk',
    limits: { ...defaultLimits, ...limits },
    respond: (bytes) => void answers.push(decodeResponse(bytes)),
    ...DEAF,
  });
  return { ask: (request) => guard.receive(encodeRequest(request as PerspectiveRequest)), answers };
}

const makeView = (msgId: number, view_id: string) => ({ msgId, entityId: ID, kind: 'table_make_view', body: { view_id, config: {} } });

function withView(limits: Partial<Limits> = {}) {
  const fake = fakeTable();
  const guard = openGuard(fake, limits);
  guard.ask(makeView(1, 'mine'));
  const [made] = fake.asked.splice(0);
  if (made?.kind !== 'table_make_view') throw new Error('no view was made');
  fake.respond({ msgId: made.msgId, entityId: ID, kind: 'table_make_view', body: { view_id: made.body.view_id } });
  guard.answers.splice(0);
  return { fake, guard, engineId: made.body.view_id };
}

test('TB11 no name or number that a client chose reaches the engine, and the client sees its own again', () => {
  const { fake, guard, engineId } = withView();
  expect(engineId).not.toBe('mine');
  guard.ask({ msgId: 77, entityId: 'mine', kind: 'view_schema', body: {} });
  const [asked] = fake.asked;
  expect(asked).toMatchObject({ entityId: engineId, kind: 'view_schema' });
  expect(asked?.msgId).not.toBe(77);
  fake.respond({
    msgId: asked?.msgId ?? 0,
    entityId: engineId,
    kind: 'server_error',
    body: { message: `no ${engineId} here`, status_code: 'server_error' },
  });
  expect(guard.answers).toMatchObject([{ msgId: 77, entityId: 'mine', kind: 'server_error', body: { message: 'no this view here' } }]);
});

test('TB2 a session is told the columns of its table in their order, whatever their names', () => {
  const fake = fakeTable();
  const names = ['country', '2020', '2019'];
  const guard = openGuard({ ...fake, table: { ...fake.table, schema: new Map(names.map((name) => [name, 'integer'])) } });
  guard.ask({ msgId: 1, entityId: ID, kind: 'table_schema', body: {} });
  const schema = names.map((name) => ({ name, type: 'integer' }));
  expect(guard.answers).toMatchObject([{ kind: 'table_schema', body: { schema: { schema } } }]);
});

test('TB15 what the engine lacks has a code over REST and RPC, which no session gets', async () => {
  const { fake, guard, engineId } = withView();
  guard.ask({ msgId: 5, entityId: 'mine', kind: 'view_to_csv', body: { viewport: null } });
  const fault = (status_code: StatusCode) => ({
    msgId: fake.asked.at(-1)?.msgId ?? 0,
    entityId: engineId,
    kind: 'server_error' as const,
    body: { message: 'no room', status_code },
  });
  fake.respond(fault('memory_limit'));
  expect(guard.answers).toMatchObject([{ msgId: 5, kind: 'server_error', body: { message: 'no room', status_code: 'server_error' } }]);
  const asker = new Asker({ tableId: ID, table: fake.table, dialect: 'exprtk', limits: defaultLimits, ...DEAF });
  for (const [status, code] of [
    ['memory_limit', 'memory_limit'],
    ['payload_too_large', 'payload_too_large'],
    ['server_error', 'invalid_input'],
  ] as const) {
    const answer = asker.ask('table_make_view', ID, { view_id: 'view', config: null });
    fake.respond(fault(status));
    await expect(answer).rejects.toMatchObject({ code, message: 'no room' });
  }
});

test('TB15 a window with more cells than one answer may have is refused, once the size of the view is known', () => {
  const { fake, guard, engineId } = withView({ viewCellsMax: 100 });
  guard.ask({ msgId: 2, entityId: 'mine', kind: 'view_to_arrow', body: { viewport: null } });
  expect(fake.asked).toMatchObject([{ kind: 'view_dimensions', entityId: engineId }]);
  const body = { num_table_rows: 10, num_table_columns: 1, num_view_rows: 60, num_view_columns: 2 };
  fake.respond({ msgId: fake.asked[0]?.msgId ?? 0, entityId: engineId, kind: 'view_dimensions', body });
  expect(guard.answers).toMatchObject([{ msgId: 2, kind: 'server_error' }]);
  guard.ask({ msgId: 3, entityId: 'mine', kind: 'view_to_arrow', body: { viewport: { start_row: 0, end_row: 50 } } });
  expect(fake.asked[1]).toMatchObject({ kind: 'view_to_arrow', entityId: engineId });
});

test('TB15 a size that was asked for before a view was expanded does not count after it', () => {
  const { fake, guard, engineId } = withView({ viewCellsMax: 100 });
  const respondTo = (index: number, response: object): void =>
    fake.respond({ msgId: fake.asked[index]?.msgId ?? 0, entityId: engineId, ...response } as PerspectiveResponse);
  const sizeOf = (rows: number) => ({
    kind: 'view_dimensions',
    body: { num_table_rows: 10, num_table_columns: 1, num_view_rows: rows, num_view_columns: 2 },
  });
  guard.ask({ msgId: 2, entityId: 'mine', kind: 'view_to_arrow', body: { viewport: { start_row: 0, end_row: 1 } } });
  guard.ask({ msgId: 3, entityId: 'mine', kind: 'view_dimensions', body: {} });
  guard.ask({ msgId: 4, entityId: 'mine', kind: 'view_set_depth', body: { depth: 1 } });
  expect(fake.asked.map(({ kind }) => kind)).toEqual(['view_dimensions', 'view_dimensions', 'view_set_depth']);
  respondTo(0, sizeOf(1));
  respondTo(1, sizeOf(1));
  expect(fake.asked[3]).toMatchObject({ kind: 'view_dimensions' });
  respondTo(2, { kind: 'view_set_depth', body: {} });
  respondTo(3, sizeOf(1));
  expect(fake.asked[4]).toMatchObject({ kind: 'view_dimensions' });
  respondTo(4, sizeOf(60));
  expect(fake.asked[5]).toMatchObject({ kind: 'view_to_arrow' });
  guard.ask({ msgId: 5, entityId: 'mine', kind: 'view_to_arrow', body: { viewport: null } });
  expect(guard.answers.at(-1)).toMatchObject({ msgId: 5, kind: 'server_error' });
});

test('TB13 the callbacks of a view go with it', () => {
  const { fake, guard, engineId } = withView({ sessionCallbacksMax: 1 });
  guard.ask({ msgId: 6, entityId: 'mine', kind: 'view_on_update', body: {} });
  guard.ask({ msgId: 7, entityId: 'mine', kind: 'view_delete', body: {} });
  fake.respond({ msgId: fake.asked.at(-1)?.msgId ?? 0, entityId: engineId, kind: 'view_delete', body: {} });
  guard.ask({ msgId: 8, entityId: ID, kind: 'get_hosted_tables', body: { subscribe: true } });
  expect(guard.answers.map(({ msgId, kind }) => [msgId, kind])).toEqual([[7, 'view_delete']]);
});

test('TB13 the callbacks of a view that could not be made go with it', () => {
  const fake = fakeTable();
  const guard = openGuard(fake, { sessionCallbacksMax: 1 });
  guard.ask(makeView(1, 'mine'));
  guard.ask({ msgId: 2, entityId: 'mine', kind: 'view_on_delete', body: {} });
  const body = { message: 'no room', status_code: 'server_error' as const };
  fake.respond({ msgId: fake.asked[0]?.msgId ?? 0, entityId: ID, kind: 'server_error', body });
  guard.ask({ msgId: 3, entityId: ID, kind: 'get_hosted_tables', body: { subscribe: true } });
  expect(guard.answers).toMatchObject([{ msgId: 1, kind: 'server_error' }]);
});

test('TB15 requests that wait for their answer, views and callbacks of a session are bounded', () => {
  const { guard } = withView({ sessionRequestsMax: 2, sessionViewsMax: 1, sessionCallbacksMax: 1 });
  guard.ask(makeView(2, 'second'));
  expect(guard.answers.splice(0)).toMatchObject([{ msgId: 2, kind: 'server_error' }]);
  for (const msgId of [3, 4, 5]) guard.ask({ msgId, entityId: 'mine', kind: 'view_schema', body: {} });
  expect(guard.answers.splice(0)).toMatchObject([{ msgId: 5, kind: 'server_error' }]);
  for (const msgId of [6, 7]) guard.ask({ msgId, entityId: 'mine', kind: 'view_on_update', body: {} });
  expect(guard.answers.splice(0)).toMatchObject([{ msgId: 7, kind: 'server_error' }]);
});

test('TB15 who asks for a view over RPC or REST is told that too many wait', async () => {
  const fake = fakeTable();
  const limits = { ...defaultLimits, sessionRequestsMax: 1 };
  const asker = new Asker({ tableId: ID, table: fake.table, dialect: 'exprtk', limits, ...DEAF });
  const first = asker.ask('table_make_view', ID, { view_id: 'v', config: null });
  await expect(asker.ask('view_dimensions', 'v', {})).rejects.toMatchObject({ code: 'rate_limited', details: { sessionRequestsMax: 1 } });
  fake.respond({ msgId: fake.asked[0]?.msgId ?? 0, entityId: ID, kind: 'table_make_view', body: { view_id: 'engine' } });
  await expect(first).resolves.toEqual({ view_id: 'v' });
  asker.close();
});

test('TB15 an engine that throws is answered for, and its view is not there', () => {
  const guard = openGuard(fakeTable({ fail: true }));
  guard.ask(makeView(1, 'mine'));
  guard.ask({ msgId: 2, entityId: 'mine', kind: 'view_schema', body: {} });
  expect(guard.answers).toMatchObject([
    { msgId: 1, kind: 'server_error', body: { status_code: 'server_error' } },
    { msgId: 2, kind: 'server_error', body: { status_code: 'view_not_found' } },
  ]);
});

const signal = new AbortController().signal;
const idOf = (number: number): TableId => parseTableId.parse(`dataset_${number}_v1_0123456789abcdef0123456789abcdef`);

function poolOf(limits: Partial<Limits> = {}) {
  const clock = { nowMs: 0, now: () => clock.nowMs };
  const times = { loaded: () => undefined };
  const pool = new TablePool({
    limits: { ...defaultLimits, tableBytesMax: 100, tablesBytesMax: 100, tableIdleMs: 1_000, ...limits },
    engines: [],
    times,
    clock,
  });
  const request = (number: number, fake: FakeEngine): TableRequest => ({
    tableId: idOf(number),
    engine: { name: 'memory', dialect: 'exprtk' } as TableEngine,
    estimatedBytes: fake.table.bytes,
    load: async () => fake.table,
  });
  return { pool, clock, request };
}

test('TB16 idle tables make room, least recently used first; those in use stay, and then there is none', async () => {
  const { pool, request } = poolOf();
  const [first, second, third] = [fakeTable({ bytes: 50 }), fakeTable({ bytes: 50 }), fakeTable({ bytes: 50 })];
  const lease = await pool.use(request(1, first), { ended: () => undefined }, { signal });
  await pool.use(request(2, second), undefined, { signal });
  const other = await pool.use(request(3, third), { ended: () => undefined }, { signal });
  expect([first.closed, second.closed, third.closed]).toEqual([0, 1, 0]);
  const refused = pool.use(request(4, fakeTable({ bytes: 50 })), undefined, { signal });
  await expect(refused).rejects.toMatchObject({ code: 'memory_limit' });
  await expect(pool.use(request(5, fakeTable({ bytes: 101 })), undefined, { signal })).rejects.toMatchObject({ code: 'memory_limit' });
  lease.release();
  other.release();
  await pool.use(request(4, fakeTable({ bytes: 50 })), undefined, { signal });
  expect(first.closed + third.closed).toBe(1);
  pool.close();
});

test('TB16 idle tables stay where their room would not be enough, and those that take none stay where only room is short', async () => {
  const { pool, request } = poolOf();
  const [used, idle, light] = [fakeTable({ bytes: 60 }), fakeTable({ bytes: 30 }), fakeTable({ bytes: 0 })];
  await pool.use(request(1, light), undefined, { signal });
  const lease = await pool.use(request(2, used), { ended: () => undefined }, { signal });
  await pool.use(request(3, idle), undefined, { signal });
  await expect(pool.use(request(4, fakeTable({ bytes: 50 })), undefined, { signal })).rejects.toMatchObject({ code: 'memory_limit' });
  expect([light.closed, idle.closed]).toEqual([0, 0]);
  lease.release();
  await pool.use(request(4, fakeTable({ bytes: 100 })), undefined, { signal });
  expect([light.closed, used.closed, idle.closed]).toEqual([0, 1, 1]);
  pool.close();
});

test('TB16 where tables are too many, the one that was not used for the longest time makes room, whatever it takes', async () => {
  const { pool, request } = poolOf({ tablesMax: 2 });
  const [first, second] = [fakeTable({ bytes: 0 }), fakeTable({ bytes: 50 })];
  await pool.use(request(1, first), undefined, { signal });
  await pool.use(request(2, second), undefined, { signal });
  await pool.use(request(3, fakeTable({ bytes: 0 })), undefined, { signal });
  expect([first.closed, second.closed]).toEqual([1, 0]);
  pool.close();
});

test('TB4 who asks for a table whose only waiter has just left gets it loaded anew, once the first load has ended', async () => {
  const { pool, request } = poolOf();
  const [left, fresh] = [fakeTable(), fakeTable()];
  const first = Promise.withResolvers<EngineTable>();
  const leaving = new AbortController();
  const leaver = pool.use({ ...request(1, left), load: () => first.promise }, undefined, leaving).catch((fault: unknown) => fault);
  leaving.abort(new CovistaError('cancelled', 'the caller has gone away'));
  expect(await leaver).toMatchObject({ message: 'the caller has gone away' });
  let loads = 0;
  const anew: TableRequest = {
    ...request(1, fresh),
    load: async () => {
      loads += 1;
      return fresh.table;
    },
  };
  const both = Promise.all([pool.use(anew, undefined, { signal }), pool.use(anew, undefined, { signal })]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(loads).toBe(0);
  first.resolve(left.table);
  for (const { loaded } of await both) expect(loaded.table).toBe(fresh.table);
  expect([left.closed, fresh.closed, loads]).toEqual([1, 0, 1]);
  pool.close();
});

test('TB16 a table that nobody used for a while is unloaded', async () => {
  const { pool, clock, request } = poolOf();
  const [idle, used] = [fakeTable(), fakeTable()];
  await pool.use(request(1, idle), undefined, { signal });
  const reasons: CovistaError[] = [];
  await pool.use(request(2, used), { ended: (reason) => void reasons.push(reason) }, { signal });
  clock.nowMs = 1_001;
  pool.sweep();
  expect([idle.closed, used.closed]).toEqual([1, 0]);
  pool.remove((id) => id === idOf(2), new CovistaError('not_found', 'gone'));
  expect(used.closed).toBe(1);
  expect(reasons).toMatchObject([{ code: 'not_found' }]);
  pool.close();
});
