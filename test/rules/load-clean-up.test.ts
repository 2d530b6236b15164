import { afterEach, expect, test } from 'vitest';
import { type Client, connect } from '../../client/index.ts';
import { CleanUp, deleteMade } from '../../server/cli/load/clean-up.ts';
import { Admission } from '../../server/cli/load/guests.ts';
import { freePort } from '../support/process-server.ts';

const WITHIN_MS = 300;

const clients: Client[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

/** Of a server that has died: it goes on trying to connect. */
async function orphan(): Promise<Client> {
  const client = connect({ url: `http://127.0.0.1:${await freePort()}`, token: 'a token' });
  clients.push(client);
  return client;
}

test('CLI9 a dataset that a dead server keeps is told, and not waited for', async () => {
  expect(await deleteMade(await orphan(), 7, new CleanUp(WITHIN_MS))).toBe(
    'dataset 7, which was made for the run, could not be deleted (the server did not answer within 0.3 s)',
  );
});

test('CLI9 the time for taking back is that of all grants together', async () => {
  const dead = await orphan();
  let grantId = 0;
  const create = async () => {
    grantId += 1;
    return { grantId };
  };
  const owner = Object.assign(Object.create(dead), { grant: { create, revoke: dead.grant.revoke } });
  const admission = new Admission({ owner, datasetId: 7, runMs: 1_000 });
  const guests = Array.from({ length: 50 }, (_, guest) => ({ principal: `user:guest-${guest}`, has: 'no permission' }));
  expect(await admission.admit(guests)).toBeUndefined();
  const startedAtMs = performance.now();
  expect(await admission.end(new CleanUp(WITHIN_MS))).toMatch(
    /^grants 1, 2, .*, 50 on dataset 7 could not be taken back \(the server did not answer within 0\.3 s\); they end at /,
  );
  expect(performance.now() - startedAtMs).toBeLessThan(20 * WITHIN_MS);
});
