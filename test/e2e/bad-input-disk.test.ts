import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { filesOf, footprint } from '../support/inspect.ts';
import { type ProcessServer, prepareProcessServer, type ServerProcess, temporaryDirectory } from '../support/process-server.ts';
import type { Rest } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

/** A data directory on which a server runs out of room, and the command to start that server with. */
interface Disk {
  readonly dataDir: string;
  readonly wrapper: readonly string[];
  /** No file of so many bytes can be stored. */
  readonly bytes: number;
  /** Whether all files together are bounded, and not only each. */
  readonly isWhole: boolean;
  remove(): Promise<void>;
}

const MiB = 1024 * 1024;

/** Ends no process that writes too much, and bounds what it writes, in units of 1,024 bytes. */
const WITH_SMALL_FILES = ['bash', '-c', 'trap \'\' XFSZ; ulimit -f 8192; exec "$@"', 'bash'];

async function smallFiles(): Promise<Disk> {
  const dataDir = await temporaryDirectory();
  return { dataDir, wrapper: WITH_SMALL_FILES, bytes: 8 * MiB, isWhole: false, remove: () => rm(dataDir, { recursive: true, force: true }) };
}

/** Where nothing can be mounted, files that cannot grow take the place of a full disk. */
async function fullDisk(): Promise<Disk> {
  const mounted = await mountSmallDisk(16 * MiB);
  if (mounted === undefined) return smallFiles();
  return { dataDir: mounted.directory, wrapper: [], bytes: 16 * MiB, isWhole: true, remove: () => mounted.close() };
}

const DISKS: Readonly<Record<string, () => Promise<Disk>>> = { 'a full disk': fullDisk, 'a process whose files cannot grow': smallFiles };

/** A line for each number. */
function lines(header: string, count: number, lineOf: (number: number) => string): Uint8Array {
  return new TextEncoder().encode(`${header}\n${Array.from({ length: count }, (_, number) => `${lineOf(number)}\n`).join('')}`);
}

/** Rows that nothing makes much smaller. */
function noise(bytes: number): Uint8Array {
  return lines('id,noise', Math.ceil(bytes / 1_000), (id) => `${id},${randomBytes(740).toString('base64')}`);
}

describe.each(Object.entries(DISKS))('%s', (_, createDisk) => {
  let disk: Disk;
  let database: TestDatabase;
  let server: ProcessServer;
  let run: ServerProcess;
  let alice: Client;
  let rest: Rest;
  let datasetId: number;

  beforeAll(async () => {
    disk = await createDisk();
    database = await createEmptyDatabase();
    const { dataDir, wrapper } = disk;
    server = await prepareProcessServer({ dataDir, wrapper, environment: { COVISTA_DATABASE_URL: database.url } });
    run = await server.start();
    [alice, rest] = await Promise.all([server.client('alice'), server.rest('alice')]);
  });

  afterAll(async () => {
    await server?.dispose();
    await database?.drop();
    await disk?.remove();
  });

  beforeEach(async () => {
    ({ datasetId } = await alice.dataset.create({ name: 'Full' }));
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  });

  const FULL = { code: 'storage_full' };
  const now = () => footprint({ databaseUrl: database.url, dataDir: disk.dataDir });

  async function expectServing(): Promise<void> {
    const { versionId } = await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1', '2') });
    expect((await alice.version.preview({ datasetId, versionId })).rows).toEqual([{ id: 1 }, { id: 2 }]);
    expect(run.log()).not.toContain('met a fault');
  }

  test('refuses a commit whose bytes do not fit, over both doors, and leaves nothing of it', async () => {
    const before = await now();
    const body = noise(disk.bytes * 1.2);
    await expect(alice.version.commit({ datasetId, branch: 'main' }, { body })).rejects.toMatchObject(FULL);
    const answer = await rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body });
    expect(answer).toMatchObject({ status: 507, body: { error: FULL } });
    expect(await now()).toEqual(before);
    await expectServing();
  });

  test('refuses a commit whose bytes fit and whose expansion does not', async () => {
    const before = await now();
    const body = gzipSync(lines('id', 6_000_000, () => '1234567'));
    await expect(alice.version.commit({ datasetId, branch: 'main' }, { body })).rejects.toMatchObject(FULL);
    expect(await now()).toEqual(before);
    await expect(alice.upload.file(body, { datasetId, branch: 'main' })).rejects.toMatchObject(FULL);
    expect((await now()).files).toEqual(before.files);
    await expectServing();
  });

  test('refuses a commit whose bytes fit and whose rows do not fit beside them', async () => {
    const before = await now();
    const body = noise(disk.bytes * 0.7);
    const commit = alice.version.commit({ datasetId, branch: 'main' }, { body });
    if (disk.isWhole) {
      await expect(commit).rejects.toMatchObject(FULL);
      expect(await now()).toEqual(before);
    } else expect(await commit).toMatchObject({ conversion: { status: 'complete' } });
    await expectServing();
  });

  test('refuses a chunk that does not fit, and the upload goes on when there is room', async () => {
    const { uploadId } = await alice.upload.begin({ bytes: disk.bytes * 2 });
    const chunk = noise(4_000_000);
    let offset = 0;
    const fill = async (): Promise<never> => {
      for (;;) ({ offset } = await alice.upload.write({ uploadId, offset }, { body: chunk }));
    };
    await expect(fill()).rejects.toMatchObject(FULL);
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset });
    await alice.upload.abort({ uploadId });
    expect((await filesOf(disk.dataDir)).filter((file) => !file.startsWith('objects/'))).toEqual([]);
    await expectServing();
  });

  test('refuses an export that does not fit, and serves the version in another form', async () => {
    const body = await parquetOf("SELECT range AS id, 'the same long text again and again and again' AS text FROM range(600_000)");
    const { versionId, rows } = await alice.version.commit({ datasetId, branch: 'large' }, { body });
    const before = await filesOf(disk.dataDir);
    await expect(alice.version.fetch({ datasetId, versionId, format: 'ndjson' })).rejects.toMatchObject(FULL);
    expect(await rest.get(`/api/datasets/${datasetId}/versions/${versionId}/download?format=csv`)).toMatchObject({
      status: 507,
      body: { error: FULL },
    });
    expect(await filesOf(disk.dataDir)).toEqual(before);
    const original = await alice.version.fetch({ datasetId, versionId, format: 'original' });
    expect((await original.toBytes()).length).toBe(body.length);
    expect((await alice.version.preview({ datasetId, versionId, endRow: 1 })).totalRows).toBe(rows);
    await expectServing();
  });
});

async function parquetOf(select: string): Promise<Uint8Array> {
  const directory = await temporaryDirectory();
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run(`COPY (${select}) TO '${join(directory, 'made.parquet')}' (FORMAT parquet, COMPRESSION zstd)`);
    return new Uint8Array(await readFile(join(directory, 'made.parquet')));
  } finally {
    connection.closeSync();
    instance.closeSync();
    await rm(directory, { recursive: true });
  }
}
