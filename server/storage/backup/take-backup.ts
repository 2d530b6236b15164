import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { objectPath } from '../files/object-files.ts';
import { joinAsBackup } from '../postgres/backup-reader.ts';
import { lockDirectory } from '../postgres/directory-lock.ts';
import { type KnownObject, type MetadataMoment, readMetadata, stillReferenced } from '../postgres/metadata-dump.ts';
import { BackupDirectory, type Copier, type Snapshot, type StoredObject, sizeOf } from './backup-directory.ts';
import { prune } from './keep.ts';

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
  readonly log: Logger;
}

export interface TakenBackup {
  readonly snapshot: Snapshot;
  /** What was not there from backups before. */
  readonly copied: { readonly objects: number; readonly bytes: number };
}

/** Files of the data directory without which its objects or its clients' tokens are of no use. */
export const SECRETS = ['token-secret', 'table-secret', 'schedule-secret', 'store-key.json'] as const;

const SEALED = '.sealed';
const ATTEMPTS_MAX = 5;

/** Objects of the moment were deleted before they were copied, together with what refers to them. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/**
 * Takes a backup beside a server that goes on working: the metadata of one moment, and then the files that it speaks of,
 * which never change, and which are kept from being deleted meanwhile. Where some are missing all the same, a later moment is taken. `conflict` when another backup into the directory is under
 * way, or the directory is that of another installation.
 */
export async function takeBackup(options: BackupOptions): Promise<TakenBackup> {
  const directory = new BackupDirectory(options.directory);
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const lock = await lockBackups(options.directory);
  try {
    await directory.prepare();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const taken = await holdingFiles(options, () => takeOnce(options, directory));
        await prune(directory, { ...options, nowMs: Date.now() });
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

async function lockBackups(directory: string): Promise<{ release(): Promise<void> }> {
  try {
    return await lockDirectory(join(directory, 'backup.lock'));
  } catch (cause) {
    // A failure of the file system has a code, and says itself what is wrong.
    if (cause instanceof Error && 'code' in cause) throw cause;
    throw new CovistaError('conflict', `another backup into ${directory} is under way`, {}, cause);
  }
}

async function takeOnce(options: BackupOptions, directory: BackupDirectory): Promise<TakenBackup> {
  const before = await directory.latest();
  const { metadata, known } = await readMetadata(options.databaseUrl, async (moment) => {
    if (before !== undefined && before.deploymentId !== moment.deploymentId)
      throw new CovistaError('conflict', `${options.directory} holds the backups of another installation; give another directory`);
    return { metadata: await copyMetadata(directory, moment), known: await directory.writePiece(linesOf(moment.objects())) };
  });
  const copied = await copyObjects(options, { directory, before, known: known.piece });
  const snapshotId = metadata.takenAt.toLowerCase().replaceAll(/[-:.]/g, '');
  const secrets = await copySecrets(options.dataDir, directory);
  const { objects, damaged, ...fresh } = copied;
  const snapshot: Snapshot = { format: 1, snapshotId, ...metadata, objects, secrets, damaged };
  await directory.writeSnapshot(snapshot);
  return { snapshot, copied: { objects: fresh.copiedObjects, bytes: fresh.copiedBytes } };
}

type Metadata = Pick<Snapshot, 'takenAt' | 'deploymentId' | 'migrations' | 'sequences' | 'tables'>;

async function copyMetadata(directory: BackupDirectory, moment: MetadataMoment): Promise<Metadata> {
  const { takenAt, deploymentId, migrations, sequences } = moment;
  const tables: Snapshot['tables'][number][] = [];
  for (const table of moment.tables) {
    const { piece, lines } = await directory.writePiece(moment.rows(table.name));
    tables.push({ ...table, rows: lines, piece });
  }
  return { takenAt, deploymentId, migrations, sequences, tables };
}

async function* linesOf(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield JSON.stringify(item);
}

interface Copying {
  readonly directory: BackupDirectory;
  readonly before: Snapshot | undefined;
  /** The piece that lists what the metadata speaks of. */
  readonly known: string;
}

interface Copied extends Pick<Snapshot, 'objects' | 'damaged'> {
  readonly copiedObjects: number;
  readonly copiedBytes: number;
}

async function copyObjects(options: BackupOptions, { directory, before, known }: Copying): Promise<Copied> {
  const earlier = new Map<string, StoredObject>();
  if (before !== undefined) for await (const object of directory.readObjects(before)) earlier.set(object.name, object);
  const sums = { bytes: 0, copiedObjects: 0, copiedBytes: 0 };
  const copier = directory.copier();
  const missing: string[] = [];
  const damaged: string[] = [];
  const copyEach = async function* (): AsyncGenerator<StoredObject> {
    for await (const line of directory.readPiece(known)) {
      const object = JSON.parse(line) as KnownObject;
      const found = await findStored(options.dataDir, object.objectKey);
      if (found === undefined) {
        missing.push(object.objectKey);
        continue;
      }
      const { stored, isNew } = await copyObject(found, { directory, copier, earlier });
      sums.bytes += stored.bytes;
      if (isNew) {
        sums.copiedObjects += 1;
        sums.copiedBytes += stored.bytes;
      }
      if (isDamaged(object, stored)) damaged.push(object.objectKey);
      yield stored;
    }
  };
  const { piece, lines } = await directory.writePiece(linesOf(copyEach()));
  await copier.sync();
  const referenced = missing.length === 0 ? new Set<string>() : await stillReferenced(options.databaseUrl, missing);
  if (missing.some((objectKey) => !referenced.has(objectKey))) throw new Overtaken('objects were deleted');
  const { copiedObjects, copiedBytes, bytes } = sums;
  return { objects: { piece, count: lines, bytes }, damaged: [...damaged, ...missing], copiedObjects, copiedBytes };
}

/** Of a sealed file only its reader with the key can tell whether it is what it was. */
const isDamaged = (object: KnownObject, stored: StoredObject): boolean =>
  !stored.name.endsWith(SEALED) && (stored.bytes !== object.bytes || stored.sha256 !== object.sha256);

interface Found {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
}

async function findStored(dataDir: string, objectKey: string): Promise<Found | undefined> {
  // Where there are both, it is the sealed one that is read.
  for (const name of [`${objectKey}${SEALED}`, objectKey]) {
    const path = objectPath(join(dataDir, 'objects'), name);
    const bytes = await sizeOf(path);
    if (bytes !== undefined) return { name, path, bytes };
  }
  return undefined;
}

interface Target {
  readonly directory: BackupDirectory;
  readonly copier: Copier;
  readonly earlier: ReadonlyMap<string, StoredObject>;
}

async function copyObject({ name, path, bytes }: Found, { directory, copier, earlier }: Target): Promise<{ stored: StoredObject; isNew: boolean }> {
  const known = earlier.get(name);
  if (known?.bytes === bytes && (await directory.hasObject(known))) return { stored: known, isNew: false };
  try {
    return { stored: { name, ...(await copier.copy(path, name)) }, isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Overtaken('an object was deleted', { cause: error });
    throw error;
  }
}

async function copySecrets(dataDir: string, directory: BackupDirectory): Promise<Snapshot['secrets']> {
  const secrets: Snapshot['secrets'][number][] = [];
  for (const name of SECRETS) {
    const path = join(dataDir, name);
    if ((await sizeOf(path)) === undefined) continue;
    const { piece } = await directory.writePiece([(await readFile(path)).toString('base64')]);
    secrets.push({ name, piece });
  }
  return secrets;
}
