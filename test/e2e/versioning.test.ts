import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv, sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

async function newDataset(key: string[] | null = null): Promise<number> {
  return (await alice.dataset.create({ name: 'Test', key })).datasetId;
}

function commit(datasetId: number, body: Uint8Array, options: Record<string, unknown> = {}) {
  return alice.version.commit({ datasetId, branch: 'main', ...options }, { body });
}

async function rowsOf(datasetId: number, versionId: number): Promise<unknown[]> {
  return (await alice.version.preview({ datasetId, versionId, endRow: 10_000 })).rows;
}

const NUMBERS = csv('id,name', '1,one', '2,two', '3,three');

describe('committing', () => {
  test('VC1 versions are numbered from 1 without gaps, and the first is on main', async () => {
    const datasetId = await newDataset();
    const first = await commit(datasetId, NUMBERS, { message: 'First' });
    expect(first).toMatchObject({
      versionId: 1,
      branch: 'main',
      rows: 3,
      parents: [],
      generation: 0,
      message: 'First',
      author: 'alice',
      mode: 'replace',
      identical: false,
    });
    expect(first.schema).toMatchObject([
      { name: 'id', type: 'BIGINT', nullable: true },
      { name: 'name', type: 'VARCHAR', nullable: true },
    ]);
    await expect(commit(datasetId, NUMBERS, { expectedHead: 99 })).rejects.toMatchObject({ code: 'conflict' });
    const second = await commit(datasetId, csv('id,name', '4,four'));
    expect(second).toMatchObject({ versionId: 2, parents: [1], generation: 1 });
    expect(await alice.version.get({ datasetId, versionId: 1 })).toEqual(withoutIdentical(first));
  });

  test('VC4 a commit with a stale head conflicts and names the actual one', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS, { expectedHead: null });
    await commit(datasetId, NUMBERS, { expectedHead: 1 });
    await expect(commit(datasetId, NUMBERS, { expectedHead: 1 })).rejects.toMatchObject({ code: 'conflict', details: { actualHead: 2 } });
    await expect(commit(datasetId, NUMBERS, { expectedHead: null })).rejects.toMatchObject({ code: 'conflict', details: { actualHead: 2 } });
  });

  test('VC3 racing commits all land, each on top of another', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const made = await Promise.all(Array.from({ length: 20 }, (_, index) => commit(datasetId, csv('id', String(index)))));
    const ids = made.map(({ versionId }) => versionId).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
    expect(made.map(({ parents }) => Number(parents[0])).sort((a, b) => a - b)).toEqual(ids.map((id) => id - 1));
  });

  test('VC3 of racing commits with one expected head exactly one lands', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => commit(datasetId, csv('id', String(index)), { expectedHead: 1 })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const { items } = await alice.version.history({ datasetId });
    expect(items.map(({ versionId }) => versionId)).toEqual([2, 1]);
  });

  test('VC5 committing to a branch that does not exist creates it from the head of main', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const made = await commit(datasetId, csv('id', '9'), { branch: 'experiment' });
    expect(made).toMatchObject({ versionId: 2, parents: [1], branch: 'experiment' });
    expect((await alice.branch.get({ datasetId, branch: 'main' })).versionId).toBe(1);
    expect((await alice.branch.log({ datasetId, branch: 'experiment' })).items.map(({ action, from, to }) => [action, from, to])).toEqual([
      ['commit', 1, 2],
      ['create', null, 1],
    ]);
  });

  test('VC13 a commit whose bytes have another hash leaves nothing', async () => {
    const datasetId = await newDataset();
    await expect(commit(datasetId, NUMBERS, { sha256: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'unprocessable_data',
      details: { expected: '0'.repeat(64) },
    });
    expect((await alice.branch.list({ datasetId })).items).toEqual([]);
    expect(await server.leftovers()).toEqual([]);
  });

  test('VC11 the same file again shares its objects and is recognised as identical', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const before = await server.objects(datasetId);
    const again = await commit(datasetId, NUMBERS);
    expect(again).toMatchObject({ versionId: 2, identical: true, rows: 3 });
    expect(await server.objects(datasetId)).toEqual(before);
    expect(await alice.diff.rows({ datasetId, from: '1', to: '2' })).toMatchObject({ counts: { added: 0, removed: 0, changed: 0 }, changes: [] });
  });

  test('VC12 a restore commits the content of any ref without copying it', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    await commit(datasetId, csv('other', 'x'));
    const before = await server.objects(datasetId);
    const restored = await alice.version.commit({ datasetId, branch: 'main', restore: 'main~1', message: 'Back' });
    expect(restored).toMatchObject({ versionId: 3, mode: 'restore', parents: [2], rows: 3 });
    expect(await rowsOf(datasetId, 3)).toEqual(await rowsOf(datasetId, 1));
    expect(await server.objects(datasetId)).toEqual(before);
  });

  test('VC12 a restore with bytes or another mode is refused', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const input = { datasetId, branch: 'main', restore: '1' };
    for (const refused of [alice.version.commit(input, { body: NUMBERS }), alice.version.commit({ ...input, mode: 'append' })])
      await expect(refused).rejects.toMatchObject({ code: 'invalid_input' });
    const rest = await server.rest('alice');
    const path = `/api/datasets/${datasetId}/branches/main/commit?restore=1`;
    expect((await rest.send('POST', path, { body: NUMBERS })).status).toBe(400);
    expect((await rest.send('POST', path, { body: new Uint8Array() })).status).toBe(201);
    expect((await alice.version.history({ datasetId })).items).toHaveLength(2);
  });

  test('VC17 a command repeated with its idempotency key happens once', async () => {
    const datasetId = await newDataset();
    const once = () => alice.version.commit({ datasetId, branch: 'main' }, { body: NUMBERS, idempotencyKey: `commit-${datasetId}` });
    const [first, second] = await Promise.all([once(), once()]);
    expect(await once()).toEqual(first);
    expect(second).toEqual(first);
    expect((await alice.version.history({ datasetId })).items).toHaveLength(1);
    const other = alice.version.commit({ datasetId, branch: 'other' }, { body: NUMBERS, idempotencyKey: `commit-${datasetId}` });
    await expect(other).rejects.toMatchObject({ code: 'conflict' });
  });

  test('VC17 a key that comes again with other bytes is a conflict, afterwards and at once, over REST too', async () => {
    const datasetId = await newDataset();
    const input = { datasetId, branch: 'main' };
    const bodies = [NUMBERS, csv('other', 'x')];
    const both = await Promise.allSettled(bodies.map((body) => alice.version.commit(input, { body, idempotencyKey: `both-${datasetId}` })));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'conflict', details: { idempotencyKey: `both-${datasetId}` } },
    });
    const rest = await server.rest('alice');
    const headers = { 'idempotency-key': `rest-${datasetId}` };
    const send = (body: Uint8Array) => rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body, headers });
    const answers = [await send(NUMBERS), await send(csv('other', 'x')), await send(NUMBERS), await send(new Uint8Array())];
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 201, 409]);
    const restore = () => alice.version.commit({ ...input, restore: '1' }, { idempotencyKey: `restore-${datasetId}` });
    expect(await restore()).toEqual(await restore());
    expect((await alice.version.history({ datasetId })).items).toHaveLength(3);
    expect(await server.leftovers()).toEqual([]);
  });
});

function withoutIdentical<T extends { identical: boolean }>({ identical: _, ...version }: T): Omit<T, 'identical'> {
  return version;
}

describe('modes', () => {
  test('VC10 append puts rows behind the head without touching its files', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, csv('id,code', '1,001', '2,002'));
    const before = await server.objects(datasetId);
    const appended = await commit(datasetId, csv('id,code,extra', '3,003,x'), { mode: 'append' });
    expect(appended).toMatchObject({ versionId: 2, rows: 3, files: 2, mode: 'append' });
    expect(await server.objects(datasetId)).toEqual(expect.arrayContaining(before));
    expect(await rowsOf(datasetId, 2)).toEqual([
      { id: 1, code: expect.anything(), extra: null },
      { id: 2, code: expect.anything(), extra: null },
      { id: 3, code: expect.anything(), extra: 'x' },
    ]);
  });

  test('VC10 upsert replaces rows by key in place and puts new ones at the end, delete removes them', async () => {
    const datasetId = await newDataset(['id']);
    await commit(datasetId, NUMBERS);
    await commit(datasetId, csv('id,name', '2,TWO', '4,four'), { mode: 'upsert' });
    expect(await rowsOf(datasetId, 2)).toEqual([
      { id: 1, name: 'one' },
      { id: 2, name: 'TWO' },
      { id: 3, name: 'three' },
      { id: 4, name: 'four' },
    ]);
    const deleted = await commit(datasetId, csv('id', '1', '3', '77'), { mode: 'delete' });
    expect(deleted).toMatchObject({ versionId: 3, rows: 2, mode: 'delete' });
    expect(await rowsOf(datasetId, 3)).toEqual([
      { id: 2, name: 'TWO' },
      { id: 4, name: 'four' },
    ]);
  });

  test('VC10 without a key upsert and delete say that they need one', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    await expect(commit(datasetId, NUMBERS, { mode: 'upsert' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect(await commit(datasetId, csv('id,name', '1,uno'), { mode: 'upsert', key: ['id'] })).toMatchObject({ rows: 3, key: ['id'] });
  });

  test('VC22 the first upsert checks its keys, and a version records the key that holds for it', async () => {
    const datasetId = await newDataset(['id']);
    await expect(commit(datasetId, csv('id,name', '1,a', '1,b'), { mode: 'upsert' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    await expect(commit(datasetId, csv('name', 'a'), { mode: 'upsert' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect(await commit(datasetId, csv('id,name', '1,a', '2,b'), { mode: 'upsert' })).toMatchObject({ versionId: 1, rows: 2, files: 1, key: ['id'] });
    expect(await commit(datasetId, csv('id,name', '1,c'))).toMatchObject({ key: ['id'] });
    expect(await alice.diff.rows({ datasetId, from: '1', to: '2' })).toMatchObject({
      keyChanged: false,
      counts: { added: 0, removed: 1, changed: 1 },
    });
    expect(await commit(datasetId, csv('code', 'x'))).toMatchObject({ key: null });
    await expect(commit(datasetId, csv('code', 'x'), { key: ['id'] })).rejects.toMatchObject({
      code: 'unprocessable_data',
      details: { columns: ['id'] },
    });
    expect(await server.leftovers()).toEqual([]);
  });

  test('VC10 many small appends are merged and keep every row in order', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, csv('id', '0'));
    for (let id = 1; id <= 40; id += 1) await commit(datasetId, csv('id', String(id)), { mode: 'append' });
    const last = await alice.version.get({ datasetId, versionId: 41 });
    expect(last.rows).toBe(41);
    expect(last.files).toBeLessThan(40);
    expect(await rowsOf(datasetId, 41)).toEqual(Array.from({ length: 41 }, (_, id) => ({ id })));
  });

  test('VC3 racing upserts and appends lose nothing', async () => {
    const datasetId = await newDataset(['id']);
    await commit(datasetId, NUMBERS);
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        index % 2 === 0
          ? commit(datasetId, csv('id,name', `${100 + index},new`), { mode: 'append' })
          : commit(datasetId, csv('id,name', `${100 + index},up`, '1,changed'), { mode: 'upsert' }),
      ),
    );
    const rows = (await rowsOf(datasetId, 13)) as { id: number; name: string }[];
    expect(rows.map(({ id }) => id).sort((a, b) => a - b)).toEqual([1, 2, 3, ...Array.from({ length: 12 }, (_, index) => 100 + index)]);
    expect(rows.find(({ id }) => id === 1)?.name).toBe('changed');
  });

  test('VC16 a file without a readable row cannot be appended, and nothing can be added to a failed version', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const junk = sample('flights-3m.parquet').slice(0, 5_000);
    await expect(commit(datasetId, junk, { mode: 'append' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    const failed = await commit(datasetId, junk);
    expect(failed.conversion.status).toBe('failed');
    await expect(commit(datasetId, NUMBERS, { mode: 'append' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect(await server.leftovers()).toEqual([]);
  });
});

describe('reading', () => {
  test('VC18 preview windows are exclusive at the end and name unknown columns', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const page = await alice.version.preview({ datasetId, versionId: 1, startRow: 1, endRow: 2, columns: ['name'] });
    expect(page).toMatchObject({ rows: [{ name: 'two' }], startRow: 1, endRow: 2, totalRows: 3, truncated: false });
    await expect(alice.version.preview({ datasetId, versionId: 1, columns: ['nope'] })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(alice.version.preview({ datasetId, versionId: 9 })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('VC18 a column can be described', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, NUMBERS);
    const { rows, columns } = await alice.version.statistics({ datasetId, versionId: 1 });
    expect(rows).toBe(3);
    expect(columns).toMatchObject([
      { name: 'id', nulls: 0, min: 1, max: 3, mean: 2 },
      { name: 'name', nulls: 0, min: 'one', max: 'two', mean: null },
    ]);
  });
});
