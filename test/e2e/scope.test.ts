import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { TokenRequest } from '../../server/gateway/mint.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let datasetId: number;
let people = 0;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

const STAFF = csv('id,region,salary,note', '1,EU,10,a', '2,US,20,b', '3,EU,30,c', '4,,40,d');

beforeEach(async () => {
  ({ datasetId } = await alice.dataset.create({ name: 'Staff', key: ['id'] }));
  await alice.version.commit({ datasetId, branch: 'main', message: 'one' }, { body: STAFF });
});

type Restriction = Partial<Parameters<Client['grant']['create']>[0]>;

/** Somebody new with these grants. */
async function personWith(...grants: readonly Restriction[]): Promise<Client & { readonly subject: string }> {
  people += 1;
  const subject = `person-${people}`;
  for (const grant of grants) await alice.grant.create({ datasetId, principal: `user:${subject}`, permission: 'read', ...grant });
  return Object.assign(await server.client(subject), { subject });
}

const rowsOf = async (client: Client, versionId = 1): Promise<unknown[]> => (await client.version.preview({ datasetId, versionId })).rows;
const idsOf = async (client: Client, versionId = 1): Promise<unknown[]> =>
  (await rowsOf(client, versionId)).map((row) => (row as { id: unknown }).id);

describe('grants', () => {
  test('SCOPE1 REST takes and lists restrictions', async () => {
    const rest = await server.rest('alice');
    const grant = {
      principal: 'group:team-b',
      permission: 'read',
      rowFilter: "region = 'EU'",
      columnMask: ['salary'],
      validUntil: '2099-01-01T00:00:00Z',
    };
    const created = await rest.post(`/api/datasets/${datasetId}/permissions`, grant);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ ...grant, validUntil: '2099-01-01T00:00:00.000Z', validFrom: null });
    expect(Object.keys(created.body)).not.toContain('filter');
    const listed = await rest.get(`/api/datasets/${datasetId}/permissions`);
    expect((listed.body as { items: unknown[] }).items).toContainEqual(created.body);
  });

  test.each([
    [{ permission: 'write', rowFilter: 'true' }, 'permission'],
    [{ permission: 'admin', columnMask: ['salary'] }, 'permission'],
    [{ permission: 'read', columnMask: ['salery'] }, 'salery'],
    [{ permission: 'read', columnMask: [] }, 'columnMask'],
    [{ permission: 'read', rowFilter: '' }, 'rowFilter'],
    [{ permission: 'read', rowFilter: 'region = 1 OR (SELECT true)' }, 'line 1, column'],
    [{ permission: 'read', rowFilter: 'regiom = 1' }, 'regiom'],
  ])('SCOPE1 SCOPE4 %j is refused and leaves nothing', async (grant, named) => {
    const rest = await server.rest('alice');
    const answer = await rest.post(`/api/datasets/${datasetId}/permissions`, { principal: 'user:bob', ...grant });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid_input' } } });
    expect(JSON.stringify(answer.body)).toContain(named);
    expect((await alice.grant.list({ datasetId })).items).toHaveLength(1);
  });

  test('SCOPE4 there is nothing to filter by before main has a version', async () => {
    const empty = await alice.dataset.create({ name: 'Empty' });
    const grant = { datasetId: empty.datasetId, principal: 'user:bob', permission: 'read' } as const;
    await expect(alice.grant.create({ ...grant, rowFilter: 'true' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(alice.grant.create({ ...grant, columnMask: ['x'] })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('SCOPE1 a restricted reader reads and nothing else, whatever group gives write', async () => {
    const bob = await personWith({ rowFilter: 'id = 1' });
    await expect(bob.version.commit({ datasetId, branch: 'main' }, { body: STAFF })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(bob.grant.list({ datasetId })).rejects.toMatchObject({ code: 'forbidden' });
    await alice.grant.create({ datasetId, principal: `user:${bob.subject}`, permission: 'write' });
    expect(await bob.version.commit({ datasetId, branch: 'main' }, { body: STAFF })).toMatchObject({ rows: 4, files: 1 });
    expect(await idsOf(bob)).toEqual([1, 2, 3, 4]);
  });
});

describe('what is seen', () => {
  test('SCOPE2 SCOPE8 rows, counts, schema and statistics are those of the scope', async () => {
    const bob = await personWith({ rowFilter: "region <> 'US'", columnMask: ['salary'] });
    expect(await rowsOf(bob)).toEqual([
      { id: 1, region: 'EU', note: 'a' },
      { id: 3, region: 'EU', note: 'c' },
    ]);
    expect(await bob.version.get({ datasetId, versionId: 1 })).toMatchObject({ rows: 2, bytes: null, files: null, original: null, message: 'one' });
    expect((await bob.version.history({ datasetId })).items).toMatchObject([{ rows: 2, bytes: null }]);
    expect((await bob.version.schema({ datasetId, versionId: 1 })).schema.map(({ name }) => name)).toEqual(['id', 'region', 'note']);
    expect(await bob.version.statistics({ datasetId, versionId: 1 })).toMatchObject({
      rows: 2,
      columns: [{ max: 3 }, { distinct: 1 }, { max: 'c' }],
    });
    expect(await bob.version.preview({ datasetId, versionId: 1, startRow: 1 })).toMatchObject({ totalRows: 2, rows: [{ id: 3 }] });
  });

  test('SCOPE2 where masks differ under different filters a cell is NULL in the rows that only the narrower grant shows', async () => {
    const bob = await personWith({ rowFilter: "region = 'EU'" }, { rowFilter: 'id < 3', columnMask: ['salary', 'note'] });
    expect(await rowsOf(bob)).toEqual([
      { id: 1, region: 'EU', salary: 10, note: 'a' },
      { id: 2, region: 'US', salary: null, note: null },
      { id: 3, region: 'EU', salary: 30, note: 'c' },
    ]);
    const file = await bob.version.fetch({ datasetId, versionId: 1, format: 'csv' });
    expect(new TextDecoder().decode(await file.toBytes())).toBe('id,region,salary,note\n1,EU,10,a\n2,US,,\n3,EU,30,c\n');
  });

  test('SCOPE3 columns that come after a masked grant are hidden until it is granted again', async () => {
    const bob = await personWith({ columnMask: ['note'] });
    const carol = await personWith({ rowFilter: 'id = 1' });
    await alice.version.commit({ datasetId, branch: 'main', message: 'two' }, { body: csv('id,region,salary,note,bonus', '1,EU,10,a,5') });
    expect(await rowsOf(bob, 2)).toEqual([{ id: 1, region: 'EU', salary: 10 }]);
    expect(await rowsOf(carol, 2)).toEqual([{ id: 1, region: 'EU', salary: 10, note: 'a', bonus: 5 }]);
    await alice.grant.create({ datasetId, principal: `user:${bob.subject}`, permission: 'read', columnMask: ['note'] });
    expect(await rowsOf(bob, 2)).toEqual([{ id: 1, region: 'EU', salary: 10, bonus: 5 }]);
  });

  test('SCOPE8 diffs, comparisons and keys are those of the scope', async () => {
    await alice.version.commit(
      { datasetId, branch: 'main' },
      { body: csv('id,region,salary,note', '1,EU,11,a', '2,US,21,b', '3,EU,30,z', '5,EU,50,e') },
    );
    const bob = await personWith({ rowFilter: "region = 'EU'", columnMask: ['salary'] });
    const diff = await bob.diff.rows({ datasetId, from: '1', to: '2' });
    expect(diff).toMatchObject({ key: ['id'], counts: { added: 1, removed: 0, changed: 1 } });
    expect(diff.changes).toMatchObject([
      { kind: 'changed', changed: ['note'] },
      { kind: 'added', key: { id: 5 } },
    ]);
    expect(await bob.diff.schema({ datasetId, from: '1', to: '2' })).toMatchObject({ rows: { from: 2, to: 3 }, dataLoss: false });
    const carol = await personWith({ columnMask: ['id'] });
    expect((await carol.dataset.get({ datasetId })).key).toBeNull();
    expect((await carol.dataset.list({})).items).toMatchObject([{ datasetId, key: null }]);
    expect(await carol.diff.rows({ datasetId, from: '1', to: '2', limit: 0 })).toMatchObject({ key: null });
  });

  test('SCOPE8 the original is for those only who see everything', async () => {
    const bob = await personWith({ rowFilter: 'true' });
    await expect(bob.version.fetch({ datasetId, versionId: 1, format: 'original' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('SCOPE9 an entity tag is of one scope, and is not answered with 304 in another', async () => {
    const [one, other] = [await personWith({ rowFilter: 'id = 1' }), await personWith({ rowFilter: 'id = 2' })];
    const path = `/api/datasets/${datasetId}/versions/1/download?format=csv`;
    const tag = (await (await server.rest(one.subject)).get(path)).headers.get('etag') ?? '';
    expect((await (await server.rest(one.subject)).get(path, { 'if-none-match': tag })).status).toBe(304);
    const answer = await (await server.rest(other.subject)).get(path, { 'if-none-match': tag });
    expect(new TextDecoder().decode(answer.bytes)).toBe('id,region,salary,note\n2,US,20,b\n');
  });
});

describe('claims', () => {
  const withClaims = async (subject: string, claims: TokenRequest['claims']): Promise<Client> => server.client(subject, { claims: claims ?? {} });

  test('SCOPE6 each sees the rows of the own claims, and who lacks one is refused and not listed', async () => {
    await alice.grant.create({
      datasetId,
      principal: 'group:team',
      permission: 'read',
      rowFilter: 'region IN ({{regions}}) AND salary < {{limit}}::INTEGER',
    });
    const groups = ['team'];
    expect(await idsOf(await withClaims('eu', { groups, regions: ['EU'], limit: 100 }))).toEqual([1, 3]);
    expect(await idsOf(await withClaims('both', { groups, regions: ['EU', 'US'], limit: '25' }))).toEqual([1, 2]);
    expect(await idsOf(await withClaims('one', { groups, regions: 'US', limit: 100 }))).toEqual([2]);
    for (const claims of [{ regions: [], limit: 1 }, { limit: 1 }, { regions: ['EU'], limit: 'many' }, { regions: [{}], limit: 1 }]) {
      const nobody = await withClaims('nobody', { groups, ...claims });
      await expect(nobody.version.get({ datasetId, versionId: 1 })).rejects.toMatchObject({ code: 'forbidden' });
      expect((await nobody.dataset.list({})).items).toEqual([]);
    }
  });

  test('SCOPE6 a claim is a value and never SQL', async () => {
    await alice.grant.create({ datasetId, principal: 'user:sly', permission: 'read', rowFilter: 'region = {{region}}' });
    expect(await idsOf(await withClaims('sly', { region: "EU' OR '1'='1" }))).toEqual([]);
  });
});

describe('versions that a filter does not fit', () => {
  test('SCOPE7 are refused with the reason, and shown without rows and columns', async () => {
    const bob = await personWith({ rowFilter: "region = 'EU'" });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,area', '1,EU') });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region', '1,7') });
    for (const versionId of [2, 3]) {
      await expect(rowsOf(bob, versionId)).rejects.toMatchObject({ code: 'forbidden', details: { reason: 'row_filter' } });
      await expect(bob.version.fetch({ datasetId, versionId, format: 'csv' })).rejects.toMatchObject({ code: 'forbidden' });
      await expect(bob.diff.rows({ datasetId, from: '1', to: String(versionId) })).rejects.toMatchObject({ code: 'forbidden' });
      expect(await bob.version.get({ datasetId, versionId })).toMatchObject({ rows: null, schema: [], key: null });
    }
    expect((await bob.version.history({ datasetId })).items.map(({ rows }) => rows)).toEqual([null, null, 2]);
  });

  test('SCOPE7 a filter that fails on data denies, and its error says nothing of the data', async () => {
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('code,name', '7x,first', '8,second') });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('code,name', 'y7,first', 'y8,second') });
    const bob = await personWith({ rowFilter: 'CAST(substr(code, 2) AS INTEGER) > 7' });
    expect(await rowsOf(bob, 3)).toEqual([{ code: 'y8', name: 'second' }]);
    const asked = [
      rowsOf(bob, 2),
      bob.version.statistics({ datasetId, versionId: 2 }),
      bob.version.fetch({ datasetId, versionId: 2, format: 'csv' }),
      bob.diff.rows({ datasetId, from: '2', to: '3', key: null }),
    ];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'forbidden', details: { reason: 'row_filter' } } });
      expect(JSON.stringify(outcome)).not.toContain('7x');
    }
    expect(await bob.version.get({ datasetId, versionId: 2 })).toMatchObject({ rows: null, schema: [] });
  });
});

describe('explanations', () => {
  test('SCOPE12 admins learn what anybody may see, by which grants, and why others do not count', async () => {
    const bob = await personWith(
      { rowFilter: 'region = {{region}}', columnMask: ['salary'] },
      { rowFilter: 'id = {{id}}' },
      { validUntil: '2020-01-01T00:00:00Z' },
      { validFrom: '2099-01-01T00:00:00Z', permission: 'admin' },
    );
    const explained = await alice.access.explain({ datasetId, subject: bob.subject, claims: { region: "E'U" } });
    expect(explained).toMatchObject({
      subject: bob.subject,
      permission: 'read',
      unrestricted: false,
      filter: "(region = CAST('E''U' AS VARCHAR))",
      grants: [
        { counts: true, obstacle: null, filter: "(region = CAST('E''U' AS VARCHAR))" },
        { counts: false, obstacle: 'claim_missing', claim: 'id' },
        { counts: false, obstacle: 'ended' },
        { counts: false, obstacle: 'not_yet_valid', permission: 'admin' },
      ],
    });
    expect(explained.columns.map(({ name, inEveryRow }) => [name, inEveryRow])).toEqual([
      ['id', true],
      ['region', true],
      ['note', true],
    ]);
    const seen = await alice.access.preview({ datasetId, subject: bob.subject, claims: { region: "E'U" } });
    const same = await server.client(bob.subject, { claims: { region: "E'U" } });
    const own = await same.version.preview({ datasetId, versionId: seen.versionId });
    expect([seen.rows, seen.schema, seen.totalRows]).toEqual([own.rows, own.schema, own.totalRows]);
    expect(seen.schema.map(({ name }) => name)).not.toContain('salary');
    expect(await alice.access.preview({ datasetId, subject: 'stranger' })).toMatchObject({ schema: [], rows: [], totalRows: 0 });
    await expect(bob.access.preview({ datasetId, subject: 'alice' })).rejects.toMatchObject({ code: 'forbidden' });
    const stranger = await alice.access.explain({ datasetId, subject: 'stranger' });
    expect(stranger).toMatchObject({ permission: null, columns: [], filter: null, grants: [] });
    await expect(bob.access.explain({ datasetId, subject: 'alice' })).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('SCOPE12 everybody learns it of themselves, without a filter that names a hidden column', async () => {
    const bob = await personWith({ rowFilter: "region = 'EU'", columnMask: ['salary'] });
    expect(await bob.access.get({ datasetId })).toMatchObject({ subject: bob.subject, permission: 'read', filter: "(region = 'EU')" });
    const carol = await personWith({ rowFilter: 'salary < 15', columnMask: ['salary'] });
    const own = await carol.access.get({ datasetId });
    expect(own).toMatchObject({ filter: null, grants: [{ counts: true, filter: null }] });
    expect(JSON.stringify(own)).not.toContain('salary');
    expect(await alice.access.get({ datasetId })).toMatchObject({ permission: 'admin', unrestricted: true, filter: null });
  });

  test('SCOPE12 a grant whose filter does not fit main any more says so', async () => {
    const bob = await personWith({ rowFilter: "region = 'EU'" });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,area', '1,EU') });
    expect(await bob.access.get({ datasetId })).toMatchObject({ columns: [], grants: [{ counts: false, obstacle: 'does_not_fit' }] });
  });
});
