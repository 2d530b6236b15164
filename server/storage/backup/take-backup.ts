import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { present } from '../../shared/assert.ts';
import type { Logger } from '../../shared/log.ts';
import { joinAsBackup } from '../postgres/backup-reader.ts';
import { type MetadataMoment, readMetadata } from '../postgres/metadata-dump.ts';
import { BackupDirectory, jsonLines } from './backup-directory.ts';
import { sizeOf } from './copier.ts';
import { copyObjects, Overtaken } from './copy-objects.ts';
import { prune } from './keep.ts';
import { lockBackups } from './lock.ts';
import { idOfMoment, SNAPSHOT_FORMAT, type Snapshot, type StoredObject } from './snapshot.ts';

export interface BackupOptions {
  /** The installation: its files, and the database that goes with them. */
  readonly dataDir: string;
  readonly databaseUrl: string;
  /** Where backups are kept; made when it is not there. */
  readonly directory: string;
  /** Every backup of this long is kept, and of the time before that one a day. */
  readonly keepMs: number;
  readonly keepDailyMs: number;
  /** A backup that was not heard of for so long holds no files any more. */
  readonly leaseMs: number;
  /** Of the copies that are there, so many bytes are read again. */
  readonly recheckBytesMax: number;
  readonly log: Logger;
  /** Ends it when aborted: no backup comes of it, and the next one goes on from the files that it copied. */
  readonly signal?: AbortSignal;
}

export const backupLimits = (limits: Limits): Pick<BackupOptions, 'keepMs' | 'keepDailyMs' | 'leaseMs' | 'recheckBytesMax'> => ({
  keepMs: limits.backupKeepMs,
  keepDailyMs: limits.backupKeepDailyMs,
  leaseMs: limits.fileReaderLeaseMs,
  recheckBytesMax: limits.backupRecheckBytesMax,
});

export interface TakenBackup {
  readonly snapshot: Snapshot;
  /** What was not there from backups before. */
  readonly copied: { readonly objects: number; readonly bytes: number };
  /** Objects that the installation has damaged, while the backup has them whole. */
  readonly damagedAtSource: readonly string[];
  /** What was damaged in the directory and is whole again. */
  readonly mended: readonly string[];
  /** Newer backups than the one that this one builds on, whose descriptions are damaged. */
  readonly unreadable: readonly string[];
}

/** Files of the data directory without which its objects or its clients' tokens are of no use. */
export const SECRETS = ['token-secret', 'table-secret', 'schedule-secret', 'store-key.json'] as const;

const ATTEMPTS_MAX = 5;

/**
 * Takes a backup beside a server that goes on working: the metadata of one moment, and then the files that it speaks of,
 * which never change, and which are kept from being deleted meanwhile. Where some are missing all the same, a later moment is taken. `conflict` when another backup into the directory is under
 * way, or the directory is that of another installation.
 */
export async function takeBackup(options: BackupOptions): Promise<TakenBackup> {
  const directory = new BackupDirectory(options.directory, options.signal);
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const lock = await lockBackups(options.directory);
  try {
    await directory.prepare();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const taken = await holdingFiles(options, () => takeOnce(options, directory));
        await prune(directory, { ...options, nowMs: Date.now() }, options.log);
        return taken;
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error;
        if (attempt === ATTEMPTS_MAX)
          throw new CovistaError('unavailable', 'datasets kept being deleted while they were copied; try again', {}, error);
        options.log.info({ attempt }, 'a dataset was deleted while it was copied; the backup begins again');
      }
    }
  } finally {
    await lock.release();
  }
}

/** No file that the moment speaks of is deleted before it is copied. */
async function holdingFiles<Result>({ databaseUrl, leaseMs, log }: BackupOptions, work: () => Promise<Result>): Promise<Result> {
  const reader = await joinAsBackup(databaseUrl, leaseMs, log);
  try {
    return await work();
  } finally {
    await reader.leave();
  }
}

interface Former {
  readonly snapshot: Snapshot;
  readonly objects: ReadonlyMap<string, StoredObject>;
}

/** The backup to go on from. Damaged ones are passed over: what they say of objects would be in the next one as well. */
async function formerOf(
  directory: BackupDirectory,
  { log }: BackupOptions,
): Promise<{ readonly former?: Former; readonly unreadable: readonly string[] }> {
  const { found, damaged } = await directory.newestWhole(async (snapshot) => {
    const objects = new Map<string, StoredObject>();
    for await (const object of directory.readObjects(snapshot)) objects.set(object.name, object);
    return { snapshot, objects };
  });
  if (damaged.length > 0) log.warn({ backups: damaged }, 'descriptions of backups are damaged; the next one does without them');
  return { ...(found === undefined ? {} : { former: found }), unreadable: damaged };
}

async function takeOnce(options: BackupOptions, directory: BackupDirectory): Promise<TakenBackup> {
  const { former, unreadable } = await formerOf(directory, options);
  const { metadata, known } = await readMetadata(options.databaseUrl, async (moment) => {
    if (former !== undefined && former.snapshot.deploymentId !== moment.deploymentId)
      throw new CovistaError('conflict', `${options.directory} holds the backups of another installation; give another directory`);
    return { metadata: await copyMetadata(directory, moment), known: await directory.pieces.write(jsonLines(moment.objects())) };
  });
  const { dataDir, databaseUrl, recheckBytesMax } = options;
  const { checkedTo } = former?.snapshot ?? {};
  const copied = await copyObjects({
    dataDir,
    databaseUrl,
    directory,
    former: former?.objects ?? new Map(),
    known: known.pieces,
    checkedTo,
    recheckBytesMax,
  });
  const secrets = await copySecrets(dataDir, directory);
  const { objects, damaged, damagedAtSource, fresh } = copied;
  const snapshotId = idOfMoment(metadata.takenAt);
  const snapshot: Snapshot = { format: SNAPSHOT_FORMAT, snapshotId, ...metadata, objects, secrets, damaged, checkedTo: copied.checkedTo };
  await directory.writeSnapshot(snapshot);
  const { mended } = directory;
  if (mended.length > 0) options.log.warn({ mended: mended.slice(0, 20), count: mended.length }, 'damage in the directory of backups was mended');
  return { snapshot, copied: fresh, damagedAtSource, mended, unreadable };
}

type Metadata = Pick<Snapshot, 'takenAt' | 'deploymentId' | 'migrations' | 'sequences' | 'tables'>;

async function copyMetadata(directory: BackupDirectory, moment: MetadataMoment): Promise<Metadata> {
  const { takenAt, deploymentId, migrations, sequences } = moment;
  const tables: Snapshot['tables'][number][] = [];
  for (const table of moment.tables) {
    const { pieces, lines } = await directory.pieces.write(moment.rows(table.name));
    tables.push({ ...table, rows: lines, pieces });
  }
  return { takenAt, deploymentId, migrations, sequences, tables };
}

async function copySecrets(dataDir: string, directory: BackupDirectory): Promise<Snapshot['secrets']> {
  const secrets: Snapshot['secrets'][number][] = [];
  for (const name of SECRETS) {
    const path = join(dataDir, name);
    if ((await sizeOf(path)) === undefined) continue;
    const { pieces } = await directory.pieces.write([(await readFile(path)).toString('base64')]);
    secrets.push({ name, piece: present(pieces[0], 'the piece of a secret') });
  }
  return secrets;
}
