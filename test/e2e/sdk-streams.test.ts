import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../client/index.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { gate, startSdk, untilState } from '../support/sdk.ts';

const range = { datasetId: 1, from: 'main~1', to: 'main' };

/** A diff of so many pages of 10,000 bytes; counts what was made and notes when it ended. */
function pagesOf(count: number) {
  const made = { pages: 0, ended: false };
  const handler = async function* (_input: unknown, { signal }: CallContext): AsyncGenerator<unknown> {
    try {
      for (let page = 0; page < count; page += 1) {
        signal.throwIfAborted();
        made.pages += 1;
        yield { changes: [{ kind: 'added', row: { page, text: 'x'.repeat(10_000) }, count: 1 }] };
      }
    } finally {
      made.ended = true;
    }
  };
  return { made, handlers: { 'diff.stream': handler } };
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What an iterator has left, for a loop. */
function rest<Item>(items: AsyncIterator<Item>): AsyncIterable<Item> {
  return { [Symbol.asyncIterator]: () => items };
}

function pageOf(item: unknown): number {
  return (item as { changes: { row: { page: number } }[] }).changes[0]?.row.page ?? -1;
}

describe('flow control', () => {
  test('SDK6 a reader that sleeps stops the server at the window, and gets everything when it wakes', async () => {
    const { made, handlers } = pagesOf(500);
    const { client } = await startSdk({ handlers, limits: { streamCreditBytes: 131_072 } });
    const items = client.diff.stream(range)[Symbol.asyncIterator]();
    expect(pageOf((await items.next()).value)).toBe(0);
    const settled = async (): Promise<number> => {
      const before = made.pages;
      for (let round = 0; round < 20; round += 1) await client.session.whoami();
      return made.pages - before;
    };
    await expect.poll(settled).toBe(0);
    expect(made.pages).toBeLessThanOrEqual(16);
    let read = 1;
    for await (const item of rest(items)) {
      expect(pageOf(item)).toBe(read);
      read += 1;
    }
    expect(read).toBe(500);
  });

  test('SDK6 streams that stand still do not hold up other requests', async () => {
    const { handlers } = pagesOf(1_000);
    const { client } = await startSdk({ handlers });
    const streams = Array.from({ length: 20 }, () => client.diff.stream(range)[Symbol.asyncIterator]());
    await Promise.all(streams.map((items) => items.next()));
    expect((await client.session.whoami()).subject).toBe('alice');
    await Promise.all(streams.map((items) => items.return?.()));
  });

  test('SDK7 leaving the loop cancels the stream on the server', async () => {
    const { made, handlers } = pagesOf(100_000);
    const { client } = await startSdk({ handlers });
    for await (const item of client.diff.stream(range)) if (pageOf(item) === 3) break;
    await expect.poll(() => made.ended).toBe(true);
    expect(made.pages).toBeLessThan(100_000);
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK7 an aborted signal ends a stream with cancelled, here and on the server', async () => {
    const { made, handlers } = pagesOf(100_000);
    const { client } = await startSdk({ handlers });
    const controller = new AbortController();
    const reading = (async () => {
      for await (const item of client.diff.stream(range, { signal: controller.signal })) if (pageOf(item) === 3) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => made.ended).toBe(true);
  });

  test('SDK7 nothing is asked for until somebody reads, and reading twice asks twice', async () => {
    const { made, handlers } = pagesOf(2);
    const { client } = await startSdk({ handlers });
    const stream = client.diff.stream(range);
    await client.session.whoami();
    expect(made.pages).toBe(0);
    expect(await collect(stream)).toHaveLength(2);
    expect(await collect(stream)).toHaveLength(2);
    expect(made.pages).toBe(4);
  });

  test('SDK7 two reads at once of one stream are refused', async () => {
    const { handlers } = pagesOf(2);
    const { client } = await startSdk({ handlers });
    const items = client.diff.stream(range)[Symbol.asyncIterator]();
    const first = items.next();
    await expect(items.next()).rejects.toThrow(TypeError);
    expect(pageOf((await first).value)).toBe(0);
    await items.return?.();
  });

  test('SDK9 an error of a stream comes behind the items before it', async () => {
    const handler = async function* (): AsyncGenerator<unknown> {
      yield { changes: [] };
      throw new CovistaError('unprocessable_data', 'two rows have the key 7');
    };
    const { client } = await startSdk({ handlers: { 'diff.stream': handler } });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const item of client.diff.stream(range)) seen.push(item);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'unprocessable_data', message: 'two rows have the key 7' });
    expect(seen).toEqual([{ changes: [] }]);
  });

  test('SDK8 progress reaches the caller beside the items', async () => {
    const handler = async function* (_input: unknown, context: CallContext): AsyncGenerator<unknown> {
      context.progress({ phase: 'diff', done: 1, total: 2, unit: 'rows' });
      yield { changes: [] };
    };
    const { client } = await startSdk({ handlers: { 'diff.stream': handler } });
    const told: unknown[] = [];
    await collect(client.diff.stream(range, { onProgress: (progress) => told.push(progress) }));
    expect(told).toEqual([{ phase: 'diff', done: 1, total: 2, unit: 'rows' }]);
  });
});

describe('lost connections', () => {
  test('SDK5 a stream of which nothing was read begins again', async () => {
    const { made, handlers } = pagesOf(50);
    const { client, proxy } = await startSdk({ handlers, limits: { streamCreditBytes: 131_072 } });
    await client.ready();
    const items = client.diff.stream(range)[Symbol.asyncIterator]();
    await expect.poll(() => made.pages).toBeGreaterThan(0);
    proxy.cut();
    await untilState(client, 'waiting');
    const read = await collect(rest(items));
    expect(read.map(pageOf)).toEqual(Array.from({ length: 50 }, (_, page) => page));
    expect(proxy.opened).toBe(2);
  });

  test('SDK5 a stream that was read from and cannot be continued fails, and says so', async () => {
    const { handlers } = pagesOf(1_000);
    const { client, proxy } = await startSdk({ handlers });
    const items = client.diff.stream(range)[Symbol.asyncIterator]();
    await items.next();
    proxy.cut();
    const reading = collect(rest(items));
    await expect(reading).rejects.toMatchObject({ code: 'unavailable', details: { operation: 'diff.stream', interrupted: true } });
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK5 dataset.watch goes on behind the last event that was read: none is missed, none comes twice', async () => {
    const events = { published: 0, wake: gate() };
    const publish = (): void => {
      events.published += 1;
      events.wake.open();
      events.wake = gate();
    };
    const watch = async function* ({ after = 0 }: { after?: number }, { signal }: CallContext): AsyncGenerator<unknown> {
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      for (let next = after + 1; !signal.aborted; ) {
        while (next <= events.published) {
          yield { sequence: next };
          next += 1;
        }
        await Promise.race([events.wake.opened, aborted]);
      }
    };
    const { client, proxy } = await startSdk({ handlers: { 'dataset.watch': watch } });
    const seen: number[] = [];
    for (let event = 0; event < 10; event += 1) publish();
    for await (const { sequence } of client.dataset.watch({ datasetId: 1, after: 0 })) {
      seen.push(sequence);
      if (sequence % 10 === 5) proxy.cut();
      if (sequence === 60) break;
      if (sequence === events.published) for (let event = 0; event < 10; event += 1) publish();
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(proxy.opened).toBeGreaterThan(3);
  });

  test('SDK5 a watch that fell too far behind goes on behind the last event that was read', async () => {
    const asked: (number | undefined)[] = [];
    const watch = async function* ({ after }: { after?: number }): AsyncGenerator<unknown> {
      asked.push(after);
      if (after !== undefined) {
        yield { sequence: after + 1 };
        return;
      }
      yield { sequence: 1 };
      throw new CovistaError('slow_consumer', 'too many events wait');
    };
    const { client } = await startSdk({ handlers: { 'dataset.watch': watch } });
    const read = await collect(client.dataset.watch({ datasetId: 1 }));
    expect(read.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(asked).toEqual([undefined, 1]);
  });
});

describe('downloads', () => {
  const file = Uint8Array.from({ length: 2_000_000 }, (_, index) => (index * 7) % 256);
  const head = { contentType: 'text/csv', fileName: 'orders.csv', etag: '"1"', encoding: 'identity', lastModified: '2026-01-01T00:00:00Z' };
  interface Asked {
    readonly range?: { readonly start?: number; readonly end?: number };
  }

  const download = (etags: string[] = []) =>
    async function* ({ range: asked }: Asked): AsyncGenerator<unknown> {
      const start = asked?.start ?? 0;
      const end = (asked?.end ?? file.length - 1) + 1;
      const rangeStart = asked === undefined ? null : start;
      yield { ...head, etag: etags.shift() ?? head.etag, bytes: end - start, totalBytes: file.length, rangeStart };
      for (let at = start; at < end; at += 50_000) yield file.subarray(at, Math.min(at + 50_000, end));
    };

  test('SDK5 version.fetch continues where the connection was lost, as often as that happens', async () => {
    const { client, proxy } = await startSdk({ handlers: { 'version.download': download() } });
    const { bytes, head: told } = await client.version.fetch({ datasetId: 1, versionId: 1, format: 'csv' });
    expect(told.bytes).toBe(file.length);
    const received: Uint8Array[] = [];
    for await (const piece of bytes) {
      if (received.push(piece) % 12 !== 0) continue;
      const { opened } = proxy;
      proxy.cut();
      // A cut before the client is back would cut nothing.
      await expect.poll(() => proxy.opened).toBeGreaterThan(opened);
    }
    expect(Buffer.concat(received).equals(file)).toBe(true);
    expect(proxy.opened).toBeGreaterThan(3);
  });

  test('SDK5 version.fetch continues a range within its bounds', async () => {
    const { client, proxy } = await startSdk({ handlers: { 'version.download': download() } });
    const fetched = await client.version.fetch({ datasetId: 1, versionId: 1, range: { start: 1_000, end: 1_499_999 } });
    await fetched.bytes.next();
    proxy.cut();
    expect(Buffer.from(await fetched.toBytes()).equals(file.subarray(51_000, 1_500_000))).toBe(true);
  });

  test('SDK5 version.fetch fails when the file is no longer the one that it began', async () => {
    const { client, proxy } = await startSdk({ handlers: { 'version.download': download(['"1"', '"2"']) } });
    const { bytes } = await client.version.fetch({ datasetId: 1, versionId: 1 });
    await bytes.next();
    proxy.cut();
    await expect(collect(bytes)).rejects.toMatchObject({ code: 'conflict', details: { etag: '"1"', actual: '"2"' } });
  });

  test('SDK7 a download that is not wanted any more is cancelled', async () => {
    let ended = false;
    const endless = async function* (): AsyncGenerator<unknown> {
      try {
        yield { ...head, bytes: null, totalBytes: null, rangeStart: null };
        while (true) yield new Uint8Array(10_000);
      } finally {
        ended = true;
      }
    };
    const { client } = await startSdk({ handlers: { 'version.download': endless } });
    const fetched = await client.version.fetch({ datasetId: 1, versionId: 1 });
    await fetched.cancel();
    await expect.poll(() => ended).toBe(true);
  });

  test('SDK9 a download that ends early is an error', async () => {
    const short = async function* (): AsyncGenerator<unknown> {
      yield { ...head, bytes: 10, totalBytes: 10, rangeStart: null };
      yield new Uint8Array(5);
    };
    const { client } = await startSdk({ handlers: { 'version.download': short } });
    const fetched = await client.version.fetch({ datasetId: 1, versionId: 1 });
    await expect(fetched.toBytes()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('pages', () => {
  test('SDK16 pages and items go through every page in order', async () => {
    const list = ({ limit, cursor = '0' }: { limit: number; cursor?: string }) => {
      const start = Number(cursor);
      const names = Array.from({ length: 7 }, (_, index) => `tag-${index}`).slice(start, start + limit);
      return start + limit < 7 ? { items: names, next: String(start + limit) } : { items: names };
    };
    const { client } = await startSdk({ handlers: { 'tag.list': list } });
    const sizes = (await collect(client.pages(client.tag.list, { datasetId: 1, limit: 3 }))).map(({ items }) => items.length);
    expect(sizes).toEqual([3, 3, 1]);
    const all: unknown[] = await collect(client.items(client.tag.list, { datasetId: 1, limit: 3 }));
    expect(all).toEqual(Array.from({ length: 7 }, (_, index) => `tag-${index}`));
  });
});
