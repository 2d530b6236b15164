import { afterEach, expect, test } from 'vitest';
import { createEmptyDatabase } from '../support/database.ts';
import { type ProcessServer, prepareProcessServer } from '../support/process-server.ts';
import { startProxy } from '../support/proxy.ts';
import { csv } from '../support/samples.ts';

let server: ProcessServer | undefined;

afterEach(async () => {
  await server?.dispose();
  server = undefined;
});

const statusOf = async ({ url }: ProcessServer): Promise<number> =>
  (await fetch(`${url}/readyz`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(20_000) })).status;

test('REST12 OPS10 a server that was told to stop is not ready, and what is under way still finishes', async () => {
  const running = await prepareProcessServer({ flags: ['--drain-timeout-ms', '60000'] });
  server = running;
  const run = await running.start();
  expect(await statusOf(running)).toBe(200);
  const alice = await running.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  const { promise: stopped, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const committing = alice.version.commit(
    { datasetId, branch: 'main' },
    {
      body: (async function* () {
        yield csv('id', '1');
        begin();
        await stopped;
        yield Buffer.from('2\n');
      })(),
    },
  );
  await begun;
  // It comes after what was sent before on the same socket.
  await alice.dataset.get({ datasetId });
  run.kill('SIGTERM');
  await expect.poll(() => statusOf(running), { timeout: 20_000 }).toBe(503);
  goOn();
  expect(await committing).toMatchObject({ rows: 2 });
  expect(await run.ended).toEqual({ code: 0, signal: null });
});

test('REST12 a server is not ready while its database cannot be reached, and is again when it can', async () => {
  const database = await createEmptyDatabase();
  const { hostname, port } = new URL(database.url);
  expect(hostname).toMatch(/^(127\.0\.0\.1|localhost)$/);
  const proxy = await startProxy(Number(port));
  try {
    const url = new URL(database.url);
    url.host = new URL(proxy.url).host;
    const running = await prepareProcessServer({ environment: { COVISTA_DATABASE_URL: url.href } });
    server = running;
    const run = await running.start();
    expect(await statusOf(running)).toBe(200);
    proxy.refuse();
    proxy.cut();
    await expect.poll(() => statusOf(running), { timeout: 30_000 }).toBe(503);
    proxy.resume();
    await expect.poll(() => statusOf(running), { timeout: 30_000 }).toBe(200);
    run.kill('SIGTERM');
    await run.ended;
  } finally {
    await server?.dispose();
    await proxy.close();
    await database.drop();
  }
});
