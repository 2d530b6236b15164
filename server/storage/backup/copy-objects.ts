import { join } from 'node:path';
import { objectPath } from '../files/object-files.ts';
import { plainSize } from '../files/sealed.ts';
import { type KnownObject, stillReferenced } from '../postgres/metadata-dump.ts';
import { type BackupDirectory, jsonLines } from './backup-directory.ts';
import { type Copier, sizeOf } from './copier.ts';
import type { Snapshot, StoredObject } from './snapshot.ts';

/** Objects of the moment were deleted before they were copied, together with what refers to them. */
export class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

export interface Copying {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly directory: BackupDirectory;
  /** What a backup before has, by its name. */
  readonly former: ReadonlyMap<string, StoredObject>;
  /** The pieces that list what the metadata speaks of. */
  readonly known: readonly string[];
  /** The last object of which a backup before read the copy again; undefined: the last of all. */
  readonly checkedTo: string | undefined;
  /** Copies of at least so many bytes are read again, as far as there are so many. */
  readonly recheckBytesMax: number;
}

interface Copied extends Pick<Snapshot, 'objects' | 'damaged' | 'checkedTo'> {
  /** Objects that the installation has damaged, while the backup has them whole. */
  readonly damagedAtSource: readonly string[];
  /** What was not there from backups before. */
  readonly fresh: { readonly objects: number; readonly bytes: number };
}

/** Copies what the metadata speaks of, unless a backup before has it. */
export async function copyObjects(copying: Copying): Promise<Copied> {
  const { directory, dataDir } = copying;
  const target: Target = { ...copying, copier: directory.copier(), recheck: new Recheck(copying) };
  const sums = { bytes: 0, freshObjects: 0, freshBytes: 0 };
  const missing: string[] = [];
  const damaged: string[] = [];
  const damagedAtSource: string[] = [];
  const copyEach = async function* (): AsyncGenerator<StoredObject> {
    for await (const line of directory.pieces.read(copying.known)) {
      const object = JSON.parse(line) as KnownObject;
      const found = await findStored(dataDir, object.objectKey);
      if (found === undefined) {
        missing.push(object.objectKey);
        continue;
      }
      const { stored, isNew } = await copyObject(object, found, target);
      sums.bytes += stored.bytes;
      if (isNew) {
        sums.freshObjects += 1;
        sums.freshBytes += stored.bytes;
      }
      if (!isPlausible(object, stored)) damaged.push(object.objectKey);
      else if (stored.bytes !== found.bytes) damagedAtSource.push(object.objectKey);
      yield stored;
    }
  };
  const { pieces, lines } = await directory.pieces.write(jsonLines(copyEach()));
  await target.copier.sync();
  const referenced = missing.length === 0 ? new Set<string>() : await stillReferenced(copying.databaseUrl, missing);
  if (missing.some((objectKey) => !referenced.has(objectKey))) throw new Overtaken('objects were deleted');
  return {
    objects: { pieces, count: lines, bytes: sums.bytes },
    damaged: [...damaged, ...missing],
    damagedAtSource,
    checkedTo: target.recheck.checkedTo,
    fresh: { objects: sums.freshObjects, bytes: sums.freshBytes },
  };
}

/** Which copies of before are read again: in the order of their keys, some with every backup, and from the first when there are no more. */
class Recheck {
  readonly #after: string;
  #bytesLeft: number;
  #last: string | undefined;

  constructor({ checkedTo = '', recheckBytesMax }: Pick<Copying, 'checkedTo' | 'recheckBytesMax'>) {
    this.#after = checkedTo;
    this.#bytesLeft = recheckBytesMax;
  }

  get checkedTo(): string | undefined {
    return this.#bytesLeft > 0 ? undefined : this.#last;
  }

  isDue({ objectKey, bytes }: KnownObject): boolean {
    if (this.#bytesLeft <= 0 || objectKey <= this.#after) return false;
    this.#bytesLeft -= bytes;
    this.#last = objectKey;
    return true;
  }
}

const SEALED = '.sealed';

/** Whether a copy may be what the metadata says. Of a sealed file only its reader with the key can tell for certain. */
const isPlausible = ({ bytes, sha256 }: KnownObject, stored: StoredObject): boolean =>
  stored.name.endsWith(SEALED) ? plainSize(stored.bytes).bytes === bytes : stored.bytes === bytes && stored.sha256 === sha256;

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

interface Target extends Pick<Copying, 'directory' | 'former'> {
  readonly copier: Copier;
  readonly recheck: Recheck;
}

async function copyObject(
  object: KnownObject,
  { name, path, bytes }: Found,
  { directory, former, copier, recheck }: Target,
): Promise<{ readonly stored: StoredObject; readonly isNew: boolean }> {
  const known = former.get(name);
  if (known !== undefined && isPlausible(object, known)) {
    // What is whole gives way to nothing: a file that has another size by now is damaged in the installation.
    const isRead = recheck.isDue(object) || bytes !== known.bytes;
    if (await (isRead ? directory.isObjectWhole(known) : directory.hasObject(known))) return { stored: known, isNew: false };
  }
  try {
    // What a backup copied that was never finished, or that an older one has, is as good as a new copy, or better than a damaged file.
    const isSealed = name.endsWith(SEALED);
    if (known === undefined && (await sizeOf(directory.objectPath(name))) === (isSealed ? bytes : object.bytes)) {
      const stored = { name, ...(isSealed ? await directory.hashOf(path) : { bytes: object.bytes, sha256: object.sha256 }) };
      if (await directory.isObjectWhole(stored)) {
        await copier.adopt(name);
        return { stored, isNew: false };
      }
    }
    const stored = { name, ...(await copier.copy(path, name)) };
    if (known !== undefined && isPlausible(object, stored) && stored.sha256 === known.sha256) directory.mended.push(`object ${name}`);
    return { stored, isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Overtaken('an object was deleted', { cause: error });
    throw error;
  }
}
