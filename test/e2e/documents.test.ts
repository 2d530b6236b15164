import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as Y from 'yjs';
import { annotation, savedView } from '../support/entries.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { synced, until, yjsClient } from '../support/yjs-clients.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server?.stop();
});

/** A dataset of alice, on which the others have a permission. */
async function newDataset(grants: Readonly<Record<string, 'read' | 'write'>> = {}): Promise<number> {
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  for (const [subject, permission] of Object.entries(grants)) await alice.grant.create({ datasetId, principal: `user:${subject}`, permission });
  return datasetId;
}

test('DOC11 clients of y-websocket see the edits and the presence of each other, and find them again after a restart', async () => {
  const name = `dataset/${await newDataset({ bob: 'write' })}`;
  const [alice, bob] = [await yjsClient(server, 'alice', name), await yjsClient(server, 'bob', name)];
  await Promise.all([synced(alice), synced(bob)]);
  alice.doc.getMap('views').set('v1', savedView('alice'));
  bob.doc.getMap('annotations').set('a1', annotation('bob'));
  await until(bob.doc, () => bob.doc.getMap('views').has('v1'));
  await until(alice.doc, () => alice.doc.getMap('annotations').has('a1'));
  alice.provider.awareness.setLocalState({ user: { name: 'Alice', subject: 'alice' } });
  await expect.poll(() => bob.provider.awareness.getStates().get(alice.doc.clientID)).toEqual({ user: { name: 'Alice', subject: 'alice' } });
  alice.provider.disconnect();
  await expect.poll(() => bob.provider.awareness.getStates().has(alice.doc.clientID)).toBe(false);
  await server.restart();
  const later = await yjsClient(server, 'bob', name);
  await synced(later);
  for (const map of ['views', 'annotations']) later.doc.getMap(map);
  expect(later.doc.toJSON()).toEqual(bob.doc.toJSON());
  expect((later.doc.getMap('views').get('v1') as Y.Map<unknown>).get('author')).toBe('alice');
});
