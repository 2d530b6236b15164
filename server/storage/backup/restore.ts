import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import { present } from '../../shared/assert.ts';
import type { Logger } from '../../shared/log.ts';
import { bindDataDirectory } from '../files/deployment.ts';
import { loadMetadata } from '../postgres/metadata-load.ts';
import type { BackupDirectory } from './backup-directory.ts';
import { Copier, sizeOf } from './copier.ts';
import type { Snapshot } from './snapshot.ts';
import { SECRETS } from './take-backup.ts';

export interface RestoreOptions {
  readonly directory: BackupDirectory;
  readonly snapshot: Snapshot;
  /** Empty, but for a database of its own that was just made. */
  readonly dataDir: string;
  /** An empty database. */
  readonly databaseUrl: string;
  readonly log: Logger;
}

/**
 * Makes an installation of a backup: its files, and then its metadata in one transaction. The directory is tied to the database
 * of the backup first, so that no server starts on it before that transaction. Every byte is compared with what was kept.
 * `conflict` when something is there already. Answers with the objects that the backup has not, or has damaged.
 */
export async function restoreBackup(options: RestoreOptions): Promise<string[]> {
  const { dataDir, directory, snapshot } = options;
  await assertEmpty(dataDir);
  await bindDataDirectory(dataDir, snapshot.deploymentId);
  const damaged = await restoreObjects(directory, snapshot, dataDir);
  await restoreSecrets(directory, snapshot, dataDir);
  const { migrations, sequences, tables } = snapshot;
  const pieces = new Map(tables.map((table) => [table.name, table.pieces]));
  const rows = (table: string): AsyncIterable<string> => directory.pieces.read(present(pieces.get(table), `table ${table}`));
  await loadMetadata(options.databaseUrl, { migrations, sequences, tables, rows }, options.log);
  return [...new Set([...snapshot.damaged, ...damaged])];
}

/** Without an id the newest; `not_found` where there is none. */
export async function chooseBackup(directory: BackupDirectory, snapshotId: string | undefined): Promise<Snapshot> {
  const chosen = snapshotId === undefined ? await directory.latest() : await directory.readSnapshot(snapshotId);
  if (chosen === undefined) throw new CovistaError('not_found', `${directory.root} has no backup`);
  return chosen;
}

/** The cluster of an embedded PostgreSQL may be there: it is started first. */
async function assertEmpty(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const found = (await readdir(dataDir)).filter((name) => !name.startsWith('postgres'));
  if (found.length > 0)
    throw new CovistaError('conflict', `${dataDir} is not empty; restore into a directory that is`, { found: found.slice(0, 10) });
}

async function restoreObjects(directory: BackupDirectory, snapshot: Snapshot, dataDir: string): Promise<string[]> {
  const copier = new Copier(join(dataDir, 'objects'));
  const damaged: string[] = [];
  for await (const { name, bytes, sha256 } of directory.readObjects(snapshot)) {
    const from = directory.objectPath(name);
    if ((await sizeOf(from)) === undefined) {
      damaged.push(name);
      continue;
    }
    const copied = await copier.copy(from, name);
    if (copied.bytes !== bytes || copied.sha256 !== sha256) damaged.push(name);
  }
  await copier.sync();
  return damaged;
}

async function restoreSecrets(directory: BackupDirectory, { secrets }: Snapshot, dataDir: string): Promise<void> {
  for (const { name, piece } of secrets) {
    if (!(SECRETS as readonly string[]).includes(name))
      throw new CovistaError('unprocessable_data', `the backup has a file ${name} that it must not have`);
    for await (const line of directory.pieces.read([piece]))
      await writeFile(join(dataDir, name), Buffer.from(line, 'base64'), { mode: 0o600, flush: true });
  }
}
