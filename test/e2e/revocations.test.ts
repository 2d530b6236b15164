import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { restClient } from '../support/rest.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let second: TestServer;
let operator: Client;

beforeAll(async () => {
  server = await startTestServer();
  second = await startTestServer([], { database: server.databaseUrl });
  operator = await server.client('operator', { admin: true });
});

afterAll(async () => {
  await second?.stop();
  await server?.stop();
});

const statusOf = async (url: string, token: string): Promise<number> => (await restClient(url, token).get('/api/session')).status;

test('AUTH25 revocations are listed newest first, in pages, by subject or token', async () => {
  for (const subject of ['r-one', 'r-two', 'r-three']) await operator.session.revoke({ subject, reason: `no ${subject}` });
  await operator.session.revoke({ tokenId: 'r-token' });
  const first = await operator.session.revocations({ limit: 2 });
  expect(first.items).toMatchObject([
    { tokenId: 'r-token', subject: null, issuedBefore: null },
    { subject: 'r-three', reason: 'no r-three', revokedBy: 'operator', expiresAt: null },
  ]);
  const rest = await operator.session.revocations({ limit: 2, cursor: first.next });
  expect(rest.items.map(({ subject }) => subject)).toEqual(['r-two', 'r-one']);
  expect((await operator.session.revocations({ subject: 'r-two' })).items).toHaveLength(1);
  expect((await operator.session.revocations({ tokenId: 'r-token' })).items).toHaveLength(1);
  expect((await operator.session.revocations({ tokenId: 'r-two' })).items).toEqual([]);
});

test('AUTH25 a revocation that is lifted counts no longer, on every server and after a restart, until it is made anew', async () => {
  const token = await server.token('lifted');
  const statuses = async (): Promise<number[]> => [await statusOf(server.url, token), await statusOf(second.url, token)];
  await operator.session.revoke({ subject: 'lifted', issuedBefore: '2999-01-01T00:00:00Z' });
  await expect.poll(statuses).toEqual([401, 401]);
  expect(await operator.session.lift({ subject: 'lifted' })).toEqual({ lifted: true });
  await expect.poll(statuses).toEqual([200, 200]);
  expect((await operator.session.revocations({ subject: 'lifted' })).items).toEqual([]);
  expect(await operator.session.lift({ subject: 'lifted' })).toEqual({ lifted: false });
  await second.restart();
  expect(await statuses()).toEqual([200, 200]);
  // Nothing of the revocation that was lifted counts for a new one.
  await operator.session.revoke({ subject: 'lifted', issuedBefore: '2000-01-01T00:00:00Z' });
  expect((await operator.session.revocations({ subject: 'lifted' })).items).toMatchObject([{ issuedBefore: '2000-01-01T00:00:00.000Z' }]);
  expect(await statuses()).toEqual([200, 200]);
  await operator.session.revoke({ subject: 'lifted' });
  await expect.poll(statuses).toEqual([401, 401]);
});

test('AUTH25 either a token or a subject is lifted, by server admins only', async () => {
  await expect(operator.session.lift({})).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(operator.session.lift({ subject: 'a', tokenId: 'b' })).rejects.toMatchObject({ code: 'invalid_input' });
  await expect((await server.client('alice')).session.lift({ subject: 'a' })).rejects.toMatchObject({ code: 'forbidden' });
});
