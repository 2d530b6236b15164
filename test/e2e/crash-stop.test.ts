import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FRAME } from '../../protocol/frame.ts';
import { type CommitLoad, restSender, socketSender, startLoad } from '../support/commit-load.ts';
import { query } from '../support/inspect.ts';
import { contradictions, orphans } from '../support/integrity.ts';
import { isRunning, type ProcessServer, prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { seededRandom } from '../support/random.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';

let server: ProcessServer;
let run: ServerProcess;

beforeEach(async () => {
  server = await prepareProcessServer();
  run = await server.start();
});

afterEach(async () => {
  await server?.dispose();
});

async function startCommitting(): Promise<CommitLoad> {
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'A', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main', message: 'first' }, { body: csv('id,name,amount', '1,one,1') });
  const token = await server.token('alice');
  const senders = [socketSender(alice), socketSender(await server.client('alice')), restSender(server.url, token), restSender(server.url, token)];
  return startLoad({ random: seededRandom(1), datasetIds: [datasetId], senders });
}

describe('asking the server to end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s during commits finishes or refuses what is under way and leaves nothing running', async (signal) => {
    const load = await startCommitting();
    const watcher = await RpcClient.open(server.port, await server.token('watcher'));
    const goodbye = watcher.frame((frame) => frame[0] === FRAME.goodbye);
    await load.more(20);
    const database = await server.databasePid();
    run.kill(signal);
    expect((await goodbye)[0]).toBe(FRAME.goodbye);
    expect(await run.ended).toEqual({ code: 0, signal: null });
    expect((await watcher.closed).code).toBe(1001);
    expect(isRunning(database ?? 0)).toBe(false);
    expect(await server.databasePid()).toBeUndefined();
    expect(run.log()).toBe('');
    run = await server.start();
    await load.more(10);
    await load.stop();
    expect(run.log()).toBe('');
    for (const { code } of load.refused) expect(['draining', 'unavailable']).toContain(code);
    await verify(load);
  });

  test('a second server on the same data directory is refused, and the first goes on', async () => {
    const second = await prepareProcessServer({ dataDir: server.dataDir });
    const refused = second.launch();
    await expect(refused.ready).rejects.toThrow(`another server (process ${run.pid}) uses this data directory`);
    expect((await refused.ended).code).toBe(1);
    await second.dispose();
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'A' });
    expect(await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') })).toMatchObject({ versionId: 1 });
  });

  test('a server that is asked to end while it starts ends cleanly', async () => {
    run.kill('SIGTERM');
    await run.ended;
    const starting = server.launch();
    // Whether it came to serve before it heard of the end is a matter of moments.
    const settled = Promise.allSettled([starting.ready]);
    // PostgreSQL has its lock before anything else of the server is up.
    await expect.poll(() => server.databasePid(), { timeout: 30_000, interval: 5 }).toBeDefined();
    const database = await server.databasePid();
    starting.kill('SIGTERM');
    const ending = await starting.ended;
    await settled;
    expect(ending).toEqual({ code: 0, signal: null });
    expect(isRunning(database ?? 0)).toBe(false);
  });
});

/** Every commit that was acknowledged is there, no other is, and nothing is by halves. */
async function verify(load: CommitLoad): Promise<void> {
  const databaseUrl = await server.databaseUrl();
  expect(await contradictions(databaseUrl, server.dataDir)).toEqual([]);
  expect(await orphans(databaseUrl, server.dataDir)).toEqual([]);
  const statement = "SELECT message, version_id FROM versions WHERE message LIKE 'commit %' ORDER BY version_id";
  const landed = await query<{ message: string; version_id: number }>(databaseUrl, statement);
  const byVersion = [...load.acknowledged].sort((a, b) => a.versionId - b.versionId);
  expect(landed).toEqual(byVersion.map(({ message, versionId }) => ({ message, version_id: versionId })));
}
