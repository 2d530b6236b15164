import perspective from '@perspective-dev/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import type { OperationName } from '../../protocol/operations/index.ts';
import { present } from '../../server/shared/assert.ts';
import { expectNoTrace, parquetText } from '../support/leaks.ts';
import type { RestAnswer } from '../support/rest.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { buildScopeWorld, HIDDEN_COLUMN, HIDDEN_ROW, LIVE_READINGS, READERS, type ScopedReader, type ScopeWorld } from '../support/scope-world.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { answerOverRest } from '../support/transports.ts';

/** Two worlds that differ in nothing but what is hidden, as in `scope-leaks.test.ts`. */
let server: TestServer;
let worlds: readonly [ScopeWorld, ScopeWorld];
const tried = new Set<OperationName>();

beforeAll(async () => {
  server = await startTestServer(['--views-per-subject-max', '1000']);
  const alice = await server.client('alice');
  worlds = [await buildScopeWorld(alice, { hiddenShare: 1, seed: 1 }), await buildScopeWorld(alice, { hiddenShare: 3, seed: 2 })];
});

afterAll(async () => {
  await server?.stop();
});

/** Versions of the world that open for somebody, and some that do not fit a filter or were not read. */
const VERSIONS = [1, 2, 5, 6, 8];

/** By the tests below of what is no request. */
const TRIED_ELSEWHERE = new Set<OperationName>([
  'table.connect',
  'document.connect',
  'document.attribution',
  'document.snapshots',
  'document.readSnapshot',
  'document.scopes',
]);

const TABLES: readonly object[] = [
  {},
  { rowLimit: 7 },
  { columns: ['name', 'id'] },
  { columns: [HIDDEN_COLUMN] },
  { columns: ['zqnothingofthesort'] },
];

const VIEWS: readonly object[] = [
  {},
  { columns: ['id', 'name'], sort: [['id', 'desc']] },
  { group_by: ['region'], columns: ['amount'], aggregates: { amount: 'sum' } },
  { group_by: ['region'], split_by: ['amount'], columns: ['id'], aggregates: { id: 'count' } },
  { columns: ['name'], filter: [['name', 'contains', HIDDEN_ROW]] },
  { columns: ['double'], expressions: { double: '"amount" * 2' } },
  { group_by: ['name'], columns: ['name'], aggregates: { name: 'distinct count' }, filter: [['amount', '>', 5]] },
  { columns: [HIDDEN_COLUMN] },
  { group_by: [HIDDEN_COLUMN] },
  { filter: [[HIDDEN_COLUMN, '==', 'x']] },
  { sort: [[HIDDEN_COLUMN, 'asc']] },
  { columns: ['leak'], expressions: { leak: `"${HIDDEN_COLUMN}"` } },
];

const tokenOf = ({ subject, token }: ScopedReader): Promise<string> => server.token(subject, token);

/** What a reader was told, and by what: ids and times left out, which tell nothing. */
interface Told {
  readonly asked: string;
  readonly status: number;
  readonly text: string;
}

async function readOverRest(reader: ScopedReader, { datasetId }: ScopeWorld): Promise<Told[]> {
  const rest = await server.rest(reader.subject, reader.token);
  const told: Told[] = [];
  const ask = async (operation: OperationName, input: Record<string, unknown>): Promise<RestAnswer> => {
    tried.add(operation);
    const answer = await answerOverRest(rest, { operation, input });
    const asked = `${operation} ${JSON.stringify({ ...input, datasetId: 0, tableId: '', viewId: '' })}`;
    expectNoTrace(reader, asked, withoutEcho(answer.bytes, input));
    if (input.format === 'parquet' && answer.status === 200) expectNoTrace(reader, asked, await parquetText(answer.bytes));
    expect(answer.status, asked).toBeLessThan(500);
    told.push({ asked, status: answer.status, text: comparable(answer, datasetId) });
    return answer;
  };
  for (const version of VERSIONS) {
    for (const options of version === 1 ? TABLES : TABLES.slice(0, 1)) {
      const opened = await ask('table.open', { datasetId, ref: String(version), ...options });
      if (opened.status !== 200) continue;
      const { tableId } = opened.body as { tableId: string };
      await ask('table.get', { tableId });
      if (version === 1 && Object.keys(options).length === 0) await readViews(ask, tableId);
      await ask('table.close', { tableId });
    }
  }
  return told;
}

async function readViews(ask: (operation: OperationName, input: Record<string, unknown>) => Promise<RestAnswer>, tableId: string): Promise<void> {
  for (const config of VIEWS) {
    const made = await ask('view.create', { tableId, ...config });
    if (made.status !== 201) continue;
    const { viewId } = made.body as { viewId: string };
    for (const format of ['json', 'csv', 'arrow']) await ask('view.data', { tableId, viewId, format, startRow: 0, endRow: 50 });
    for (const format of ['csv', 'ndjson', 'arrow', 'parquet']) await ask('view.export', { tableId, viewId, format });
    await ask('view.close', { tableId, viewId });
  }
}

/** An error may name the column or value that the caller asked for: that tells them nothing. */
function withoutEcho(bytes: Uint8Array, input: object): Uint8Array {
  if (!JSON.stringify(input).includes('zq') && !JSON.stringify(input).includes('ZQ')) return bytes;
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.startsWith('{"error"') ? text.replaceAll(HIDDEN_COLUMN, 'ASKED').replaceAll(HIDDEN_ROW, 'ASKED') : text, 'latin1');
}

function comparable({ bytes, headers }: RestAnswer, datasetId: number): string {
  const isText = /json|csv/.test(headers.get('content-type') ?? '');
  if (!isText) return `${bytes.length} bytes`;
  return Buffer.from(bytes)
    .toString()
    .replace(/dataset_\d+_v(\d+)_[0-9a-f]+/g, 'table of $1')
    .replace(/view_[0-9a-f]+/g, 'view')
    .replace(/"(?:\w+At)":"[^"]*"/g, '"at"')
    .replace(/"loadTimeMs":[\d.]+/g, '"loadTimeMs"')
    .replaceAll(`"datasetId":${datasetId}`, '"datasetId"')
    .replaceAll(`dataset ${datasetId}`, 'dataset');
}

describe.each(READERS)('$subject', (reader) => {
  test('SCOPE8 TB5 tables and views over REST have no trace of what is hidden, and are the same whatever that is', async () => {
    const [one, other] = [await readOverRest(reader, worlds[0]), await readOverRest(reader, worlds[1])];
    expect(one.filter(({ status }) => status < 300).length).toBeGreaterThan(50);
    expect(LIVE_READINGS.filter((name) => !tried.has(name) && !TRIED_ELSEWHERE.has(name))).toEqual([]);
    if (!reader.hidden.includes(HIDDEN_ROW)) return;
    const differing = one.filter((told, index) => JSON.stringify(told) !== JSON.stringify(other[index]));
    expect(differing.map((told) => [told, other[one.indexOf(told)]])).toEqual([]);
  }, 240_000);

  test('SCOPE8 TB5 a client of Perspective finds no trace of what is hidden', async () => {
    const rest = await server.rest(reader.subject, reader.token);
    const opened = await answerOverRest(rest, { operation: 'table.open', input: { datasetId: worlds[0].datasetId, ref: '1' } });
    const { tableId } = opened.body as { tableId: string };
    const client = await perspective.websocket(`${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await tokenOf(reader)}`);
    const table = await client.open_table(tableId);
    const seen: unknown[] = [await client.get_hosted_table_names(), await table.schema(), await table.columns(), await table.size()];
    for (const config of VIEWS.slice(0, 7)) {
      const made = await table.view(config as never).catch((error: unknown) => String(error));
      if (typeof made === 'string') continue;
      seen.push(await made.to_columns(), await made.to_csv(), await made.schema(), await made.get_config());
      expectNoTrace(reader, config, new Uint8Array(await made.to_arrow()));
      await made.delete();
    }
    const asked = JSON.stringify(VIEWS[4]);
    expectNoTrace(reader, 'a client of Perspective', withoutOwnWords(JSON.stringify(seen), asked));
    await client.terminate();
  });

  test('SCOPE8 the document of a dataset has no trace of what is hidden', async () => {
    const { datasetId } = worlds[0];
    const socket = await RpcClient.open(Number(new URL(server.url).port), await tokenOf(reader));
    socket.request(1, 'document.connect', { name: `dataset/${datasetId}` });
    await socket.frame((frame) => frame[0] === FRAME.response && frame[1] === 1);
    socket.request(2, 'document.attribution', { name: `dataset/${datasetId}` });
    await socket.last(2);
    socket.request(3, 'document.snapshots', { name: `dataset/${datasetId}` });
    await socket.last(3);
    socket.request(4, 'document.scopes', { datasetId });
    await socket.last(4);
    socket.request(5, 'document.readSnapshot', { name: `dataset/${datasetId}`, snapshotId: 1, map: 'views' });
    await socket.last(5);
    await socket.close();
    for (const frame of socket.raw) expectNoTrace(reader, 'a document', encodeFrame(frame as never));
  });

  test('SCOPE8 a table of who sees more is one that there is not', async () => {
    const alice = await server.client('alice');
    const { tableId } = await alice.table.open({ datasetId: worlds[0].datasetId as never, ref: '1' }, { perspective: false });
    const rest = await server.rest(reader.subject, reader.token);
    for (const operation of ['table.get', 'table.close', 'view.create'] as const) {
      const answer = await answerOverRest(rest, { operation, input: { tableId } });
      expect(answer.status, operation).toBe(404);
      expectNoTrace(reader, operation, answer.bytes);
    }
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await tokenOf(reader)}`);
    const closed = await new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    expect(closed.code).not.toBe(1000);
    expectNoTrace(reader, 'a raw socket', Buffer.from(closed.reason));
  });
});

/** The configuration of a view comes back with the text that the caller searched for. */
function withoutOwnWords(text: string, asked: string): Uint8Array {
  expect(asked).toContain(HIDDEN_ROW);
  return Buffer.from(text.replaceAll(JSON.stringify(HIDDEN_ROW), '"ASKED"'));
}

test('SCOPE8 who sees everything finds in tables what is hidden from others', async () => {
  const { datasetId } = worlds[0];
  const rest = await server.rest('alice');
  const { tableId } = (await answerOverRest(rest, { operation: 'table.open', input: { datasetId, ref: '1' } })).body as { tableId: string };
  const { viewId } = (await answerOverRest(rest, { operation: 'view.create', input: { tableId } })).body as { viewId: string };
  const text = Buffer.from((await answerOverRest(rest, { operation: 'view.export', input: { tableId, viewId } })).bytes).toString();
  for (const hidden of present(READERS[2], 'a reader').hidden.filter((value) => value !== 'ZQFILECANARY')) expect(text).toContain(String(hidden));
});
