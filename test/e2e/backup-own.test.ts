import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import { backupLimits, takeBackup } from '../../server/storage/backup/take-backup.ts';
import { onPlace, Places } from '../support/backups.ts';
import { runCli } from '../support/cli.ts';
import { isFoundBelow } from '../support/files.ts';
import { prepareProcessServer, temporaryDirectory } from '../support/process-server.ts';
import { csv } from '../support/samples.ts';
import { startTestServer } from '../support/server.ts';

const places = new Places();
afterAll(() => places.remove());

const QUIET = ['--log-level', 'error', '--no-log-pretty'];

test('BAK3 a server with a PostgreSQL of its own is backed up while it runs, and restored with another', async () => {
  const server = await prepareProcessServer();
  const [directory, dataDir] = [await temporaryDirectory(), await temporaryDirectory()];
  const again = await prepareProcessServer({ dataDir });
  try {
    await server.start();
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Own' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1', '2') });
    const taken = await runCli(['backup', directory, '--verify', '--data-dir', server.dataDir, ...QUIET]);
    expect(taken).toMatchObject({ status: 0, out: expect.stringMatching(/^\d{8}t\d{9}z\n$/) });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '3') });
    expect(await runCli(['restore', directory, '--data-dir', dataDir, ...QUIET])).toMatchObject({ status: 0, out: taken.out });
    await again.start();
    const page = await (await again.client('alice')).version.preview({ datasetId, versionId: 1 });
    expect(page.rows).toEqual([{ id: 1 }, { id: 2 }]);
  } finally {
    await again.dispose();
    await server.dispose();
    places.take(directory, dataDir);
  }
});

test('BAK3 what is encrypted is encrypted in the backup, and read again with the same master key', async () => {
  const masterKey = randomBytes(32).toString('base64');
  const server = await startTestServer(['--master-key', masterKey]);
  try {
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Sealed' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('secret', ...Array.from({ length: 1_000 }, () => 'only-with-the-key')) });
    const directory = await places.directory();
    expect((await onPlace(server, 'backup', directory, '--master-key', masterKey)).status).toBe(0);
    expect(await isFoundBelow(join(directory, 'objects'), 'only-with-the-key')).toEqual([]);
    const place = await places.empty();
    expect((await onPlace(place, 'restore', directory)).status).toBe(0);
    expect((await onPlace(place, 'verify', '--master-key', masterKey)).out).toContain('0 problems');
    const wrong = await onPlace(place, 'verify', '--master-key', randomBytes(32).toString('base64'));
    expect(wrong).toMatchObject({ status: 1, err: expect.stringContaining('is encrypted with the master key') });
  } finally {
    await server.stop();
  }
});

test('BAK7 a server with a directory of backups takes one when it starts, and none while the newest is new', async () => {
  const directory = await places.directory();
  const server = await startTestServer(['--backup-dir', directory]);
  try {
    const snapshots = async (): Promise<number> => (await readdir(join(directory, 'snapshots'))).filter((name) => name.endsWith('.json')).length;
    await expect.poll(snapshots, { timeout: 30_000 }).toBe(1);
    await server.restart();
    await server.restart();
    expect(await snapshots()).toBe(1);
  } finally {
    await server.stop();
  }
});

test.each([
  ['that others can reach', ['--trusted-proxy', '127.0.0.1'], expect.stringContaining('COVISTA_BACKUP_DIR is not set')],
  ['of this machine alone', [], ''],
])('BAK7 of a server %s that takes no backups, its log says so when it starts, or nothing', async (_where, flags, expected) => {
  const server = await prepareProcessServer({ flags: ['--log-level', 'warn', ...flags] });
  try {
    const run = await server.start();
    expect(run.log()).toEqual(expected);
  } finally {
    await server.dispose();
  }
});

test('BAK12 a backup that is ended leaves the directory as it was or with a whole one, and the next goes on from its files', async () => {
  const server = await startTestServer();
  try {
    const alice = await server.client('alice');
    for (const name of ['Orders', 'Prices', 'Stock']) {
      const { datasetId } = await alice.dataset.create({ name });
      await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1', '2') });
    }
    const directory = await places.directory();
    const { dataDir, databaseUrl } = server;
    const taking = { ...backupLimits(resolveLimits()), dataDir, databaseUrl, directory, log: createLog('silent', false) };
    const files = (): Promise<string[]> => readdir(directory, { recursive: true });
    /** Files that an ended one copied: which ones they are tells whether they were written again. */
    const copied = new Map<string, number>();
    let ended = 0;
    // Whatever it is about when it hears of the end: the next try is ended somewhat later.
    for (let turns = 0; ; turns = Math.ceil(turns * 1.5) + 1) {
      const controller = new AbortController();
      const outcome = takeBackup({ ...taking, signal: controller.signal }).catch((error: Error) => error.name);
      for (let turn = 0; turn < turns; turn += 1) await setImmediate();
      controller.abort();
      if ((await outcome) !== 'AbortError') break;
      ended += 1;
      expect((await files()).filter((name) => name.endsWith('.part') || name.endsWith('.json'))).toEqual([]);
      for (const name of (await files()).filter((found) => found.startsWith('objects/') && found.includes('.')))
        copied.set(name, copied.get(name) ?? (await stat(join(directory, name))).ino);
    }
    expect(ended).toBeGreaterThan(5);
    for (const [name, inode] of copied) expect([name, (await stat(join(directory, name))).ino]).toEqual([name, inode]);
    expect(await onPlace(server, 'backup', directory)).toMatchObject({ status: 0, err: expect.stringContaining('new were 0 files') });
    expect(await onPlace(server, 'verify', directory)).toMatchObject({ status: 0 });
  } finally {
    await server.stop();
  }
});
