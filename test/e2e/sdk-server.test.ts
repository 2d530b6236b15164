import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Client, type ConnectOptions, connect, type Progress } from '../../client/index.ts';
import { type NetworkProxy, startProxy } from '../support/proxy.ts';
import { sample, samplePath } from '../support/samples.ts';
import { QUICK } from '../support/sdk.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.stop());

const portOf = (url: string): number => Number(new URL(url).port);

/** A client of the whole server behind a proxy, ended with the test. */
async function startClient(options: Partial<ConnectOptions> = {}): Promise<{ client: Client; proxy: NetworkProxy }> {
  const proxy = await startProxy(portOf(server.url));
  const client = connect({ url: proxy.url, token: await server.token('alice'), ...options, settings: { ...QUICK, ...options.settings } });
  onTestFinished(async () => {
    client.close();
    await proxy.close();
  });
  await client.ready();
  return { client, proxy };
}

const newDataset = async (client: Client): Promise<number> => (await client.dataset.create({ name: 'Superstore' })).datasetId;

describe('upload.file', () => {
  test('SDK15 a file arrives whole over a connection that is cut again and again', async () => {
    const { client, proxy } = await startClient({ settings: { uploadChunkBytes: 200_000 } });
    const datasetId = await newDataset(client);
    const file = sample('superstore.csv');
    const told: Progress[] = [];
    proxy.cutAfter(700_000);
    const version = await client.upload.file(file, {
      datasetId,
      branch: 'main',
      message: 'All orders',
      fileName: 'superstore.csv',
      onProgress: (progress) => {
        told.push(progress);
        if (progress.done === 1_000_000 || progress.done === 2_000_000) proxy.cutAfter(100_000);
      },
    });
    expect(version).toMatchObject({ versionId: 1, rows: 9_994, message: 'All orders', conversion: { status: 'complete' } });
    expect(version.original).toMatchObject({
      bytes: file.length,
      sha256: createHash('sha256').update(file).digest('hex'),
      fileName: 'superstore.csv',
    });
    expect(proxy.opened).toBe(4);
    const uploads = told.filter(({ phase }) => phase === 'upload').map(({ done }) => done);
    expect(uploads.at(-1)).toBe(file.length);
    expect(uploads).toEqual([...uploads].sort((left, right) => left - right));
    const original = await client.version.fetch({ datasetId, versionId: 1, format: 'original' });
    expect(Buffer.from(await original.toBytes()).equals(file)).toBe(true);
    expect(await server.leftovers()).toEqual([]);
  });

  test('SDK15 a stream from disk goes on where it was when the server is restarted', async () => {
    const { client, proxy } = await startClient({ settings: { uploadChunkBytes: 300_000 } });
    const datasetId = await newDataset(client);
    let restarted: Promise<void> | undefined;
    const version = await client.upload.file(createReadStream(samplePath('superstore.csv')), {
      datasetId,
      branch: 'main',
      onProgress: ({ done }) => {
        if (done < 1_000_000 || restarted !== undefined) return;
        // A port that nobody listens on would answer to itself now and then.
        proxy.refuse();
        restarted = server.restart().then(() => {
          proxy.target(portOf(server.url));
          proxy.resume();
        });
      },
    });
    await restarted;
    expect(version.rows).toBe(9_994);
  });

  test('SDK15 a file that is refused, and one that is aborted, leave no upload behind', async () => {
    const { client } = await startClient();
    const datasetId = await newDataset(client);
    const broken = new TextEncoder().encode('a,b\n1,2\n3\n4,5,6,7\n');
    await expect(client.upload.file(broken, { datasetId, branch: 'main', strict: true })).rejects.toMatchObject({ code: 'unprocessable_data' });
    const controller = new AbortController();
    const aborted = client.upload.file(sample('superstore.csv'), {
      datasetId,
      branch: 'main',
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
    expect(await server.leftovers()).toEqual([]);
    await expect(client.version.history({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SDK15 what is no file, such as a path, is refused before anything is sent', async () => {
    const { client } = await startClient();
    for (const source of ['orders.csv', undefined, [1, 2]]) {
      await expect(client.upload.file(source as never, { name: 'Orders' })).rejects.toMatchObject({ code: 'invalid_input' });
    }
    expect(await server.leftovers()).toEqual([]);
  });

  test('SDK15 a dataset that is made of a file is there with the version of it, once and not before', async () => {
    const { client, proxy } = await startClient({ settings: { uploadChunkBytes: 1_000_000 } });
    const file = sample('superstore.csv');
    const seen: Promise<number>[] = [];
    const named = async (): Promise<number> => (await client.dataset.list({ search: 'Of a file' })).items.length;
    const onProgress = ({ phase, done }: Progress): void => {
      if (phase !== 'upload') return;
      if (done === file.length) proxy.cut();
      else seen.push(named());
    };
    const { datasetId, rows, branch, message } = await client.upload.file(file, { name: 'Of a file', key: ['Row ID'], message: 'First', onProgress });
    expect(await Promise.all(seen)).toEqual(seen.map(() => 0));
    expect({ rows, branch, message }).toEqual({ rows: 9_994, branch: 'main', message: 'First' });
    expect(await client.dataset.get({ datasetId })).toMatchObject({ name: 'Of a file', key: ['Row ID'] });
    expect((await client.version.history({ datasetId })).items).toHaveLength(1);
    expect(await named()).toBe(1);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, 1_100_000);
      throw new Error('the disk is gone');
    }
    await expect(client.upload.file(broken(), { name: 'Of a file' })).rejects.toThrow('the disk is gone');
    expect(await named()).toBe(1);
    expect(await server.leftovers()).toEqual([]);
  });

  test('SDK21 another program goes on with an upload that one before it began, and sends only what is missing', async () => {
    const file = sample('superstore.csv');
    const begun: string[] = [];
    const first = await startClient({ settings: { uploadChunkBytes: 200_000 } });
    const datasetId = await newDataset(first.client);
    const options = { datasetId, branch: 'main', onUpload: (uploadId: string) => begun.push(uploadId) };
    async function* half(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, 1_100_000);
      throw new Error('the program ends here');
    }
    await expect(first.client.upload.file(half(), options)).rejects.toThrow('the program ends here');
    first.client.close();
    await server.restart();
    const [resume = ''] = begun;
    const { client, proxy } = await startClient({ settings: { uploadChunkBytes: 300_000 } });
    expect(await client.upload.status({ uploadId: resume })).toMatchObject({ offset: 1_000_000 });
    await expect(client.upload.file(file.subarray(0, 900_000), { ...options, resume })).rejects.toMatchObject({ code: 'conflict' });
    const version = await client.upload.file(file, { ...options, resume });
    expect(version.original).toMatchObject({ bytes: file.length, sha256: createHash('sha256').update(file).digest('hex') });
    expect(proxy.sentBytes).toBeGreaterThan(file.length - 1_000_000);
    expect(proxy.sentBytes).toBeLessThan(file.length - 900_000);
    expect(begun).toEqual([resume, resume, resume]);
    // The answer to the commit may have been lost with the program: then it comes now.
    expect(await client.upload.file(file, { ...options, resume })).toMatchObject({ versionId: version.versionId });
    expect((await client.version.history({ datasetId })).items).toHaveLength(1);
    expect(await server.leftovers()).toEqual([]);
  });

  test('SDK21 an upload that is resumed with other bytes is refused, and one that expired is not found', async () => {
    const { client } = await startClient({ settings: { uploadChunkBytes: 1_000 } });
    const datasetId = await newDataset(client);
    const { uploadId: resume } = await client.upload.begin({});
    await client.upload.write({ uploadId: resume, offset: 0 }, { body: new TextEncoder().encode('id\n1\n') });
    const other = new TextEncoder().encode('id\n2\n3\n');
    await expect(client.upload.file(other, { datasetId, branch: 'main', resume })).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect(await client.upload.status({ uploadId: resume })).toMatchObject({ offset: other.length });
    await client.upload.abort({ uploadId: resume });
    await expect(client.upload.file(other, { datasetId, branch: 'main', resume })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SDK15 a source of odd pieces and another hash make the same version', async () => {
    const { client } = await startClient({ settings: { uploadChunkBytes: 65_536 } });
    const datasetId = await newDataset(client);
    const file = sample('seattle-weather.csv');
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0, size = 1; at < file.length; at += size, size = (size * 7) % 9_973) yield file.subarray(at, at + size);
    }
    const first = await client.upload.file(pieces(), { datasetId, branch: 'main', createHash: () => createHash('sha256') });
    const again = await client.upload.file(new Blob([file as Uint8Array<ArrayBuffer>]), { datasetId, branch: 'main' });
    expect(first.original?.sha256).toBe(again.original?.sha256);
    expect(again).toMatchObject({ rows: first.rows, identical: true });
  });
});

describe('lost answers', () => {
  test('SDK3 a command whose answer was lost is done once, and its result comes', async () => {
    const { client, proxy } = await startClient();
    const name = `Once ${Math.random()}`;
    proxy.cutAfterReceiving(0);
    const { datasetId } = await client.dataset.create({ name });
    expect(proxy.opened).toBe(2);
    const { items } = await client.dataset.list({ search: name });
    expect(items.map((dataset) => dataset.datasetId)).toEqual([datasetId]);
    proxy.cutAfterReceiving(0);
    const { versionId } = await client.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode('n\n1\n2\n') });
    expect(proxy.opened).toBe(3);
    expect(versionId).toBe(1);
    expect((await client.version.history({ datasetId })).items).toHaveLength(1);
  });

  test('SDK5 events of a dataset come once each over connections that are cut', async () => {
    const { client, proxy } = await startClient();
    const writer = await server.client('alice');
    const datasetId = await newDataset(client);
    const seen: number[] = [];
    await writer.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode('n\n1\n') });
    for await (const event of client.dataset.watch({ datasetId, after: 0 })) {
      seen.push(event.sequence);
      if (event.kind === 'tag.created' && event.data.name === 'tag-5') break;
      if (event.kind !== 'tag.created' && event.kind !== 'version.created') continue;
      proxy.cut();
      await writer.tag.create({ datasetId, name: `tag-${seen.length}`, ref: 'main' });
    }
    expect(seen).toEqual(seen.map((_, index) => (seen[0] ?? 0) + index));
    expect(proxy.opened).toBeGreaterThan(2);
  });
});

describe('slow readers', () => {
  test('SDK6 the memory of the server stays bounded while many downloads stand still', async () => {
    const { client } = await startClient();
    const datasetId = await newDataset(client);
    const file = sample('flights-3m.parquet');
    await client.upload.file(file, { datasetId, branch: 'main' });
    const downloads = await Promise.all(Array.from({ length: 40 }, () => client.version.fetch({ datasetId, versionId: 1, format: 'original' })));
    const before = process.memoryUsage().arrayBuffers;
    for (const { bytes } of downloads) await bytes.next();
    for (let round = 0; round < 50; round += 1) await client.session.whoami();
    // Client and server share this process: both ends of every stream are in it, with two windows each at most.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * 4 * 524_288);
    expect(40 * file.length).toBeGreaterThan(4 * 40 * 4 * 524_288);
    await Promise.all(downloads.map((download) => download.cancel()));
  });
});
