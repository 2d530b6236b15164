import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import { checkMetadata } from '../postgres/metadata-check.ts';
import { type KnownObject, readMetadata, stillReferenced } from '../postgres/metadata-dump.ts';
import type { ObjectStore } from '../stores.ts';
import { BackupDirectory } from './backup-directory.ts';
import { Copier } from './copier.ts';
import { unlessDamaged } from './damage.ts';
import type { StoredObject } from './snapshot.ts';

export interface VerifyOptions {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly objects: Pick<ObjectStore, 'read' | 'list'>;
  /** Whether what follows from the rest is made right again. */
  readonly mend: boolean;
  /** A directory of backups from which missing and damaged files are taken. */
  readonly from: string | undefined;
}

export interface Verification {
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly string[];
  readonly mended: readonly string[];
  /** Objects that nothing refers to: of a commit that is under way, or for housekeeping to remove. */
  readonly strays: number;
}

/** Compares every file with its hash and every reference with what it refers to. May run beside a server. */
export async function verifyInstallation(options: VerifyOptions): Promise<Verification> {
  const known = await knownObjects(options.databaseUrl);
  const metadata = await checkMetadata(options.databaseUrl, options.mend);
  const problems = metadata.filter(({ isMended }) => !isMended).map(({ what, at }) => `${what}: ${at}`);
  const mended = metadata.filter(({ isMended }) => isMended).map(({ what, at }) => `${what}: ${at}`);
  const spare = options.from === undefined ? undefined : await openSpare(options.from);
  for (const { object, problem } of await problemsOf(known, options)) {
    const isReplaced = spare !== undefined && (await replace(object, spare, options));
    (isReplaced ? mended : problems).push(`object ${object.objectKey} ${problem}`);
  }
  const keys = new Set(known.map(({ objectKey }) => objectKey));
  let strays = 0;
  for await (const { objectKey } of options.objects.list('datasets')) if (!keys.has(objectKey)) strays += 1;
  return { objects: known.length, bytes: known.reduce((sum, { bytes }) => sum + bytes, 0), problems, mended, strays };
}

function knownObjects(databaseUrl: string): Promise<KnownObject[]> {
  return readMetadata(databaseUrl, async (moment) => {
    const known: KnownObject[] = [];
    for await (const object of moment.objects()) known.push(object);
    return known;
  });
}

interface Problem {
  readonly object: KnownObject;
  readonly problem: string;
}

/** Objects that something is wrong with. What a server beside has removed meanwhile, with all that spoke of it, is no problem. */
async function problemsOf(known: readonly KnownObject[], { objects, databaseUrl }: VerifyOptions): Promise<Problem[]> {
  const found: Problem[] = [];
  for (const object of known) {
    const problem = await problemOf(object, objects);
    if (problem !== undefined) found.push({ object, problem });
  }
  if (found.length === 0) return found;
  const referenced = await stillReferenced(
    databaseUrl,
    found.map(({ object }) => object.objectKey),
  );
  return found.filter(({ object }) => referenced.has(object.objectKey));
}

/** What is wrong with an object as its reader sees it; undefined: nothing. */
async function problemOf({ objectKey, bytes, sha256 }: KnownObject, objects: VerifyOptions['objects']): Promise<string | undefined> {
  const hash = createHash('sha256');
  let read = 0;
  try {
    for await (const chunk of objects.read(objectKey)) {
      hash.update(chunk);
      read += chunk.length;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'is missing';
    if (error instanceof CovistaError) return `cannot be read: ${error.message}`;
    throw error;
  }
  return read === bytes && hash.digest('hex') === sha256 ? undefined : 'is damaged';
}

interface Spare {
  readonly directory: BackupDirectory;
  readonly objects: ReadonlyMap<string, StoredObject>;
}

/** Everything that some backup of the directory has. */
async function openSpare(path: string): Promise<Spare> {
  const directory = new BackupDirectory(path);
  const objects = new Map<string, StoredObject>();
  // Of a damaged list the lines that can be read are as good as others: what they name is compared with its hash.
  for (const snapshotId of await directory.snapshotIds())
    await unlessDamaged(async () => {
      for await (const object of directory.readObjects(await directory.readSnapshot(snapshotId))) objects.set(object.name, object);
      return {};
    });
  return { directory, objects };
}

/** Puts the copy of a backup in the place of an object, if it is what the metadata says. */
async function replace(object: KnownObject, { directory, objects }: Spare, options: VerifyOptions): Promise<boolean> {
  const copier = new Copier(join(options.dataDir, 'objects'));
  for (const name of [object.objectKey, `${object.objectKey}.sealed`]) {
    const kept = objects.get(name);
    if (kept === undefined || !(await directory.isObjectWhole(kept))) continue;
    await copier.copy(directory.objectPath(name), name);
    await copier.sync();
    return (await problemOf(object, options.objects)) === undefined;
  }
  return false;
}
