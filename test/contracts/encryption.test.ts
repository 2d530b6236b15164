import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../server/shared/log.ts';
import { masterKeyId, openStoreKey } from '../../server/storage/files/store-key.ts';
import { isFoundBelow, openTestFiles, type TestFiles } from '../support/files.ts';

const CANARY = 'zqplaincanary';
const PIECE = 64 * 1024;
const log = createLog('silent', false);

let files: TestFiles;

beforeEach(async () => {
  files = await openTestFiles('encrypted', { decryptedCacheBytesMax: 300_000 });
});

afterEach(() => files.remove());

let staged = 0;
async function publish(objectKey: string, content: Uint8Array): Promise<string> {
  staged += 1;
  const path = join(files.directory, 'staging', `staged-${staged}`);
  await writeFile(path, content);
  await files.objects.publish([{ path, objectKey }]);
  await rm(path);
  return join(files.root, `${objectKey}.sealed`);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const text = (bytes: number): Buffer => Buffer.alloc(bytes, `${CANARY} `);
const cached = async (): Promise<string[]> =>
  (await readdir(files.cacheDirectory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);

describe('files', () => {
  test('ENC2 hold nothing of the content, not even that two are the same', async () => {
    const one = await readFile(await publish('datasets/1/1/a', text(200_000)));
    const other = await readFile(await publish('datasets/1/1/b', text(200_000)));
    await files.staging.write('5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e' as never, 0, bodyOf(text(200_000)), {
      bytesMax: 1e9,
      signal: new AbortController().signal,
    });
    expect(await isFoundBelow(files.directory, CANARY)).toEqual([]);
    const pieces = new Set<string>();
    for (const sealed of [one, other]) for (let at = 8; at + 32 <= sealed.length; at += 32) pieces.add(sealed.subarray(at, at + 32).toString('hex'));
    expect(pieces.size).toBe(2 * Math.floor((one.length - 8) / 32));
  });

  test('ENC2 one that was changed, cut, extended, swapped or moved is not read', async () => {
    const path = await publish('datasets/1/1/a', text(2 * PIECE + 100));
    const whole = await readFile(path);
    const sealedPiece = PIECE + 28;
    const damages: Record<string, Buffer> = {
      'cut behind a piece': whole.subarray(0, 68 + sealedPiece),
      'cut within a piece': whole.subarray(0, 68 + sealedPiece + 500),
      'cut within the header': whole.subarray(0, 30),
      empty: Buffer.alloc(0),
      extended: Buffer.concat([whole, Buffer.alloc(40)]),
      'pieces swapped': Buffer.concat([
        whole.subarray(0, 68),
        whole.subarray(68 + sealedPiece, 68 + 2 * sealedPiece),
        whole.subarray(68, 68 + sealedPiece),
        whole.subarray(68 + 2 * sealedPiece),
      ]),
    };
    for (const at of [0, 8, 20, 52, 68, 80, 68 + sealedPiece - 1, whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      damages[`bit ${at} changed`] = changed;
    }
    for (const [what, bytes] of Object.entries(damages)) {
      await writeFile(path, bytes);
      await expect(collect(files.objects.read('datasets/1/1/a')), what).rejects.toThrow('cannot be decrypted');
      await expect(files.objects.lease([files.objects.localPath('datasets/1/1/a')]), what).rejects.toThrow();
    }
    expect(await cached()).toEqual([]);
    await writeFile(path, whole);
    expect((await collect(files.objects.read('datasets/1/1/a'))).length).toBe(2 * PIECE + 100);
    await mkdir(join(files.root, 'datasets/1/2'), { recursive: true });
    await rename(path, join(files.root, 'datasets/1/2/a.sealed'));
    await expect(collect(files.objects.read('datasets/1/2/a'))).rejects.toThrow('cannot be decrypted');
  });

  test('ENC2 another key reads nothing', async () => {
    await publish('datasets/1/1/a', text(100));
    const others = await files.reopen(randomBytes(32));
    await expect(collect(others.objects.read('datasets/1/1/a'))).rejects.toThrow('cannot be decrypted');
  });

  test('ENC3 objects and uploads from before encryption was turned on are read as they are', async () => {
    const uploadId = '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e';
    await mkdir(join(files.root, 'datasets/1/1'), { recursive: true });
    await writeFile(join(files.root, 'datasets/1/1/old'), text(1_000));
    await writeFile(join(files.directory, 'uploads', uploadId), text(1_000));
    files = await files.reopen();
    expect((await collect(files.objects.read('datasets/1/1/old', { start: 10, end: 20 }))).equals(text(1_000).subarray(10, 20))).toBe(true);
    const path = files.objects.localPath('datasets/1/1/old');
    const release = await files.objects.lease([path]);
    expect((await readFile(path)).equals(text(1_000))).toBe(true);
    release();
    expect(await isFoundBelow(join(files.directory, 'uploads'), CANARY)).toEqual([]);
    const opened = await files.staging.open(uploadId as never, 1_000, new AbortController().signal);
    expect((await readFile(opened.path)).equals(text(1_000))).toBe(true);
    await opened.release();
    await files.objects.delete(['datasets/1/1/old']);
    await expect(stat(join(files.root, 'datasets/1/1/old'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

async function* bodyOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

test('ENC3 a server that was killed while it sealed the uploads before leaves none behind', async () => {
  const [first, second] = ['5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0f'];
  const uploads = join(files.directory, 'uploads');
  await mkdir(join(uploads, `${first}.sealing`));
  for (const id of [first, second]) await writeFile(join(uploads, id ?? ''), text(1_000));
  files = await files.reopen();
  // The other way of being killed: sealed, and not yet under its name.
  await rename(join(uploads, second ?? ''), join(uploads, `${second}.sealing`));
  files = await files.reopen();
  expect((await readdir(uploads)).sort()).toEqual([first, second]);
  for (const id of [first, second]) {
    const opened = await files.staging.open(id as never, 1_000, new AbortController().signal);
    expect((await readFile(opened.path)).equals(text(1_000))).toBe(true);
    await opened.release();
  }
});

describe('the cache of decrypted objects', () => {
  const lease = (...keys: string[]) => files.objects.lease(keys.map((key) => files.objects.localPath(`datasets/1/1/${key}`)));

  beforeEach(async () => {
    for (const name of ['a', 'b', 'c', 'd']) await publish(`datasets/1/1/${name}`, text(100_000));
  });

  test('ENC4 keeps what fits, and drops what was used longest ago', async () => {
    for (const name of ['a', 'b', 'c', 'a', 'd']) (await lease(name))();
    expect((await cached()).sort()).toEqual(['a', 'c', 'd']);
  });

  test('ENC4 never drops what is held, and refuses what there is no room for', async () => {
    const held = await lease('a', 'b', 'c');
    await expect(lease('d')).rejects.toMatchObject({ code: 'storage_full' });
    expect((await cached()).sort()).toEqual(['a', 'b', 'c']);
    held();
    held();
    (await lease('d'))();
    expect(await cached()).toHaveLength(3);
    await expect(publish('datasets/1/1/large', text(300_001)).then(() => lease('large'))).rejects.toMatchObject({ code: 'storage_full' });
  });

  test('ENC4 decrypts once however many ask, and counts what several take at once', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => lease('a')));
    const inode = (await stat(files.objects.localPath('datasets/1/1/a'))).ino;
    for (const release of many) release();
    (await lease('a'))();
    expect((await stat(files.objects.localPath('datasets/1/1/a'))).ino).toBe(inode);
    const settled = await Promise.allSettled([lease('a'), lease('b'), lease('c'), lease('d')]);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  test('ENC4 an object that is deleted while it is held goes when it is let go of', async () => {
    const release = await lease('a');
    await files.objects.delete(['datasets/1/1/a']);
    expect((await readFile(files.objects.localPath('datasets/1/1/a'))).length).toBe(100_000);
    release();
    expect(await cached()).toEqual([]);
    await expect(lease('a')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('ENC4 leases that come, go and are refused at random leave it consistent and within its bound', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const work = Array.from({ length: 200 }, async (_unused, index) => {
      for (let wait = 0; wait < index % 7; wait += 1) await new Promise((resolve) => setImmediate(resolve));
      const name = names[(index * 7) % 4] ?? 'a';
      const release = await lease(name).catch((error: { code: string }) => {
        expect(error.code).toBe('storage_full');
        return undefined;
      });
      if (release === undefined) return;
      expect((await readFile(files.objects.localPath(`datasets/1/1/${name}`))).length).toBe(100_000);
      release();
    });
    await Promise.all(work);
    expect((await cached()).length).toBeLessThanOrEqual(3);
    (await lease('a', 'b', 'c'))();
  });

  test('ENC4 is for its owner alone', async () => {
    (await lease('a'))();
    const path = files.objects.localPath('datasets/1/1/a');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  });
});

describe('the master key', () => {
  const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  let dataDir: string;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'covista-test-key-'));
  });

  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  test('ENC5 off, there is no key; on, it stays the same', async () => {
    expect(await openStoreKey(dataDir, [], log)).toBeUndefined();
    const key = await openStoreKey(dataDir, [first], log);
    expect(key).toHaveLength(32);
    expect(await openStoreKey(dataDir, [first], log)).toEqual(key);
    expect((await stat(join(dataDir, 'store-key.json'))).mode & 0o777).toBe(0o600);
  });

  test('ENC5 without it, or with another, nothing starts, and the message says which is missing', async () => {
    await openStoreKey(dataDir, [first], log);
    await expect(openStoreKey(dataDir, [], log)).rejects.toThrow(`the master key ${masterKeyId(first)}; set COVISTA_MASTER_KEY`);
    await expect(openStoreKey(dataDir, [second, third], log)).rejects.toThrow(masterKeyId(first));
    await expect(openStoreKey(dataDir, [second, third], log)).rejects.toThrow('COVISTA_MASTER_KEY_PREVIOUS');
  });

  test('ENC6 a new one takes over from a previous one, and the old one is of no use any more', async () => {
    const key = await openStoreKey(dataDir, [first], log);
    expect(await openStoreKey(dataDir, [second, third, first], log)).toEqual(key);
    expect(await openStoreKey(dataDir, [second], log)).toEqual(key);
    await expect(openStoreKey(dataDir, [first], log)).rejects.toThrow(masterKeyId(second));
    expect(await openStoreKey(dataDir, [first, second], log)).toEqual(key);
  });

  test('ENC6 several servers that start at once agree on one key', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => openStoreKey(dataDir, [first], log)));
    expect(new Set(keys.map((key) => Buffer.from(key ?? []).toString('hex'))).size).toBe(1);
    const rotated = await Promise.all(Array.from({ length: 8 }, () => openStoreKey(dataDir, [second, first], log)));
    expect(rotated).toEqual(keys);
    expect(await readdir(dataDir)).toEqual(['store-key.json']);
  });

  test('ENC5 a damaged key file is told apart from a wrong key', async () => {
    await openStoreKey(dataDir, [first], log);
    const path = join(dataDir, 'store-key.json');
    const stored = JSON.parse(await readFile(path, 'utf8')) as { wrapped: string };
    await writeFile(path, JSON.stringify({ ...stored, wrapped: Buffer.alloc(60).toString('base64') }));
    await expect(openStoreKey(dataDir, [first], log)).rejects.toThrow('is damaged');
    await writeFile(path, '{');
    await expect(openStoreKey(dataDir, [first], log)).rejects.toThrow('is damaged');
  });
});
