import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
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

/** Somebody new with this grant. */
async function personWith(grant: Partial<Parameters<Client['grant']['create']>[0]>): Promise<Client & { readonly subject: string }> {
  people += 1;
  const subject = `person-${people}`;
  await alice.grant.create({ datasetId, principal: `user:${subject}`, permission: 'read', ...grant });
  return Object.assign(await server.client(subject), { subject });
}

const idsOf = async (client: Client): Promise<unknown[]> => (await client.version.preview({ datasetId, versionId: 1 })).rows.map(({ id }) => id);

describe('time', () => {
  test('SCOPE11 a grant that is revoked ends a watch, and one of less is followed', async () => {
    const bob = await personWith({});
    await alice.grant.create({ datasetId, principal: `user:${bob.subject}`, permission: 'read', rowFilter: 'id = 1' });
    const [whole, narrow] = (await alice.grant.list({ datasetId })).items.filter(({ principal }) => principal === `user:${bob.subject}`);
    const watching = bob.dataset.watch({ datasetId, after: 0 })[Symbol.asyncIterator]();
    const until = async (kind: string, count: number): Promise<Record<string, unknown>> => {
      for (let seen = 0; ; ) {
        const { value, done } = await watching.next();
        if (done === true) throw new Error('the watch ended');
        if (value.kind === kind) seen += 1;
        if (seen === count) return value.data;
      }
    };
    expect(await until('version.created', 1)).toMatchObject({ rows: 4 });
    await alice.grant.revoke({ datasetId, grantId: whole?.grantId as number });
    await until('grant.changed', 3);
    await alice.version.commit({ datasetId, branch: 'main', message: 'narrowed' }, { body: STAFF });
    const narrowed = await until('version.created', 1);
    expect(narrowed).toMatchObject({ message: 'narrowed' });
    expect(narrowed).not.toHaveProperty('rows');
    await alice.grant.revoke({ datasetId, grantId: narrow?.grantId as number });
    await expect(until('version.created', 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 a grant that ends ends a watch without an event, one that begins is there', async () => {
    const bob = await personWith({});
    const { items } = await alice.grant.list({ datasetId });
    const watching = bob.dataset.watch({ datasetId })[Symbol.asyncIterator]();
    expect((await watching.next()).value).toMatchObject({ kind: 'watching' });
    // What is left to the watch is a grant that ends by itself, however long it takes to get there.
    const endsAtMs = Date.now() + 2_000;
    const validUntil = new Date(endsAtMs).toISOString();
    await alice.grant.create({ datasetId, principal: `user:${bob.subject}`, permission: 'read', validUntil });
    await alice.grant.revoke({ datasetId, grantId: items.at(-1)?.grantId as number });
    const isLeftInTime = Date.now() < endsAtMs;
    const toTheEnd = async (): Promise<void> => {
      while ((await watching.next()).done !== true);
    };
    await expect(toTheEnd()).rejects.toMatchObject({ code: 'not_found' });
    if (isLeftInTime) expect(Date.now()).toBeGreaterThanOrEqual(endsAtMs);
    const carol = await personWith({ validFrom: new Date(Date.now() + 300).toISOString() });
    await expect.poll(() => idsOf(carol).catch((error: { code: string }) => error.code)).toEqual([1, 2, 3, 4]);
  });

  test('SCOPE11 a download under way ends when the grant is revoked, with the reason', async () => {
    const lines = Array.from({ length: 120_000 }, (_unused, index) => `${index},EU,1,some text that makes a long file`);
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region,salary,note', ...lines) });
    const bob = await personWith({ rowFilter: "region = 'EU'" });
    const { items } = await alice.grant.list({ datasetId });
    const downloading = bob.version.download({ datasetId, versionId: 2, format: 'ndjson' })[Symbol.asyncIterator]();
    await downloading.next();
    await downloading.next();
    await alice.grant.revoke({ datasetId, grantId: items.at(-1)?.grantId as number });
    const rest = async (): Promise<number> => {
      for (let pieces = 0; ; pieces += 1) if ((await downloading.next()).done === true) return pieces;
    };
    await expect(rest()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 a commit under way ends when the permission for it does, and leaves nothing', async () => {
    const bob = await personWith({ permission: 'write' });
    const { items } = await alice.grant.list({ datasetId });
    const revoke = async (): Promise<void> => {
      await alice.grant.revoke({ datasetId, grantId: items.at(-1)?.grantId as number });
    };
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield STAFF;
      await revoke();
      // The rest never comes: what ends the commit is the revocation.
      await new Promise(() => undefined);
    }
    const committing = bob.version.commit({ datasetId, branch: 'main' }, { body: slowly() });
    await expect(committing).rejects.toMatchObject({ code: 'not_found' });
    expect((await alice.version.history({ datasetId })).items).toHaveLength(1);
  });
});
