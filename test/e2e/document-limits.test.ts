import { afterEach, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { type ChannelDocument, openChannelDocument } from '../support/channel-document.ts';
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
