import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let bob: Client;
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob] = await Promise.all([server.client('alice'), server.client('bob')]);
});

afterAll(async () => {
  await server?.stop();
});

/** A dataset of alice with versions 1 to 3 on main, on which bob may write. */
async function prepare(): Promise<void> {
  ({ datasetId } = await alice.dataset.create({ name: 'Branches' }));
  for (const id of ['1', '2', '3']) await alice.version.commit({ datasetId, branch: 'main', message: `Version ${id}` }, { body: csv('id', id) });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
}

describe('pointers', () => {
  test('VC6 branches and tags share one namespace', async () => {
    await prepare();
    expect(await alice.branch.create({ datasetId, name: 'feature/a', from: '2' })).toMatchObject({
      name: 'feature/a',
      kind: 'branch',
      versionId: 2,
      protected: false,
      createdBy: 'alice',
    });
    await expect(alice.branch.create({ datasetId, name: 'feature/a' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(alice.tag.create({ datasetId, name: 'feature/a' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await alice.ref.pointer({ datasetId, name: 'feature/a' })).toEqual({ name: 'feature/a', kind: 'branch', versionId: 2 });
    expect((await alice.branch.list({ datasetId })).items.map(({ name }) => name)).toEqual(['feature/a', 'main']);
  });

  test('VC7 a tag never moves', async () => {
    await prepare();
    expect(await alice.tag.create({ datasetId, name: 'v1', ref: 'main~1', message: 'Release' })).toMatchObject({
      kind: 'tag',
      versionId: 2,
      message: 'Release',
    });
    await expect(alice.tag.create({ datasetId, name: 'v1', ref: 'main' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(alice.version.commit({ datasetId, branch: 'v1' }, { body: csv('id', '9') })).rejects.toMatchObject({ code: 'conflict' });
    await expect(alice.branch.reset({ datasetId, branch: 'v1', to: '1' })).rejects.toMatchObject({ code: 'not_found' });
    expect((await alice.tag.get({ datasetId, tag: 'v1' })).versionId).toBe(2);
    expect((await alice.tag.list({ datasetId })).items).toHaveLength(1);
  });

  test('VC8 a protected branch moves for admins only, and is neither deleted nor renamed', async () => {
    await prepare();
    await alice.branch.protect({ datasetId, branch: 'main', protected: true });
    await expect(bob.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '4') })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(bob.branch.reset({ datasetId, branch: 'main', to: '1' })).rejects.toMatchObject({ code: 'forbidden' });
    expect(await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '4') })).toMatchObject({ versionId: 4 });
    await bob.branch.create({ datasetId, name: 'release' });
    await expect(bob.branch.protect({ datasetId, branch: 'release', protected: true })).rejects.toMatchObject({ code: 'forbidden' });
    await alice.branch.protect({ datasetId, branch: 'release', protected: true });
    await expect(alice.branch.delete({ datasetId, branch: 'release' })).rejects.toMatchObject({ code: 'forbidden' });
    for (const client of [alice, bob])
      await expect(client.branch.rename({ datasetId, branch: 'release', name: 'other' })).rejects.toMatchObject({ code: 'forbidden' });
    await alice.branch.protect({ datasetId, branch: 'release', protected: false });
    await bob.branch.delete({ datasetId, branch: 'release' });
    await expect(alice.branch.delete({ datasetId, branch: 'main' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(alice.branch.rename({ datasetId, branch: 'main', name: 'trunk' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('VC9 every movement is logged, and a mistake can be undone', async () => {
    await prepare();
    await bob.branch.create({ datasetId, name: 'work' });
    await bob.branch.reset({ datasetId, branch: 'work', to: 'work~2', message: 'Oops' });
    await bob.branch.rename({ datasetId, branch: 'work', name: 'job' });
    await bob.branch.reset({ datasetId, branch: 'job', to: '3', expectedHead: 1 });
    await expect(bob.branch.reset({ datasetId, branch: 'job', to: '1', expectedHead: 2 })).rejects.toMatchObject({ code: 'conflict' });
    await bob.branch.delete({ datasetId, branch: 'job' });
    const { items } = await alice.branch.log({ datasetId, branch: 'job' });
    expect(items.map(({ action, from, to, actor }) => [action, from, to, actor])).toEqual([
      ['delete', 3, null, 'bob'],
      ['reset', 1, 3, 'bob'],
      ['rename', 1, 1, 'bob'],
      ['reset', 3, 1, 'bob'],
      ['create', null, 3, 'bob'],
    ]);
    await expect(alice.branch.get({ datasetId, branch: 'job' })).rejects.toMatchObject({ code: 'not_found' });
    expect(await alice.branch.create({ datasetId, name: 'job', from: '3' })).toMatchObject({ versionId: 3 });
  });

  test('VC9 a branch that is deleted while it is committed to neither loses a commit unseen nor breaks', async () => {
    await prepare();
    await alice.branch.create({ datasetId, name: 'racy' });
    const [committed, deleted] = await Promise.allSettled([
      alice.version.commit({ datasetId, branch: 'racy' }, { body: csv('id', '5') }),
      alice.branch.delete({ datasetId, branch: 'racy' }),
    ]);
    expect(deleted.status).toBe('fulfilled');
    expect(committed.status).toBe('fulfilled');
    const { items } = await alice.branch.log({ datasetId, branch: 'racy' });
    expect(items.map(({ action }) => action)).toEqual(expect.arrayContaining(['commit', 'delete']));
  });
});

describe('refs', () => {
  test('NAME3 every form of ref resolves', async () => {
    await prepare();
    const movements = (await alice.branch.log({ datasetId, branch: 'main' })).items.filter(({ action }) => action === 'commit');
    const secondAt = movements.find(({ to }) => to === 2)?.at as string;
    await alice.tag.create({ datasetId, name: 'v2', ref: '2' });
    const resolve = async (ref: string) => (await alice.ref.resolve({ datasetId, ref })).versionId;
    expect(await Promise.all(['main', 'latest', 'main~', 'main~2', '2', 'v2', 'v2~1', `main@${secondAt}`].map(resolve))).toEqual([
      3, 3, 2, 1, 2, 2, 1, 2,
    ]);
    await expect(resolve('main~3')).rejects.toMatchObject({ code: 'not_found' });
    await expect(resolve('nope')).rejects.toMatchObject({ code: 'not_found' });
    await expect(resolve('main@2001-01-01')).rejects.toMatchObject({ code: 'not_found' });
    await expect(resolve('main@yesterday')).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(resolve('99')).rejects.toMatchObject({ code: 'not_found' });
    expect(await alice.ref.resolve({ datasetId, ref: 'v2' })).toMatchObject({ kind: 'tag', immutable: true });
    expect(await alice.ref.resolve({ datasetId, ref: 'main' })).toMatchObject({ kind: 'branch', immutable: false });
  });

  test('VC14 history pages by generation and shows a merge once', async () => {
    await prepare();
    await alice.version.commit({ datasetId, branch: 'side' }, { body: csv('id', '4') });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '5') });
    const merge = await alice.version.commit({ datasetId, branch: 'main', mergedFrom: 'side' }, { body: csv('id', '6') });
    expect(merge).toMatchObject({ versionId: 6, parents: [5, 4], generation: 4 });
    const first = await alice.version.history({ datasetId, limit: 2 });
    const second = await alice.version.history({ datasetId, limit: 10, cursor: first.next as string });
    expect([...first.items, ...second.items].map(({ versionId }) => versionId)).toEqual([6, 5, 4, 3, 2, 1]);
    expect(second.next).toBeUndefined();
    await expect(alice.version.history({ datasetId, cursor: 'rubbish' })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('VC15 a column keeps its id through versions that change others', async () => {
    await prepare();
    const widened = await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('name,id', 'x,1') });
    const before = await alice.version.get({ datasetId, versionId: 3 });
    const idOf = (schema: readonly { name: string; columnId: number }[], name: string) => schema.find((column) => column.name === name)?.columnId;
    expect(idOf(widened.schema, 'id')).toBe(idOf(before.schema, 'id'));
    expect(idOf(widened.schema, 'name')).not.toBe(idOf(before.schema, 'id'));
  });
});

describe('events', () => {
  test('EV1 a watcher is told of everything in order, EV2 and resumes where it was', async () => {
    ({ datasetId } = await alice.dataset.create({ name: 'Watched' }));
    const seen: string[] = [];
    const following = (async () => {
      for await (const { kind } of alice.dataset.watch({ datasetId, after: 0 })) {
        seen.push(kind);
        if (kind === 'dataset.updated') return;
      }
    })();
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    await alice.tag.create({ datasetId, name: 'v1' });
    await alice.branch.create({ datasetId, name: 'side' });
    await alice.branch.delete({ datasetId, branch: 'side' });
    await alice.grant.create({ datasetId, principal: 'group:team', permission: 'read' });
    await alice.dataset.update({ datasetId, labels: ['done'] });
    await following;
    expect(seen.filter((kind) => kind !== 'branch.moved')).toEqual(
      expect.arrayContaining(['version.created', 'tag.created', 'branch.created', 'branch.deleted', 'grant.changed', 'dataset.updated']),
    );
    const resumed = alice.dataset.watch({ datasetId, after: 1 })[Symbol.asyncIterator]();
    expect((await resumed.next()).value).toMatchObject({ sequence: 2 });
    await resumed.return?.();
    const ahead = alice.dataset.watch({ datasetId, after: 10_000 })[Symbol.asyncIterator]();
    await expect(ahead.next()).rejects.toMatchObject({ code: 'conflict' });
  });

  test('EV4 a watch from now on begins with the sequence that it goes on behind', async () => {
    await prepare();
    const watching = alice.dataset.watch({ datasetId })[Symbol.asyncIterator]();
    const first = (await watching.next()).value as { sequence: number };
    expect(first).toMatchObject({ kind: 'watching', sequence: expect.any(Number), data: {} });
    await alice.tag.create({ datasetId, name: 'later' });
    expect((await watching.next()).value).toMatchObject({ kind: 'tag.created', sequence: first.sequence + 1 });
    await watching.return?.();
    const again = alice.dataset.watch({ datasetId, after: first.sequence })[Symbol.asyncIterator]();
    expect((await again.next()).value).toMatchObject({ kind: 'tag.created' });
    await again.return?.();
    // Over REST the head of the answer comes with it, before anything happens.
    const response = await fetch(`${server.url}/api/datasets/${datasetId}/events`, {
      headers: { authorization: `Bearer ${await server.token('alice')}` },
    });
    const { value } = await (response.body as ReadableStream<Uint8Array>).getReader().read();
    expect(JSON.parse(new TextDecoder().decode(value))).toMatchObject({ kind: 'watching' });
  });

  test('EV3 a watcher whose grant is revoked is told so and nothing more', async () => {
    await prepare();
    const grants = (await alice.grant.list({ datasetId })).items;
    const watching = bob.dataset.watch({ datasetId, after: 0 })[Symbol.asyncIterator]();
    for (let first = await watching.next(); (first.value as { kind: string }).kind !== 'grant.changed'; first = await watching.next());
    const next = watching.next();
    const refused = expect(next).rejects.toMatchObject({ code: 'not_found' });
    await alice.grant.revoke({ datasetId, grantId: grants.find(({ principal }) => principal === 'user:bob')?.grantId as number });
    await refused;
  });

  test('VC19 a deleted dataset is gone for everybody, and its files stay until the grace has passed', async () => {
    await prepare();
    expect((await server.objects(datasetId)).length).toBeGreaterThan(0);
    await alice.dataset.delete({ datasetId });
    await expect(alice.dataset.get({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.version.get({ datasetId, versionId: 1 })).rejects.toMatchObject({ code: 'not_found' });
    expect((await server.objects(datasetId)).length).toBeGreaterThan(0);
  });
});

describe('comparing what two refs mean', () => {
  test('DIFF5 a key column that a version lacks is named with its side', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'Keys' });
    for (const body of [csv('id,name', '1,one'), csv('code,name', 'x,one')]) await alice.version.commit({ datasetId, branch: 'main' }, { body });
    const lacking = (from: string, to: string, key: string[]) => expect(alice.diff.rows({ datasetId, from, to, key })).rejects;
    const code = 'unprocessable_data';
    await lacking('1', '2', ['name', 'id']).toMatchObject({ code, details: { side: 'to', columns: ['id'] } });
    await lacking('2', '1', ['id']).toMatchObject({ code, details: { side: 'from', columns: ['id'] } });
    await lacking('1', '2', ['nope', 'name']).toMatchObject({ code, details: { side: 'from', columns: ['nope'] } });
  });
});
