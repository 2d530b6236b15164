import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLog } from '../../server/shared/log.ts';
import { BackupDirectory } from '../../server/storage/backup/backup-directory.ts';
import { prune } from '../../server/storage/backup/keep.ts';
import { everything, onPlace, type Place, Places } from '../support/backups.ts';
import { csv } from '../support/samples.ts';
import { startTestServer } from '../support/server.ts';

/** An installation at rest: what is backed up of it is what is in its database. */
let installation: Place;
const places = new Places();

beforeAll(async () => {
  const server = await startTestServer();
  try {
    const alice = await server.client('alice');
    for (const name of ['Orders', 'Prices', 'Stock']) {
      const { datasetId } = await alice.dataset.create({ name, key: ['id'] });
      await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', `1,${name}`, '2,Chair') });
    }
    const directory = await places.directory();
    await onPlace(server, 'backup', directory);
    installation = await restored(directory);
  } finally {
    await server.stop();
  }
});

afterAll(() => places.remove());

async function restored(directory: string, ...flags: readonly string[]): Promise<Place> {
  const place = await places.empty();
  expect(await onPlace(place, 'restore', directory, ...flags)).toMatchObject({ status: 0 });
  return place;
}

async function backUp(directory: string, ...flags: readonly string[]): Promise<{ readonly name: string; readonly said: string }> {
  const { status, out, err } = await onPlace(installation, 'backup', directory, ...flags);
  expect({ status, err }).toMatchObject({ status: 0 });
  return { name: out.trim(), said: err };
}

/** Objects below a data directory or a directory of backups, by their keys. */
async function objectsOf(root: string): Promise<Map<string, string>> {
  const entries = await readdir(join(root, 'objects'), { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.sort().map((path) => [path.slice(join(root, 'objects').length + 1), path]));
}

const firstObjectOf = async (root: string): Promise<string> => [...(await objectsOf(root)).values()][0] ?? '';

async function flipByte(path: string): Promise<void> {
  const content = await readFile(path);
  const middle = content.length >> 1;
  content[middle] = (content[middle] ?? 0) ^ 1;
  await writeFile(path, content);
}

const listOf = async (directory: string, name: string): Promise<string> =>
  join(directory, 'pieces', `${(await new BackupDirectory(directory).readSnapshot(name)).objects.pieces[0]}.gz`);

async function expectWhole(directory: string, name: string): Promise<void> {
  expect((await onPlace(installation, 'verify', directory)).out).toContain(`${name} is whole\n`);
  const place = await restored(directory);
  expect(await everything(place.databaseUrl)).toEqual(await everything(installation.databaseUrl));
  expect(await onPlace(place, 'verify')).toMatchObject({ status: 0 });
}

test.each([
  [
    'objects are garbled, cut short and gone',
    async (directory: string) => {
      const [one = '', other = '', third = ''] = (await objectsOf(directory)).values();
      await flipByte(one);
      await truncate(other, 7);
      await rm(third);
    },
    'mended: object ',
  ],
  ['the list of objects is garbled', async (directory: string, name: string) => flipByte(await listOf(directory, name)), 'mended: piece '],
  ['the list of objects is gone', async (directory: string, name: string) => rm(await listOf(directory, name)), ' is damaged, and was passed over'],
  [
    'the description is garbled',
    (directory: string, name: string) => writeFile(join(directory, 'snapshots', `${name}.json`), '{"format": 1, "snap'),
    ' is damaged, and was passed over',
  ],
  [
    'every table is garbled',
    async (directory: string) => {
      for (const piece of await readdir(join(directory, 'pieces'))) await flipByte(join(directory, 'pieces', piece));
    },
    'mended: piece ',
  ],
])('BAK11 the next backup is whole where %s in the one before', async (_, damage, said) => {
  const directory = await places.directory();
  const before = await backUp(directory);
  await damage(directory, before.name);
  expect(await onPlace(installation, 'verify', directory)).toMatchObject({ status: 1, out: expect.stringContaining(before.name) });
  const next = await backUp(directory);
  expect(next.said).toContain(said);
  await expectWhole(directory, next.name);
});

test('BAK11 copies are read again in turn, as many bytes with each backup as the limit says', async () => {
  const directory = await places.directory();
  const little = ['--backup-recheck-bytes-max', '1'];
  await backUp(directory, ...little);
  const { size: objects } = await objectsOf(directory);
  expect(objects).toBeGreaterThan(2);
  const said = async (): Promise<boolean> => (await backUp(directory, ...little)).said.includes('mended: object ');
  for (let round = 0; round < 2; round += 1) {
    await flipByte(await firstObjectOf(directory));
    const found: boolean[] = [];
    for (let taken = 0; taken < objects; taken += 1) found.push(await said());
    expect(found.filter((isFound) => isFound)).toHaveLength(1);
  }
});

test('BAK11 what is damaged in the installation takes the place of nothing that is whole', async () => {
  const directory = await places.directory();
  await backUp(directory);
  const place = await restored(directory);
  const [key = '', path = ''] = [...(await objectsOf(place.dataDir))][0] ?? [];
  await truncate(path, 7);
  const copy = (await objectsOf(directory)).get(key) ?? '';
  const { size } = await stat(copy);
  const taken = await onPlace(place, 'backup', directory);
  expect(taken).toMatchObject({ status: 1, err: expect.stringContaining(`${key} is damaged, and whole in the backup`) });
  expect((await stat(copy)).size).toBe(size);
  await expectWhole(directory, taken.out.trim());
  expect(await onPlace(place, 'verify', '--from', directory)).toMatchObject({ status: 0 });
});

test('BAK5 verify mends backups by what the installation has', async () => {
  const directory = await places.directory();
  const { name } = await backUp(directory);
  const [one = '', other = ''] = (await objectsOf(directory)).values();
  await flipByte(one);
  await rm(other);
  expect(await onPlace(installation, 'verify', directory)).toMatchObject({ status: 1, out: `${name} has 2 problems\n` });
  const mended = await onPlace(installation, 'verify', directory, '--repair');
  expect(mended).toMatchObject({ status: 0, out: `${name} is whole\n` });
  expect(mended.err.match(/^mended: object /gm)).toHaveLength(2);
  await expectWhole(directory, name);
});

test('BAK11 nothing is removed that a damaged backup may need, until that is too old', async () => {
  const directory = await places.directory();
  const names: string[] = [];
  for (let taken = 0; taken < 3; taken += 1) names.push((await backUp(directory)).name);
  const [oldest = '', damaged = '', newest = ''] = names;
  await writeFile(join(directory, 'snapshots', `${damaged}.json`), '');
  await writeFile(join(directory, 'pieces', 'stray.gz'), '');
  const kept = new BackupDirectory(directory);
  const log = createLog('silent', false);
  const nowMs = Date.now();
  await prune(kept, { keepMs: 0, keepDailyMs: nowMs, nowMs }, log);
  expect(await kept.snapshotIds()).toEqual(names);
  await prune(kept, { keepMs: 0, keepDailyMs: nowMs, nowMs }, log);
  expect(oldest < damaged && damaged < newest).toBe(true);
  expect(await readdir(join(directory, 'pieces'))).toContain('stray.gz');
  await prune(kept, { keepMs: 0, keepDailyMs: 0, nowMs: nowMs + 1_000 }, log);
  expect(await kept.snapshotIds()).toEqual([newest]);
  expect(await readdir(join(directory, 'pieces'))).not.toContain('stray.gz');
  await expectWhole(directory, newest);
});

test('BAK11 nothing is removed that a backup with a damaged list may need', async () => {
  const directory = await places.directory();
  const { name } = await backUp(directory);
  await rm(await listOf(directory, name));
  const stray = join(directory, 'objects', 'stray');
  await writeFile(stray, '');
  await writeFile(join(directory, 'snapshots', '20200101t000000000z.json'), '');
  const kept = new BackupDirectory(directory);
  const keeping = { keepMs: 0, keepDailyMs: 0, nowMs: Date.now() };
  await prune(kept, keeping, createLog('silent', false));
  expect(await kept.snapshotIds()).toEqual([name]);
  expect((await stat(stray)).isFile()).toBe(true);
});
