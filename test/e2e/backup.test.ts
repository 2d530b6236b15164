import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../server/config.ts';
import { startServer } from '../../server/wiring/server.ts';
import { everything, onPlace, type Place, Places } from '../support/backups.ts';
import { runCli } from '../support/cli.ts';
import { query } from '../support/inspect.ts';
import { contradictions, orphans } from '../support/integrity.ts';
import { restClient } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
const places = new Places();

beforeAll(async () => {
  server = await startTestServer();
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main', message: 'Erste Fassung “ä”\n' }, { body: csv('id,name', '1,Desk', '2,Chair') });
  await alice.version.commit({ datasetId, branch: 'main', mode: 'append' }, { body: csv('id,name', '3,Lamp') });
  await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
  await alice.branch.create({ datasetId, name: 'experiment', from: 'main~1' });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: 'id > 1', columnMask: ['name'] });
  await alice.document.connect({ name: `dataset/${datasetId}` }, { onMessage: () => undefined });
  await alice.document.saveSnapshot({ name: `dataset/${datasetId}`, label: 'Before' });
});

afterAll(async () => {
  await server?.stop();
  await places.remove();
});

/** Commits to datasets of its own, and deletes some, until it is told to end; answers with how many commits there were. */
function keepBusy(subject: string): () => Promise<number> {
  let isOver = false;
  const work = async (): Promise<number> => {
    const client = await server.client(subject);
    let commits = 0;
    while (!isOver) {
      const { datasetId } = await client.dataset.create({ name: `Busy ${subject}` });
      for (let index = 0; index < 4; index += 1) {
        await client.version.commit({ datasetId, branch: 'main', mode: index === 0 ? 'replace' : 'append' }, { body: csv('id', String(commits++)) });
      }
      if (commits % 8 === 0) await client.dataset.delete({ datasetId });
    }
    return commits;
  };
  const working = work();
  return () => {
    isOver = true;
    return working;
  };
}

async function backUp(directory: string): Promise<{ readonly name: string; readonly said: string }> {
  const { status, out, err } = await onPlace(server, 'backup', directory);
  expect({ status, err }).toEqual({ status: 0, err: expect.stringMatching(/^\d+ files, /) });
  return { name: out.trim(), said: err };
}

/** Answers with what was in the database when it was backed up: a server that runs renews leases and writes audit entries meanwhile. */
async function backUpAtRest(directory: string): Promise<Record<string, unknown>> {
  for (;;) {
    const before = await everything(server.databaseUrl);
    await backUp(directory);
    if (isDeepStrictEqual(await everything(server.databaseUrl), before)) return before;
  }
}

async function restored(directory: string, ...flags: readonly string[]): Promise<Place> {
  const place = await places.empty();
  const { status, err } = await onPlace(place, 'restore', directory, ...flags);
  expect({ status, err }).toEqual({ status: 0, err: expect.stringMatching(/^\d+ files, \d+ bytes in [\d.]+ s; of \S+Z, [\d.]+ s before\.\n$/) });
  return place;
}

const objectsOf = async ({ dataDir }: Pick<Place, 'dataDir'>): Promise<string[]> =>
  (await readdir(join(dataDir, 'objects'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

test('BAK1 BAK3 what is restored has every row and every byte, and a server goes on with it', async () => {
  const directory = await places.directory();
  const before = await backUpAtRest(directory);
  const place = await restored(directory);
  expect(await everything(place.databaseUrl)).toEqual(before);
  const [from, to] = [await objectsOf(server), await objectsOf(place)];
  expect(to.map((path) => path.slice(place.dataDir.length))).toEqual(from.map((path) => path.slice(server.dataDir.length)));
  for (const [index, path] of from.entries()) expect(await readFile(to[index] ?? '')).toEqual(await readFile(path));
  const config = readConfig(['--port', '0', '--data-dir', place.dataDir, '--log-level', 'error'], {
    COVISTA_DATABASE_URL: place.databaseUrl,
    COVISTA_JWT_SECRET: 'test-secret-of-sufficient-length-0123456789',
  });
  const again = await startServer(config);
  try {
    const rest = restClient(again.url, await server.token('alice'));
    const { body: page } = await rest.get('/api/datasets/1/versions/2/preview');
    expect(page).toMatchObject({ rows: [{ id: 1 }, { id: 2 }, { id: 3 }] });
    const committed = await rest.send('POST', '/api/datasets/1/branches/main/commit', { body: csv('id,name', '9,New') });
    expect(committed.body).toMatchObject({ versionId: 3, parents: [2] });
  } finally {
    await again.stop();
  }
});

test('BAK4 what a backup before has already is not copied again', async () => {
  const directory = await places.directory();
  const first = await backUp(directory);
  expect(first.said).not.toContain('new were 0 files');
  expect((await backUp(directory)).said).toContain('new were 0 files, 0 bytes');
  // Of one that rests, not even the metadata are written again.
  const place = await restored(directory);
  expect((await onPlace(place, 'backup', directory)).status).toBe(0);
  const pieces = await readdir(join(directory, 'pieces'));
  expect((await onPlace(place, 'backup', directory)).status).toBe(0);
  expect(await readdir(join(directory, 'pieces'))).toEqual(pieces);
});

test('BAK5 verify finds what is missing or damaged, takes it from a backup, and makes right what follows from the rest', async () => {
  const directory = await places.directory();
  await backUp(directory);
  const place = await restored(directory);
  expect((await onPlace(place, 'verify')).status).toBe(0);
  const [one = '', other = ''] = await objectsOf(place);
  const content = await readFile(one);
  await rm(one);
  await writeFile(other, Buffer.concat([await readFile(other), Buffer.from('!')]));
  await query(place.databaseUrl, 'UPDATE versions SET rows = rows + 7 WHERE dataset_id = 1 AND version_id = 2');
  const found = await onPlace(place, 'verify');
  expect(found.status).toBe(1);
  for (const words of ['is missing', 'is damaged', 'counts other rows than its files have: version 2 of dataset 1'])
    expect(found.err).toContain(words);
  const mended = await onPlace(place, 'verify', '--repair', '--from', directory);
  expect({ status: mended.status, out: mended.out }).toEqual({ status: 0, out: expect.stringContaining('3 mended, 0 problems') });
  expect(await readFile(one)).toEqual(content);
  expect((await onPlace(place, 'verify')).out).toContain('0 mended, 0 problems');
  expect(await contradictions(place.databaseUrl, place.dataDir)).toEqual([]);
});

test('BAK5 verify reads backups and says what is wrong with which', async () => {
  const directory = await places.directory();
  const { name } = await backUp(directory);
  expect((await onPlace(server, 'verify', directory)).out).toBe(`${name} is whole\n`);
  const [object = ''] = await objectsOf({ dataDir: directory });
  await writeFile(object, 'something else');
  expect(await onPlace(server, 'verify', directory)).toMatchObject({ status: 1, err: expect.stringMatching(/object \S+ is damaged/) });
  const place = await places.empty();
  expect(await onPlace(place, 'restore', directory)).toMatchObject({ status: 1, err: expect.stringContaining('damaged in the backup') });
});

test('BAK5 a backup says what was damaged in the installation, and is taken all the same', async () => {
  const directory = await places.directory();
  await backUp(directory);
  const place = await restored(directory);
  const [object = '', away = ''] = await objectsOf(place);
  await writeFile(object, 'something else');
  await rename(away, `${place.dataDir}/away`);
  const taken = await onPlace(place, 'backup', await places.directory());
  expect(taken.status).toBe(1);
  expect(taken.err.match(/is missing or damaged/g)).toHaveLength(2);
  expect(taken.out).toMatch(/^\d{8}t\d{9}z\n$/);
});

test('BAK6 nothing is overwritten: neither an installation, nor the backups of another', async () => {
  const directory = await places.directory();
  await backUp(directory);
  expect(await onPlace(server, 'restore', directory)).toMatchObject({ status: 1, err: expect.stringContaining('is not empty') });
  const used = { ...(await places.empty()), databaseUrl: server.databaseUrl };
  expect(await onPlace(used, 'restore', directory)).toMatchObject({ status: 1, err: expect.stringContaining('is not empty') });
  const other = await restored(directory);
  await query(other.databaseUrl, 'UPDATE deployment SET id = gen_random_uuid()');
  expect(await onPlace(other, 'backup', directory)).toMatchObject({ status: 1, err: expect.stringContaining('another installation') });
  expect(await onPlace(await places.empty(), 'restore', await places.directory())).toMatchObject({
    status: 1,
    err: expect.stringContaining('no directory of backups'),
  });
});

test('BAK6 a backup that is not there is told before anything is made', async () => {
  const directory = await places.directory();
  await backUp(directory);
  const dataDir = join(await places.directory(), 'new');
  for (const asked of [[directory, '--backup', '20000101t000000000z'], [await places.directory()]]) {
    // The PostgreSQL of the directory itself, which would be made in it first.
    const refused = await runCli(['restore', ...asked, '--data-dir', dataDir, '--log-level', 'error', '--no-log-pretty']);
    expect(refused).toMatchObject({ status: 1, out: '', err: expect.stringContaining('not_found') });
    await expect(readdir(dataDir)).rejects.toThrow(/ENOENT/);
  }
});

test('BAK6 an installation that was restored by halves starts no server', async () => {
  const directory = await places.directory();
  const { name } = await backUp(directory);
  const path = join(directory, 'snapshots', `${name}.json`);
  const snapshot = JSON.parse(await readFile(path, 'utf8'));
  const broken = snapshot.tables.find(({ name: table }: { name: string }) => table === 'pointers');
  await rm(join(directory, 'pieces', `${broken.pieces[0]}.gz`));
  const place = await places.empty();
  expect(await onPlace(place, 'restore', directory)).toMatchObject({ status: 1, err: expect.stringContaining('cannot be read') });
  expect(await query(place.databaseUrl, 'SELECT dataset_id FROM datasets')).toEqual([]);
  await query(place.databaseUrl, 'UPDATE deployment SET id = gen_random_uuid()');
  const config = readConfig(['--port', '0', '--data-dir', place.dataDir, '--log-level', 'silent'], { COVISTA_DATABASE_URL: place.databaseUrl });
  await expect(startServer(config)).rejects.toThrow(/another database/);
});

test('BAK2 backups that are taken while commits and deletions go on are whole, each by itself', async () => {
  const directory = await places.directory();
  const ends = ['carol', 'dave'].map(keepBusy);
  const names: string[] = [];
  for (let taken = 0; taken < 3; taken += 1) names.push((await backUp(directory)).name);
  const commits = await Promise.all(ends.map((end) => end()));
  expect(Math.min(...commits)).toBeGreaterThan(0);
  for (const name of names) {
    const place = await restored(directory, '--backup', name);
    expect(await contradictions(place.databaseUrl, place.dataDir)).toEqual([]);
    expect(await orphans(place.databaseUrl, place.dataDir)).toEqual([]);
  }
});
