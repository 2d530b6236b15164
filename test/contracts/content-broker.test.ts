import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import { type Broker, createBroker, type QueryKind } from '../../server/storage/parquet/broker.ts';
import { calm } from '../support/content.ts';

const ENDLESS = 'SELECT count(*) FROM range(1000000000000) WHERE hash(range) % 7 = 8';
const QUERIES_MAX = 2;
const QUEUE_MAX = 3;

let directory: string;
let broker: Broker;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-test-broker-'));
  const spillDirectory = join(directory, 'spill');
  await mkdir(join(spillDirectory, 'left over'), { recursive: true });
  await writeFile(join(spillDirectory, 'left over', 'file'), 'x');
  const limits = resolveLimits({
    duckdbQueriesMax: QUERIES_MAX,
    duckdbQueueMax: QUEUE_MAX,
    duckdbMemoryBytes: 24_000_000,
    duckdbSpillBytesMax: 1_000_000,
  });
  await mkdir(join(directory, 'data'));
  broker = await createBroker({ limits, spillDirectory, readableDirectories: [join(directory, 'data')], log: createLog('warn', false) });
});

afterAll(async () => {
  broker?.close();
  await rm(directory, { recursive: true, force: true });
});

const rows = (sql: string, values: readonly unknown[] = [], kind: QueryKind = 'interactive') =>
  broker.run(kind, calm(), (session) => session.rows(sql, values));

/** Holds a place until it is told to give it back. */
function occupy(kind: QueryKind): { started: Promise<void>; release: () => Promise<void> } {
  const start = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const done = broker.run(kind, calm(), async () => {
    start.resolve();
    await end.promise;
  });
  return {
    started: start.promise,
    release: async () => {
      end.resolve();
      await done;
    },
  };
}

describe('the engine', () => {
  test('reaches its directories and nothing else, and cannot be told otherwise', async () => {
    const inside = join(directory, 'data', 'x.csv');
    await rows(`COPY (SELECT 1 AS a) TO '${inside}'`);
    expect(await rows(`SELECT a FROM read_csv('${inside}', max_line_size = 50000, buffer_size = 100000)`)).toEqual([{ a: 1 }]);
    const forbidden = [
      `SELECT * FROM read_csv('/etc/passwd')`,
      `SELECT * FROM read_csv('${directory}/data/../../../../etc/passwd')`,
      `SELECT * FROM '${directory}/data/../secret.csv'`,
      `SELECT * FROM glob('/etc/*')`,
      `COPY (SELECT 1) TO '${directory}/escape.csv'`,
      `ATTACH '${directory}/escape.db' AS escape`,
      'SET threads = 8',
      'SET enable_external_access = true',
      "SET allowed_directories = ['/']",
      'RESET lock_configuration',
      "INSTALL httpfs FROM 'http://127.0.0.1:1'",
      'LOAD httpfs',
    ];
    for (const kind of ['interactive', 'bulk'] as const) {
      for (const sql of forbidden) await expect(rows(sql, [], kind), sql).rejects.toMatchObject({ name: 'EngineError' });
    }
    expect(await readdir(directory)).toEqual(['data', 'spill']);
  });

  test('begins with an empty spill directory', async () => {
    expect(await readdir(join(directory, 'spill'))).not.toContain('left over');
  });

  test('keeps nothing from one piece of work to the next', async () => {
    await broker.run('interactive', calm(), async (session) => {
      await session.execute('CREATE TEMP TABLE kept AS SELECT 1 AS a');
      expect(await session.rows('SELECT a FROM kept')).toEqual([{ a: 1 }]);
    });
    await expect(rows('SELECT a FROM kept')).rejects.toMatchObject({ type: 'Catalog' });
  });

  test('binds parameters, streams chunks, and answers in UTC', async () => {
    expect(await rows("SELECT ? + 1 AS n, current_setting('TimeZone') AS zone", [41])).toEqual([{ n: 42, zone: 'UTC' }]);
    const sizes = await broker.run('bulk', calm(), async (session) => {
      const seen: number[] = [];
      for await (const chunk of await session.chunks('SELECT range FROM range(5000)')) seen.push(chunk.rowCount);
      return seen;
    });
    expect(sizes).toEqual([2048, 2048, 904]);
  });

  test('runs out of memory and of spill space with a typed error, and goes on', async () => {
    for (const kind of ['interactive', 'bulk'] as const) {
      await expect(
        rows('SELECT sum(length(x)) FROM (SELECT DISTINCT md5(range::VARCHAR) || range AS x FROM range(700000))', [], kind),
      ).rejects.toMatchObject({
        code: 'memory_limit',
      });
      expect(await rows('SELECT 1 AS a', [], kind)).toEqual([{ a: 1 }]);
    }
  });
});

describe('admission', () => {
  test('a query that runs is interrupted, and its place is free again', async () => {
    const controller = new AbortController();
    const done = broker.run('bulk', { signal: controller.signal }, (session) => session.rows(ENDLESS));
    await Promise.resolve();
    setImmediate(() => controller.abort());
    await expect(done).rejects.toMatchObject({ code: 'cancelled' });
    await expect(broker.run('bulk', { ...calm(), timeoutMs: 50 }, (session) => session.rows(ENDLESS))).rejects.toMatchObject({ code: 'timeout' });
    expect(await rows('SELECT 1 AS a', [], 'bulk')).toEqual([{ a: 1 }]);
  });

  test('a stream that is read is interrupted', async () => {
    const controller = new AbortController();
    const read = broker.run('interactive', { signal: controller.signal }, async (session) => {
      for await (const _chunk of await session.chunks('SELECT range FROM range(1000000000000)')) controller.abort();
    });
    await expect(read).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('bulk work leaves a place free for people who wait', async () => {
    const first = occupy('bulk');
    await first.started;
    const second = occupy('bulk');
    expect(await rows('SELECT 1 AS a')).toEqual([{ a: 1 }]);
    await first.release();
    await second.started;
    await second.release();
  });

  test('interactive work goes first, but not for ever', async () => {
    const held = [occupy('interactive'), occupy('interactive')];
    await Promise.all(held.map(({ started }) => started));
    const order: string[] = [];
    const wait = (kind: QueryKind, name: string) =>
      broker.run(kind, calm(), async () => {
        order.push(name);
      });
    const waiting = [wait('bulk', 'bulk'), wait('interactive', 'first'), wait('interactive', 'second')];
    // One place is left to them, so that they run one after the other.
    await held[0]?.release();
    await Promise.all(waiting);
    await held[1]?.release();
    expect(order.indexOf('first')).toBeLessThan(order.indexOf('second'));
    expect(order.indexOf('bulk')).toBeLessThan(2);
  });

  test('background work stands back before all that waits and runs, and counts as nothing that waits', async () => {
    const first = occupy('bulk');
    await first.started;
    const order: string[] = [];
    const background = broker.run('background', calm(), async () => {
      order.push('background');
    });
    const bulk = broker.run('bulk', calm(), async () => {
      order.push('bulk');
    });
    expect(broker.load).toEqual({ running: 1, waiting: 1 });
    await first.release();
    await Promise.all([background, bulk]);
    expect(order).toEqual(['bulk', 'background']);
    expect(broker.load).toEqual({ running: 0, waiting: 0 });
  });

  test('background work that runs leaves a place to the others, and what gives up makes way for it', async () => {
    const background = occupy('background');
    await background.started;
    expect(await rows('SELECT 1 AS a')).toEqual([{ a: 1 }]);
    const controller = new AbortController();
    const bulk = broker.run('bulk', { signal: controller.signal }, async () => 'ran');
    const next = occupy('background');
    controller.abort();
    await expect(bulk).rejects.toMatchObject({ code: 'cancelled' });
    await background.release();
    await next.started;
    await next.release();
  });

  test('one that waits too long in a queue that is full is turned away; one that gives up leaves the queue', async () => {
    const held = [occupy('interactive'), occupy('interactive')];
    await Promise.all(held.map(({ started }) => started));
    const controller = new AbortController();
    const waiting = Array.from({ length: QUEUE_MAX }, () => broker.run('interactive', { signal: controller.signal }, async () => 'ran'));
    await expect(rows('SELECT 1')).rejects.toMatchObject({ code: 'rate_limited', details: { duckdbQueueMax: QUEUE_MAX } });
    controller.abort();
    for (const gone of waiting) await expect(gone).rejects.toMatchObject({ code: 'cancelled' });
    const patient = rows('SELECT 1 AS a');
    for (const { release } of held) await release();
    expect(await patient).toEqual([{ a: 1 }]);
  });
});
