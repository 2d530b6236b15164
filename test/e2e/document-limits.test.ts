import { afterEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { type ChannelDocument, openChannelDocument } from '../support/channel-document.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer | undefined;

afterEach(async () => {
  await server?.stop();
});

async function start(...flags: string[]): Promise<TestServer> {
  server = await startTestServer(flags);
  return server;
}

async function opened(client: Client, name: string): Promise<ChannelDocument> {
  const document = await openChannelDocument(client, name);
  await document.synced;
  return document;
}

function edit({ doc }: ChannelDocument, times: number): void {
  for (let index = 0; index < times; index += 1) doc.getText('own').insert(0, 'x');
}

/** A dataset of which dora sees a part. */
async function masked(owner: Client): Promise<number> {
  const { datasetId } = await owner.dataset.create({ name: 'Orders' });
  await owner.version.commit({ datasetId, branch: 'main', message: 'first' }, { body: csv('id,salary', '1,10') });
  await owner.grant.create({ datasetId, principal: 'user:dora', permission: 'read', columnMask: ['salary'] });
  return datasetId;
}

test('DOC15 the edits of a connection count together, on whichever of its channels they come', async () => {
  const { client } = await start('--document-updates-per-second', '1');
  const [alice, elsewhere] = await Promise.all([client('alice'), client('alice')]);
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  const names = [`dataset/${datasetId}`, 'user/alice'] as const;
  const [first, second] = await Promise.all([opened(alice, names[0]), opened(alice, names[1])]);
  const other = await opened(elsewhere, names[0]);
  edit(first, 8);
  await expect.poll(() => first.settled).toBe(first.sent);
  edit(second, 8);
  expect(await second.closed).toMatchObject({ code: 'rate_limited' });
  edit(other, 8);
  await expect.poll(() => other.settled).toBe(other.sent);
});

test('DOC31 what is published finds no more room than a document has', async () => {
  const { client } = await start('--document-bytes-max', '6000', '--document-update-bytes-max', '6000', '--awareness-state-bytes-max', '5000');
  const [alice, dora] = await Promise.all([client('alice'), client('dora')]);
  const datasetId = await masked(alice);
  const name = `dataset/${datasetId}`;
  await opened(dora, name);
  const { items } = await alice.document.scopes({ datasetId });
  const entry = { datasetId, scopeId: items[0]?.scopeId ?? '', map: 'views' as const };
  const document = await alice.document.open(name);
  const views = document.savedViews();
  const { id } = views.create({ name: 'Long', config: {}, description: 'x'.repeat(2_000) });
  const published = async (text: string): Promise<unknown> => {
    views.rename(id, text);
    await document.whenDurable();
    return alice.document.publish({ ...entry, id });
  };
  await published('One');
  await published('Two');
  await expect(published('Three')).rejects.toMatchObject({ code: 'payload_too_large' });
  await expect
    .poll(() =>
      published('Three').then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  document.close();
});

test('DOC22 that another server has a document open tells nothing of what its readers see', async () => {
  const { client, databaseUrl } = await start();
  const [alice, dora] = await Promise.all([client('alice'), client('dora')]);
  const datasetId = await masked(alice);
  await opened(dora, `dataset/${datasetId}`);
  const other = await startTestServer([], { database: databaseUrl });
  try {
    const there = await other.client('dora');
    await expect(openChannelDocument(there, `dataset/${datasetId}`)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'another server has the document open',
    });
  } finally {
    await other.stop();
  }
});
