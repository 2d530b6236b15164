import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../client/index.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { gate, startSdk } from '../support/sdk.ts';

const echo = { 'dataset.get': (input: unknown) => input };

describe('reconnecting', () => {
  test('SDK2 a stream of requests over connections that are cut again and again loses none', async () => {
    const { client, proxy } = await startSdk({ handlers: { 'dataset.get': async (input: unknown) => input } });
    const numbers = Array.from({ length: 2_000 }, (_, index) => index + 1);
    await client.ready();
    const answers = numbers.map((datasetId) => client.dataset.get({ datasetId }));
    for (let cuts = 0; cuts < 5; cuts += 1) {
      proxy.cutAfterReceiving(5_000);
      await client.dataset.get({ datasetId: 1 });
    }
    expect((await Promise.all(answers)).map(({ datasetId }) => datasetId)).toEqual(numbers);
    expect(proxy.opened).toBeGreaterThan(1);
  });

  test('SDK3 a command whose answer was lost is sent again with its key and done once', async () => {
    const results = new Map<string, unknown>();
    let done = 0;
    const handlers = {
      'dataset.create': async (_input: unknown, { provenance }: CallContext) => {
        done += 1;
        const result = { datasetId: done };
        results.set(provenance.idempotency?.key ?? 'none', result);
        proxy.cut();
        return result;
      },
    };
    const idempotency = {
      find: async (_subject: string, { key }: { key: string }) => (results.has(key) ? { result: results.get(key) } : undefined),
    };
    const { client, proxy } = await startSdk({ handlers, idempotency });
    expect((await client.dataset.create({ name: 'Orders' })).datasetId).toBe(1);
    expect(done).toBe(1);
    expect([...results.keys()]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(proxy.opened).toBe(2);
  });

  test('SDK3 every command has a key of its own unless the caller gives one', async () => {
    const keys: (string | undefined)[] = [];
    const handlers = {
      'dataset.delete': (_input: unknown, { provenance }: CallContext) => {
        keys.push(provenance.idempotency?.key);
        return {};
      },
    };
    const { client } = await startSdk({ handlers });
    await client.dataset.delete({ datasetId: 1 });
    await client.dataset.delete({ datasetId: 1 });
    await client.dataset.delete({ datasetId: 1 }, { idempotencyKey: 'mine' });
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe('mine');
  });

  test('SDK2 calls made while there is no connection wait for it', async () => {
    const { client, proxy, connect } = await startSdk();
    await client.ready();
    proxy.refuse();
    const early = await connect();
    const answers = Promise.all([early.session.whoami(), early.session.whoami()]);
    proxy.resume();
    expect((await answers).map(({ subject }) => subject)).toEqual(['alice', 'alice']);
  });
});

describe('ending calls early', () => {
  test('SDK7 an aborted signal cancels the request on the server', async () => {
    const cancelled = gate();
    const started = gate();
    const handlers = {
      'dataset.get': async (_input: unknown, { signal }: CallContext) => {
        started.open();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })).finally(cancelled.open);
      },
    };
    const { client } = await startSdk({ handlers });
    const controller = new AbortController();
    const answer = client.dataset.get({ datasetId: 1 }, { signal: controller.signal });
    await started.opened;
    controller.abort('enough');
    await expect(answer).rejects.toMatchObject({ code: 'cancelled', cause: 'enough' });
    await cancelled.opened;
  });

  test('SDK7 a signal that is aborted already sends nothing', async () => {
    const { client } = await startSdk({ handlers: echo });
    await expect(client.dataset.get({ datasetId: 1 }, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('SDK8 a request that is not answered in time fails with timeout and is cancelled on the server', async () => {
    const cancelled = gate();
    const handlers = {
      'dataset.get': (_input: unknown, { signal }: CallContext) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            cancelled.open();
            reject(signal.reason);
          }),
        ),
    };
    const { client, proxy, connect } = await startSdk({ handlers });
    await client.ready();
    await expect(client.dataset.get({ datasetId: 1 }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
    await cancelled.opened;
    proxy.refuse();
    const waiting = await connect();
    await expect(waiting.session.whoami({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
  });

  test('SDK9 errors of the server have code, message and details, and are CovistaError', async () => {
    const { client } = await startSdk({
      handlers: {
        'dataset.get': async () => {
          throw new CovistaError('conflict', 'it moved', { actualHead: 3 });
        },
      },
    });
    const error: unknown = await client.dataset.get({ datasetId: 1 }).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(CovistaError);
    expect(error).toMatchObject({ code: 'conflict', message: 'it moved', details: { actualHead: 3 } });
    await expect(client.dataset.get({ datasetId: -1 })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('SDK9 a connection that is lost or refused leaves no unhandled rejection', async () => {
    const faults: unknown[] = [];
    const listen = (fault: unknown): unknown => faults.push(fault);
    process.on('unhandledRejection', listen);
    try {
      const { client, proxy } = await startSdk();
      await client.ready();
      proxy.refuse();
      proxy.cut();
      await expect(client.session.whoami({}, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'timeout' });
      client.close();
      await new Promise((resolve) => setImmediate(resolve));
      expect(faults).toEqual([]);
    } finally {
      process.off('unhandledRejection', listen);
    }
  });
});

describe('bounds', () => {
  test('SDK13 no more requests are under way than the server takes, and the others wait their turn', async () => {
    let running = 0;
    let most = 0;
    const handlers = {
      'dataset.get': async (input: unknown) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return input;
      },
    };
    const { client } = await startSdk({ handlers, limits: { requestsInFlightMax: 8 } });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => client.dataset.get({ datasetId: index + 1 })));
    expect(answers).toHaveLength(100);
    expect(most).toBe(7);
  });

  test('SDK13 requests that wait are bounded', async () => {
    const { proxy, connect } = await startSdk();
    proxy.refuse();
    const client = await connect({ settings: { waitingMax: 2 } });
    const waiting = [client.session.whoami(), client.session.whoami()];
    await expect(client.session.whoami()).rejects.toMatchObject({ code: 'rate_limited' });
    proxy.resume();
    expect(await Promise.all(waiting)).toHaveLength(2);
  });

  test('SDK14 large requests and answers travel in fragments', async () => {
    const { client } = await startSdk({
      handlers: { 'dataset.create': (input: unknown) => input, 'dataset.update': () => ({ name: 'y'.repeat(3_000_000) }) },
    });
    const description = 'ä'.repeat(10_000);
    const labels = Array.from({ length: 50 }, (_, index) => `${index}`.padEnd(100, 'x'));
    expect(await client.dataset.create({ name: 'large', description, labels })).toMatchObject({ description, labels });
    expect((await client.dataset.update({ datasetId: 1 })).name).toHaveLength(3_000_000);
    const cursor = 'c'.repeat(100_000);
    await expect(client.dataset.list({ cursor })).rejects.toMatchObject({ code: 'internal' });
  });

  test('SDK14 a request that is larger than the server takes fails before it is sent', async () => {
    const { client } = await startSdk({ handlers: echo, limits: { requestBytesMax: 1_048_576 } });
    await expect(client.dataset.list({ search: 'x'.repeat(2_000_000) })).rejects.toMatchObject({ code: 'payload_too_large' });
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK14 an answer that is larger than the client takes ends the connection', async () => {
    const { connect } = await startSdk({ handlers: { 'dataset.get': () => ({ name: 'y'.repeat(300_000) }) } });
    const client = await connect({ settings: { fragmentsBytesMax: 200_000 } });
    await expect(client.dataset.get({ datasetId: 1 })).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  test('SDK18 fields that are undefined are left out rather than sent as null', async () => {
    const { client } = await startSdk({ handlers: { 'version.commit': (input: unknown) => input } });
    const committed = await client.version.commit({ datasetId: 1, branch: 'main', message: undefined, key: undefined, restore: 'main~1' });
    expect(committed).toEqual({ datasetId: 1, branch: 'main', message: '', mode: 'replace', strict: false, restore: 'main~1' });
  });
});
