import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ObjectStore } from '../../server/storage/stores.ts';
import { openTestFiles, type Protection, type TestFiles } from '../support/files.ts';
import { seededRandom } from '../support/random.ts';

const PIECE = 64 * 1024;
const PROTECTIONS: readonly Protection[] = ['plain', 'encrypted'];

/** Bytes that say where they are. */
function sample(bytes: number, seed = 1): Buffer {
  const random = seededRandom(seed);
  return Buffer.from(Array.from({ length: bytes }, () => random.below(256)));
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe.each(PROTECTIONS)('%s objects', (protection) => {
  let files: TestFiles;
  let objects: ObjectStore;

  beforeEach(async () => {
    files = await openTestFiles(protection);
    ({ objects } = files);
  });

  afterEach(() => files.remove());

  let staged = 0;
  async function publish(objectKey: string, content: Uint8Array): Promise<string> {
    staged += 1;
    const path = join(files.directory, 'staging', `staged-${staged}`);
    await writeFile(path, content);
    await objects.publish([{ path, objectKey }]);
    return path;
  }

  const keys = async (prefix = 'datasets'): Promise<string[]> => {
    const found: string[] = [];
    for await (const { objectKey, ageMs } of objects.list(prefix)) {
      expect(ageMs).toBeGreaterThanOrEqual(0);
      found.push(objectKey);
    }
    return found.sort();
  };

  test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17])('ENC1 %i bytes come back, whole and in ranges', async (bytes) => {
    const content = sample(bytes);
    const path = await publish('datasets/1/1/data.parquet', content);
    expect((await readFile(path)).equals(content)).toBe(true);
    expect((await collect(objects.read('datasets/1/1/data.parquet'))).equals(content)).toBe(true);
    const around = [0, 1, PIECE - 1, PIECE, PIECE + 1, bytes - 1, bytes].filter((at) => at >= 0 && at <= bytes);
    for (const start of around) {
      for (const end of around) {
        const read = await collect(objects.read('datasets/1/1/data.parquet', { start, end: Math.max(start, end) }));
        expect(read.equals(content.subarray(start, Math.max(start, end))), `${start} to ${end}`).toBe(true);
      }
    }
  });

  test('ENC1 random ranges hold what they should', async () => {
    const content = sample(5 * PIECE + 1234);
    await publish('datasets/1/1/data.parquet', content);
    const position = fc.nat(content.length);
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        expect((await collect(objects.read('datasets/1/1/data.parquet', { start, end }))).equals(content.subarray(start, end))).toBe(true);
      }),
      { numRuns: 100, seed: 7 },
    );
  });

  test('ENC1 an object lies at its local path while it is leased', async () => {
    const content = sample(2 * PIECE + 5);
    await publish('datasets/1/1/data.parquet', content);
    const path = objects.localPath('datasets/1/1/data.parquet');
    const releases = await Promise.all([objects.lease([path, '/somewhere/else']), objects.lease([path])]);
    for (const release of releases) {
      expect((await readFile(path)).equals(content)).toBe(true);
      release();
    }
    const again = await objects.lease([path]);
    expect((await readFile(path)).equals(content)).toBe(true);
    again();
  });

  test('ENC1 objects are listed by prefix and deleted, and a deleted one is not there', async () => {
    await publish('datasets/1/1/data.parquet', sample(10));
    await publish('datasets/1/2/original', sample(20));
    await publish('datasets/2/1/data.parquet', sample(30));
    expect(await keys()).toEqual(['datasets/1/1/data.parquet', 'datasets/1/2/original', 'datasets/2/1/data.parquet']);
    expect(await keys('datasets/1')).toEqual(['datasets/1/1/data.parquet', 'datasets/1/2/original']);
    await objects.delete(['datasets/1/1/data.parquet', 'datasets/1/9/nothing']);
    expect(await keys()).toEqual(['datasets/1/2/original', 'datasets/2/1/data.parquet']);
    await expect(collect(objects.read('datasets/1/1/data.parquet'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await keys('nowhere')).toEqual([]);
  });

  test('ENC1 a key that exists is a fault, and stays what it was', async () => {
    const content = sample(100);
    await publish('datasets/1/1/data.parquet', content);
    await expect(publish('datasets/1/1/data.parquet', sample(100, 2))).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await collect(objects.read('datasets/1/1/data.parquet'))).equals(content)).toBe(true);
    expect(await keys()).toEqual(['datasets/1/1/data.parquet']);
  });

  test.each(['../escape', 'datasets/../../escape', '/etc/passwd', 'datasets//x', 'UPPER', ''])('the key %j is refused', async (objectKey) => {
    expect(() => objects.localPath(objectKey)).toThrow('malformed');
    await expect(publish(objectKey, sample(1))).rejects.toThrow('malformed');
    await expect(objects.delete([objectKey])).rejects.toThrow('malformed');
  });
});

describe.each(PROTECTIONS)('%s uploads', (protection) => {
  const uploadId = '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e' as never;
  const calm = { bytesMax: 1e9, signal: new AbortController().signal };
  let files: TestFiles;

  beforeEach(async () => {
    files = await openTestFiles(protection);
  });

  afterEach(() => files.remove());

  async function* body(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }

  async function contentOf(bytes: number): Promise<Buffer> {
    const opened = await files.staging.open(uploadId, bytes, calm.signal);
    const content = await readFile(opened.path);
    expect(opened.sha256).toBe(createHash('sha256').update(content.subarray(0, bytes)).digest('hex'));
    expect(opened.bytes).toBe(bytes);
    await opened.release();
    return content.subarray(0, bytes);
  }

  test('ENC1 writes of any size are joined, also by a server that starts anew in between', async () => {
    const content = sample(3 * 1024 * 1024);
    const cuts = [0, 1, 2, 70_000, 70_001, 1_200_000, 1_200_001, 2_500_000, content.length];
    for (const [index, end] of cuts.entries()) {
      const start = cuts[index - 1];
      if (start === undefined) continue;
      expect(await files.staging.write(uploadId, start, body(content.subarray(start, end)), calm)).toBe(end);
      if (index % 2 === 0) files = await files.reopen();
    }
    expect((await contentOf(content.length)).equals(content)).toBe(true);
  });

  test('ENC1 bytes behind the offset of a write are lost', async () => {
    const [first, second] = [sample(200_000, 1), sample(100, 2)];
    await files.staging.write(uploadId, 0, body(first), calm);
    await files.staging.write(uploadId, 200_000, body(sample(2_000_000, 3)), calm);
    expect(await files.staging.write(uploadId, 150_000, body(second), calm)).toBe(150_100);
    expect((await contentOf(150_100)).equals(Buffer.concat([first.subarray(0, 150_000), second]))).toBe(true);
  });

  test('ENC1 a write that fails leaves the bytes before it', async () => {
    const content = sample(100_000);
    await files.staging.write(uploadId, 0, body(content), calm);
    await expect(files.staging.write(uploadId, 100_000, body(sample(100)), { ...calm, bytesMax: 99 })).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    expect((await contentOf(100_000)).equals(content)).toBe(true);
    expect(await files.staging.write(uploadId, 100_000, body(sample(5)), calm)).toBe(100_005);
  });

  test('ENC1 an upload is listed, and removed with its bytes', async () => {
    const ids = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const upload of files.staging.listUploads()) found.push(upload.uploadId);
      return found;
    };
    expect(await ids()).toEqual([]);
    await files.staging.write(uploadId, 0, body(sample(10)), calm);
    expect(await ids()).toEqual([uploadId]);
    await files.staging.removeUpload(uploadId);
    await files.staging.removeUpload(uploadId);
    expect(await ids()).toEqual([]);
  });
});
