import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { flood, type Target } from '../../bench/support/load.ts';
import { pace } from '../../bench/support/pace.ts';
import { cpuSecondsOf } from '../../bench/support/watched.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';

describe('a load at a steady rate', () => {
  test('leaves out what was asked to warm up, also where its answer comes later', async () => {
    const recorder = new Recorder();
    let asked = 0;
    // The first quarter is to warm up.
    const work = (): Promise<unknown> => (asked++ < 10 ? delay(1_000) : Promise.resolve());
    await pace({ action: 'ask', seconds: 0.4, perSecond: 100, recorder, work });
    expect(asked).toBe(50);
    const [figures] = recorder.figures();
    expect(figures?.count).toBe(40);
    expect(figures?.max).toBeLessThan(500);
  });
});

describe('a flood', () => {
  /** Answers each request with what is said of its number, counted from all of them. */
  async function withServer<Result>(say: (request: number) => string, work: (target: Target) => Promise<Result>): Promise<Result> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    let requests = 0;
    server.on('connection', (socket) => socket.on('message', () => socket.send(say(requests++))));
    await once(server, 'listening');
    try {
      const requestsOf = ['ask', 'ask'].map((request) => Buffer.from(request).toString('hex'));
      return await work({
        ...{ name: 'stub', port: String((server.address() as AddressInfo).port), pid: process.pid, path: '/', hello: '', greetings: 0 },
        ...{ requests: requestsOf, answer: /^answer/, isText: true },
      });
    } finally {
      server.close();
      for (const socket of server.clients) socket.terminate();
    }
  }

  test('counts answers', async () => {
    const { perSecond } = await withServer(
      () => 'answer',
      (target) => flood(target, 2, 0.2),
    );
    expect(perSecond).toBeGreaterThan(0);
  });

  test('counts no refusals as answers, neither at first nor later', async () => {
    const flooded = (say: (request: number) => string): Promise<unknown> => withServer(say, (target) => flood(target, 2, 0.2));
    await expect(flooded(() => 'refused')).rejects.toThrow('no answer: refused');
    await expect(flooded((request) => (request < 20 ? 'answer' : 'refused'))).rejects.toThrow(/no answer: .*refused/);
  });
});

test('CPU time of a process has that of threads that ended', async () => {
  const before = cpuSecondsOf(process.pid);
  const worker = new Worker('const begin = performance.now(); while (performance.now() - begin < 400);', { eval: true });
  await once(worker, 'exit');
  expect(cpuSecondsOf(process.pid) - before).toBeGreaterThan(0.1);
});
