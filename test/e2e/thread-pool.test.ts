import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { threadPoolSize } from '../../server/cli/thread-pool.ts';
import { prepareProcessServer } from '../support/process-server.ts';

/** Those of DuckDB have the name of the thread that made them, so that only how many more there are says how large the pool is. */
async function poolThreads(options: Parameters<typeof prepareProcessServer>[0]): Promise<number> {
  const server = await prepareProcessServer(options);
  onTestFinished(() => server.dispose());
  const { pid } = await server.start();
  // Some begin a little later than the server.
  let counted = -1;
  for (let before = -2; counted !== before; await delay(500)) [before, counted] = [counted, await countThreads(pid)];
  return counted;
}

async function countThreads(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const names = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/comm`, 'utf8')));
  return names.filter((name) => name.startsWith('libuv-worker')).length;
}

describe('the thread pool', () => {
  test('SET5 has as many threads as the limit says, from a flag or the environment', async () => {
    const least = await poolThreads({ flags: ['--thread-pool-size', '9'] });
    expect((await poolThreads({ environment: { COVISTA_THREAD_POOL_SIZE: '15' } })) - least).toBe(6);
  });

  test.each([
    [['serve', '--port', 'http'], {}],
    [['serve', '--thread-pool-size', '2'], {}],
    [['serve', '--no-such-thing'], { COVISTA_NO_SUCH: 'thing' }],
    [['load', '--people', '3'], { COVISTA_URL: 'http://127.0.0.1:1', COVISTA_TOKEN: 'x' }],
    [[], {}],
  ])('SET2 %j with %j leaves it as it is, and what is wrong to the command', (args, environment) => {
    expect(threadPoolSize(args, environment)).toBe(12);
  });
});
