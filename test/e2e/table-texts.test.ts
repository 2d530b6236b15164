import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { passOn } from '../../server/workers/pass-on.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openTableChannel } from '../support/table-channel.ts';

let server: TestServer;
let alice: Client;
let tableId: string;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Texts' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', '1,éa', '2,b🙂', '3,🙂') });
  ({ tableId } = await alice.table.open({ datasetId, ref: 'main', engine: 'memory' }, { perspective: false }));
});

afterAll(() => server?.stop());

/** ExprTK counts bytes, of which most characters of other alphabets have several. */
const expressions = { cut: 'substring("name", 0, 1)', rest: 'substring("name", 1, 2)' };
const CUT = ['?', 'b', '?'];
const REST = ['?a', '??', '??'];

async function rowsOf(config: object): Promise<Record<string, unknown>[]> {
  const { viewId } = await alice.view.create({ tableId: tableId as never, expressions, ...config });
  const page = await alice.view.data({ tableId: tableId as never, viewId });
  if (!('rows' in page)) throw new Error('no rows');
  return page.rows;
}

test('MEM8 texts that an expression cut between the bytes of a character can be read over REST and RPC', async () => {
  expect((await rowsOf({})).map(({ cut, rest }) => [cut, rest])).toEqual(CUT.map((cut, index) => [cut, REST[index]]));
  expect((await rowsOf({ group_by: ['cut'] })).map(({ __ROW_PATH__: path }) => path)).toEqual([[], ['b'], ['?'], ['?']]);
});

test('MEM8 they can be exported, but for Parquet, whose texts are UTF-8', async () => {
  const { viewId } = await alice.view.create({ tableId: tableId as never, expressions });
  const rest = await server.rest('alice');
  for (const format of ['csv', 'ndjson', 'arrow']) {
    const { status } = await rest.get(`/api/explore/perspective/table/${tableId}/view/${viewId}/export?format=${format}`);
    expect([format, status]).toEqual([format, 200]);
  }
  const parquet = alice.view.export({ tableId: tableId as never, viewId, format: 'parquet' });
  const readAll = async (): Promise<void> => {
    for await (const part of parquet) expect(part).toMatchObject({ fileName: 'view.parquet' });
  };
  await expect(readAll()).rejects.toMatchObject({ code: 'unprocessable_data' });
});

test('MEM8 they can be read over the protocol of Perspective, in every form and as names of columns', async () => {
  const channel = await openTableChannel(alice, tableId);
  await channel.ask('table_make_view', tableId, { view_id: 'v', config: { expressions, split_by: ['cut'] } });
  const answers = await Promise.all(
    (['view_to_columns_string', 'view_to_rows_string', 'view_to_csv', 'view_column_paths', 'view_to_ndjson_string'] as const).map((kind) =>
      channel.ask(kind, 'v', { viewport: null }),
    ),
  );
  for (const { kind, body } of answers) expect([kind, JSON.stringify(body).includes('?|rest')]).toEqual([kind, true]);
  expect(await channel.ask('view_get_min_max', 'v', { column_name: 'rest' })).toMatchObject({ kind: 'view_get_min_max' });
  const arrow = await channel.ask('view_to_arrow', 'v', { viewport: null });
  if (arrow.kind !== 'view_to_arrow') throw new Error(`no Arrow: ${JSON.stringify(arrow.body)}`);
  expect(tableFromIPC(arrow.body.arrow).numRows).toBe(3);
  channel.close();
});

test('TB15 an answer that cannot be read ends its session and nothing else', () => {
  const told: string[] = [];
  const log = { error: (_: object, message: string) => void told.push(message) } as never;
  const peer = {
    respond: () => {
      throw new TypeError('no message');
    },
    lost: ({ code }: { code: string }) => void told.push(code),
  };
  passOn(new Uint8Array(1), { peer, log, end: () => void told.push('ended') });
  expect(told).toEqual(['an engine of tables gave an answer that cannot be read; the session ends', 'ended', 'unavailable']);
});
