import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { ALLOWED } from '../../server/services/tables/guard-rules.ts';
import { encodeRequest } from '../../server/shared/perspective/codec.ts';
import { REQUESTS } from '../../server/shared/perspective/schema.ts';
import type { PerspectiveRequest, RequestKind } from '../../server/shared/perspective/types.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openTableChannel, readRows, rowsOf, type TableChannel } from '../support/table-channel.ts';
import { CANARIES, prepareOrders } from '../support/table-world.ts';

const SEED = Number(process.env.COVISTA_TEST_SEED ?? 4);
const KINDS = Object.keys(REQUESTS) as RequestKind[];
/** Of the hidden column only what it holds: its name comes back in errors to whoever asked for it. */
const HIDDEN = CANARIES.filter((canary) => canary !== 'margin');

let server: TestServer;
let owner: Client;
let bob: Client;
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer([]);
  ({ owner, datasetId } = await prepareOrders(server));
  bob = await server.client('bob');
});

afterAll(async () => {
  await server?.stop();
});

interface Sides {
  /** Of somebody who sees everything, with the view `owned`. */
  readonly victim: TableChannel;
  /** Of bob, with the view `mine`. */
  readonly attacker: TableChannel;
}

async function openSides(engine: 'memory' | 'duckdb'): Promise<Sides> {
  const open = async (client: Client): Promise<TableChannel> => {
    const { tableId } = await client.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
    return openTableChannel(client, tableId);
  };
  const [victim, attacker] = [await open(owner), await open(bob)];
  expect(await rowsOf(victim, 'owned')).toHaveLength(5);
  expect(await rowsOf(attacker, 'mine')).toHaveLength(3);
  return { victim, attacker };
}

async function expectUnharmed({ victim, attacker }: Sides): Promise<void> {
  expect(await readRows(victim, 'owned')).toHaveLength(5);
  expect(await rowsOf(victim, `another-${Math.random()}`)).toHaveLength(5);
  // The id of the table is a hash, in which anything may stand.
  const seen = attacker.seen().replaceAll(attacker.tableId, '');
  for (const canary of HIDDEN) expect(seen, canary).not.toContain(canary);
  victim.close();
  attacker.close();
}

const FOREIGN_TABLE = 'a foreign table';

/** Bodies with which a request does the most harm, for what there is to name. */
function bodyOf(kind: RequestKind, foreign: string): object {
  if (kind === 'table_make_view') return { view_id: 'owned', config: {} };
  if (kind === 'make_table' || kind === 'table_update' || kind === 'table_replace' || kind === 'table_remove')
    return { data: { from_view: 'owned' } };
  if (kind === 'make_join_table')
    return { left_table_id: foreign, right_table_id: foreign, on_column: 'id', join_type: 'inner', right_on_column: 'id' };
  if (kind === 'table_delete') return { is_immediate: true };
  if (kind === 'view_get_min_max') return { column_name: 'margin' };
  return {};
}

describe.each(['memory', 'duckdb'] as const)('%s', (engine) => {
  test.each(KINDS)('TB11 %s about a foreign table, a foreign view or nothing gives nothing and harms nobody', async (kind) => {
    const sides = await openSides(engine);
    const { victim } = sides;
    const names = {
      [FOREIGN_TABLE]: victim.tableId,
      'a foreign view': 'owned',
      'a name of the engine': 'view-1',
      'an unknown name': 'nothing',
      'no name': '',
    };
    for (const [what, entityId] of Object.entries(names)) {
      const isForAll = ALLOWED.get(kind)?.about === 'server';
      expect(await answerTo(sides, kind, entityId), what).toBe(isForAll ? kind : 'server_error');
    }
    await expectUnharmed(sides);
  });

  test('TB11 what is not allowed is refused about one’s own table and view too, and what is allowed tells nothing of others', async () => {
    const sides = await openSides(engine);
    const { attacker } = sides;
    for (const kind of KINDS.filter((each) => each !== 'view_delete')) {
      for (const entityId of [attacker.tableId, 'mine']) {
        const { about, way } = ALLOWED.get(kind) ?? { about: 'nothing' };
        const isOwn = about === 'server' || about === (entityId === 'mine' ? 'view' : 'table');
        // A column that is hidden has no least value.
        const expected = isOwn && kind !== 'view_get_min_max' ? (way === 'listen' ? SILENCE : kind) : 'server_error';
        expect(await answerTo(sides, kind, entityId), `${kind} ${entityId}`).toBe(expected);
      }
    }
    await expectUnharmed(sides);
  });

  test('TB11 TB15 a window without bounds, or without a viewport at all, is the rows that its reader sees', async () => {
    const sides = await openSides(engine);
    const { attacker } = sides;
    for (const kind of ['view_to_columns_string', 'view_to_rows_string', 'view_to_ndjson_string', 'view_to_csv', 'view_to_arrow'] as const) {
      for (const body of [
        {},
        { viewport: {} },
        { viewport: { start_row: 4_000_000_000, end_row: 4_294_967_295 } },
        { viewport: { start_row: 3, end_row: 1 } },
      ]) {
        expect((await attacker.ask(kind, 'mine', body)).kind, JSON.stringify(body)).toBe(kind);
      }
    }
    await expectUnharmed(sides);
  });

  test('TB12 a hidden column is refused in every place of a configuration as one that does not exist', async () => {
    const sides = await openSides(engine);
    const { attacker } = sides;
    const window = { source: 'price', op: 'sum', partition_by: [], order_by: null };
    const configs: Readonly<Record<string, object>> = {
      columns: { columns: { columns: { columns: ['margin'] } } },
      group_by: { group_by: ['margin'] },
      split_by: { split_by: ['margin'] },
      filter: { filter: [{ column: 'margin', op: '>', value: [{ float: 0 }] }] },
      sort: { sort: [{ column: 'margin', op: 'desc' }] },
      aggregates: { aggregates: { margin: { aggregations: ['sum'] } } },
      'another column of an aggregate': { aggregates: { price: { aggregations: ['weighted mean', 'margin'] } } },
      expressions: { expressions: { x: '"margin" + 1' } },
      'windows source': { windows: { w: { ...window, source: 'margin' } } },
      'windows partition': { windows: { w: { ...window, partition_by: ['margin'] } } },
      'windows order': { windows: { w: { ...window, order_by: { column: 'margin', desc: true } } } },
    };
    for (const [where, config] of Object.entries(configs)) {
      const { kind, body } = await attacker.ask('table_make_view', attacker.tableId, { view_id: where, config });
      expect(kind, where).toBe('server_error');
      expect(JSON.stringify(body), where).toContain('margin');
    }
    const validated = await attacker.ask('table_validate_expr', attacker.tableId, { column_to_expr: { x: '"margin" * 2', y: '"price" * 2' } });
    expect(validated.body).toMatchObject({ errors: { x: {} }, expression_schema: { y: 'float' } });
    expect((await attacker.ask('view_get_min_max', 'mine', { column_name: 'margin' })).kind).toBe('server_error');
    await expectUnharmed(sides);
  });

  test('TB12 filters joined by or show no more than there is', async () => {
    const sides = await openSides(engine);
    const filter = [
      { column: 'region', op: '==', value: [{ string: 'US' }] },
      { column: 'id', op: '>', value: [{ float: 0 }] },
    ];
    expect(await rowsOf(sides.attacker, 'or', { filter, filter_op: 'or' })).toHaveLength(3);
    await expectUnharmed(sides);
  });

  test('TB11 views of one name in two sessions are two, and two of one name in one session are refused', async () => {
    const sides = await openSides(engine);
    const { victim, attacker } = sides;
    expect(await rowsOf(attacker, 'owned')).toHaveLength(3);
    expect((await attacker.ask('table_make_view', attacker.tableId, { view_id: 'owned', config: {} })).kind).toBe('server_error');
    expect((await attacker.ask('view_delete', 'owned')).kind).toBe('view_delete');
    expect((await attacker.ask('view_delete', 'owned')).kind).toBe('server_error');
    expect(await readRows(victim, 'owned')).toHaveLength(5);
    await expectUnharmed(sides);
  });

  test('TB13 sessions that leave in the middle of their work are cleaned up, and others do not notice', async () => {
    const sides = await openSides(engine);
    for (let round = 0; round < 20; round += 1) {
      const leaving = await openTableChannel(bob, sides.attacker.tableId);
      for (const view of ['a', 'b', 'a']) void leaving.ask('table_make_view', leaving.tableId, { view_id: view, config: { group_by: ['region'] } });
      void leaving.ask('view_on_delete', 'a');
      void leaving.ask('view_delete', 'a');
      leaving.close();
    }
    await expect.poll(async () => (await bob.table.get({ tableId: sides.attacker.tableId as never })).connections).toBe(1);
    await expectUnharmed(sides);
  });

  test(`TB11 ten thousand mutated messages of seed ${SEED} give nothing and harm nobody`, async () => {
    const sides = await openSides(engine);
    const { attacker } = sides;
    const seeds = KINDS.flatMap((kind) =>
      [attacker.tableId, 'mine', sides.victim.tableId].map((entity) => requestOf(kind, entity, sides.victim.tableId)),
    );
    for (const [index, config] of CONFIGS.entries()) {
      expect(await rowsOf(attacker, `valid ${index}`, config)).not.toHaveLength(0);
      seeds.push(...MADE.map((view_id) => makeViewBytes(attacker.tableId, { view_id, config })));
    }
    const mutations = fc.sample(mutated(seeds), { numRuns: 10_000, seed: SEED });
    for (const [index, bytes] of mutations.entries()) {
      attacker.send(bytes);
      // An answer to something that is in order behind them keeps the server from drowning in them.
      if (index % 100 === 99) await Promise.all(MADE.map((view) => attacker.ask('view_delete', view)));
    }
    expect(await attacker.ask('table_size', attacker.tableId)).toMatchObject({ body: { size: 3 } });
    await expectUnharmed(sides);
  });
});

/** Configurations that use everything that there is to configure. */
const CONFIGS: readonly object[] = [
  {
    ...{ group_by: ['region', 'product'], group_by_depth: 1, split_by: ['day'], columns: { columns: { columns: ['price', 'id'] } } },
    aggregates: { price: { aggregations: ['weighted mean', 'id'] }, id: { aggregations: ['distinct count'] } },
    sort: [
      { column: 'price', op: 'desc abs' },
      { column: 'id', op: 'col asc' },
    ],
  },
  {
    filter: [
      { column: 'price', op: '>', value: [{ float: 6 }] },
      { column: 'product', op: 'in', value: [{ string: 'Chair' }, { string: 'Lamp' }] },
      { column: 'product', op: 'matches', value: [{ string: '^(La|De)[a-z]+$' }] },
      { column: 'day', op: '>=', value: [{ string: '2026-01-02' }] },
    ],
    ...{ filter_op: 'or', sort: [{ column: 'product', op: 'asc' }] },
  },
  {
    expressions: { month: `bucket("day", 'M')`, twice: 'var x := "price" * 2; x + "id"' },
    ...{ group_by: ['month'], group_rollup_mode: 'flat', columns: { columns: { columns: ['twice'] } } },
    aggregates: { twice: { aggregations: ['high minus low'] } },
  },
  {
    windows: {
      recent: { source: 'price', op: 'sum', partition_by: ['region'], order_by: { column: 'day', desc: true }, rows: 2 },
      faded: { source: 'price', op: 'ema', partition_by: [], order_by: { column: 'id', desc: false }, alpha: 0.5 },
    },
    sort: [{ column: 'recent', op: 'asc' }],
  },
];
/** Names of views that are made of them. */
const MADE = Array.from({ length: 8 }, (_unused, index) => `made ${index}`);

const makeViewBytes = (tableId: string, body: object): Uint8Array =>
  requestBytes({ msgId: 4_000_000_000, entityId: tableId, kind: 'table_make_view', body });

test('TB11 TB12 functions that look columns up by name or rows by number see the table that they are asked of', async () => {
  const { victim, attacker } = await openSides('memory');
  const made = async (expression: string): Promise<unknown[]> => {
    const config = { expressions: { made: expression }, columns: { columns: { columns: ['made'] } } };
    return (await rowsOf(attacker, expression, config)).map((row) => (row as { made: unknown }).made);
  };
  expect(await made(`col('price')`)).toEqual([10, 5, 7]);
  expect(await made('index()')).toEqual([0, 1, 2]);
  expect(await made(`vlookup('price', index())`)).toEqual([10, 5, 7]);
  // The rows of others are the fourth and the fifth of theirs.
  for (const row of [3, 4, 1_000]) expect(await made(`vlookup('price', integer(${row}))`), `row ${row}`).toEqual([null, null, null]);
  expect(await made(`order("product", 'Lamp', 'Desk')`)).toEqual([1, 2, 0]);
  for (const expression of [`col('margin')`, `vlookup('margin', index())`]) await expect(made(expression)).rejects.toThrow('no view');
  await expectUnharmed({ victim, attacker });
});

const requestBytes = (request: object): Uint8Array => encodeRequest(request as PerspectiveRequest);

function requestOf(kind: RequestKind, entityId: string, foreign: string): Uint8Array {
  return requestBytes({ msgId: 4_000_000_000, entityId, kind, body: bodyOf(kind, foreign) });
}

/** What comes of a subscription that is accepted. */
const SILENCE = 'no answer';

/** The kind of the answer to what the attacker asks, or silence, where what is asked behind it is answered first: the guard refuses at once. */
function answerTo({ attacker, victim }: Sides, kind: RequestKind, entityId: string): Promise<string> {
  const answer = attacker.ask(kind, entityId, bodyOf(kind, victim.tableId)).then((response): string => response.kind);
  if (ALLOWED.get(kind)?.way !== 'listen') return answer;
  return Promise.race([answer, attacker.ask('table_size', attacker.tableId).then(() => SILENCE)]);
}

/** Requests with some bytes changed, left out, doubled or added. */
function mutated(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    how: fc.constantFrom('set', 'drop', 'add', 'cut'),
  });
  return fc.tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 4 })).map(([seed, changes]) => {
    let bytes = [...seed];
    for (const { at, byte, how } of changes) {
      const index = Math.min(bytes.length - 1, Math.floor(at * bytes.length));
      if (how === 'set') bytes[index] = byte;
      else if (how === 'drop') bytes.splice(index, 1);
      else if (how === 'add') bytes.splice(index, 0, byte);
      else bytes = bytes.slice(0, Math.max(1, index));
    }
    return Uint8Array.from(bytes);
  });
}
