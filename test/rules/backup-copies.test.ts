import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Copier, hashOfCopy } from '../../server/storage/backup/copier.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-copies-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test.each([0, 1, 256 * 1024, 3 * 1024 * 1024 + 1])('BAK1 a copy of %i bytes is told by their hash, and is for its owner alone', async (bytes) => {
  const content = randomBytes(bytes);
  const from = join(directory, 'from');
  await writeFile(from, content);
  await chmod(from, 0o644);
  const copier = new Copier(join(directory, 'objects'));
  const sha256 = createHash('sha256').update(content).digest('hex');
  expect(await copier.copy(from, 'datasets/1/file')).toEqual({ bytes, sha256 });
  await copier.sync();
  const to = join(directory, 'objects/datasets/1/file');
  expect((await readFile(to)).equals(content)).toBe(true);
  expect((await stat(to)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(directory, 'objects/datasets/1'))).toEqual(['file']);
});

test('BAK1 of a file that is not there nothing is left', async () => {
  const copier = new Copier(join(directory, 'objects'));
  await expect(copier.copy(join(directory, 'gone'), 'datasets/1/file')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(join(directory, 'objects/datasets/1'))).toEqual([]);
});

test('BAK11 a copy that the system cannot read is none, and whoever ends the backup meanwhile is told so', async () => {
  // A directory can be looked at and not be read, as a file in a bad sector.
  expect(await hashOfCopy(directory)).toBeUndefined();
  const signal = AbortSignal.abort(new Error('the server stops'));
  await expect(hashOfCopy(directory, { signal })).rejects.toThrow('the server stops');
});
