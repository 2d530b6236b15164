import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { CovistaError } from '../../../protocol/errors.ts';
import { fileFault } from '../files/fault.ts';
import { listFiles, makeDirectories, objectPath, syncDirectories } from '../files/object-files.ts';
import { removeFile } from '../files/remove.ts';
import { syncDirectory } from '../files/sync.ts';
import type { SequenceState } from '../postgres/metadata-dump.ts';
import type { TableShape } from '../postgres/metadata-tables.ts';

/** A file of the installation as the backup has it: what is stored, encrypted or not, with its hash. */
export interface StoredObject {
  /** Its path below the directory of objects. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** One backup. What it is made of is shared with others: pieces by their content, objects by their names, which are never used again. */
export interface Snapshot {
  readonly format: 1;
  readonly snapshotId: string;
  readonly takenAt: string;
  readonly deploymentId: string;
  readonly migrations: readonly string[];
  readonly sequences: readonly SequenceState[];
  readonly tables: readonly (TableShape & { readonly rows: number; readonly piece: string })[];
  /** A piece that lists StoredObject, one a line. */
  readonly objects: { readonly piece: string; readonly count: number; readonly bytes: number };
  /** Files of the data directory that go with the objects: secrets and the wrapped key. */
  readonly secrets: readonly { readonly name: string; readonly piece: string }[];
  /** Objects that were missing or not what the metadata says of them when the backup was taken. */
  readonly damaged: readonly string[];
}

/** How much is read and hashed at once: by a command, and by a server that has others to answer meanwhile. */
export const READ_BYTES = 1024 * 1024;
const COPY_READ_BYTES = 256 * 1024;
const PRIVATE = { recursive: true, mode: 0o700 } as const;
const HASH = /^[0-9a-f]{64}$/;
const SNAPSHOT = /^(\d{8}t\d{9}z)\.json$/;

/**
 * A directory of backups: `snapshots/ID.json`, written last, `pieces/HASH.gz` and `objects/…`. What is there never changes, and
 * everything comes to its name when it is whole and on disk.
 */
export class BackupDirectory {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async prepare(): Promise<void> {
    for (const name of ['snapshots', 'pieces', 'objects']) await mkdir(join(this.root, name), PRIVATE);
  }

  /** Oldest first. */
  async snapshotIds(): Promise<string[]> {
    const names = await readdir(join(this.root, 'snapshots')).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new CovistaError('not_found', `${this.root} is no directory of backups`);
      throw error;
    });
    return names.flatMap((name) => SNAPSHOT.exec(name)?.[1] ?? []).sort();
  }

  async readSnapshot(snapshotId: string): Promise<Snapshot> {
    const known = await this.snapshotIds();
    if (!known.includes(snapshotId)) throw new CovistaError('not_found', `${this.root} has no backup ${snapshotId}`, { known: known.slice(-20) });
    const snapshot = JSON.parse(await readFile(this.#snapshotPath(snapshotId), 'utf8')) as Snapshot;
    if (snapshot.format !== 1) throw new CovistaError('conflict', `backup ${snapshotId} has a format that this version does not know`);
    return snapshot;
  }

  async latest(): Promise<Snapshot | undefined> {
    const id = (await this.snapshotIds()).at(-1);
    return id === undefined ? undefined : this.readSnapshot(id);
  }

  async writeSnapshot(snapshot: Snapshot): Promise<void> {
    const content = `${JSON.stringify(snapshot, undefined, 2)}\n`;
    const path = this.#snapshotPath(snapshot.snapshotId);
    await writeWhole(path, (temporary) => writeFile(temporary, content, { mode: 0o600, flush: true }));
    await syncDirectory(dirname(path));
  }

  removeSnapshot(snapshotId: string): Promise<void> {
    return removeFile(this.#snapshotPath(snapshotId));
  }

  /** Keeps lines under the hash of their text; what is there already is not written again. */
  async writePiece(lines: AsyncIterable<string> | Iterable<string>): Promise<{ piece: string; lines: number }> {
    const hash = createHash('sha256');
    let count = 0;
    const hashed = async function* (): AsyncGenerator<string> {
      for await (const line of lines) {
        hash.update(line).update('\n');
        count += 1;
        yield `${line}\n`;
      }
    };
    const temporary = join(this.root, 'pieces', `${randomUUID()}.part`);
    try {
      await pipeline(Readable.from(hashed()), createGzip(), createWriteStream(temporary, { mode: 0o600, flush: true }));
      const piece = hash.digest('hex');
      const path = this.#piecePath(piece);
      if ((await sizeOf(path)) === undefined) {
        await rename(temporary, path);
        await syncDirectory(dirname(path));
      }
      return { piece, lines: count };
    } catch (error) {
      throw fileFault(error);
    } finally {
      await removeFile(temporary);
    }
  }

  /** The lines of a piece; throws `unprocessable_data` behind the last when they are not what was kept. */
  async *readPiece(piece: string): AsyncGenerator<string> {
    const hash = createHash('sha256');
    const file = createReadStream(this.#piecePath(piece));
    const plain = file.pipe(createGunzip());
    file.once('error', (error) => plain.destroy(error));
    try {
      for await (const line of createInterface({ input: plain, crlfDelay: Number.POSITIVE_INFINITY })) {
        hash.update(line).update('\n');
        yield line;
      }
    } catch (error) {
      throw new CovistaError('unprocessable_data', `piece ${piece} of the backup cannot be read`, { piece }, error);
    }
    if (hash.digest('hex') !== piece) throw new CovistaError('unprocessable_data', `piece ${piece} of the backup is damaged`, { piece });
  }

  async *readObjects({ objects }: Pick<Snapshot, 'objects'>): AsyncGenerator<StoredObject> {
    for await (const line of this.readPiece(objects.piece)) yield JSON.parse(line) as StoredObject;
  }

  objectPath(name: string): string {
    return objectPath(join(this.root, 'objects'), name);
  }

  async hasObject({ name, bytes }: StoredObject): Promise<boolean> {
    return (await sizeOf(this.objectPath(name))) === bytes;
  }

  /** Takes objects in. */
  copier(): Copier {
    return new Copier(join(this.root, 'objects'));
  }

  /** Removes pieces and objects that none of the snapshots has. */
  async prune(kept: readonly Snapshot[]): Promise<{ pieces: number; objects: number }> {
    const pieces = new Set(kept.flatMap(piecesOf));
    const objects = new Set<string>();
    for (const snapshot of kept) for await (const { name } of this.readObjects(snapshot)) objects.add(name);
    const removed = { pieces: 0, objects: 0 };
    for (const name of await readdir(join(this.root, 'pieces'))) {
      if (pieces.has(name.slice(0, -'.gz'.length))) continue;
      await removeFile(join(this.root, 'pieces', name));
      removed.pieces += 1;
    }
    for await (const { name } of listFiles(join(this.root, 'objects'), '')) {
      if (objects.has(name)) continue;
      await removeFile(join(this.root, 'objects', name));
      removed.objects += 1;
    }
    return removed;
  }

  #snapshotPath(snapshotId: string): string {
    return join(this.root, 'snapshots', `${snapshotId}.json`);
  }

  #piecePath(piece: string): string {
    if (!HASH.test(piece)) throw new CovistaError('unprocessable_data', 'the backup names a piece that is no hash', { piece });
    return join(this.root, 'pieces', `${piece}.gz`);
  }
}

export const piecesOf = ({ tables, objects, secrets }: Snapshot): string[] => [
  ...tables.map(({ piece }) => piece),
  objects.piece,
  ...secrets.map(({ piece }) => piece),
];

/**
 * Copies files below a directory, and hashes them; at its name each is whole and on disk. What is copied never changes, so that the system
 * copies it by itself, which takes a fraction of what passing every byte through here took, while it is read once more to be hashed.
 */
export class Copier {
  readonly #root: string;
  /** Which files they have is on disk once they are synced, all at the end, because files share them. */
  readonly #directories = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  async copy(from: string, name: string): Promise<{ bytes: number; sha256: string }> {
    const to = objectPath(this.#root, name);
    for (const directory of await makeDirectories(this.#root, [to])) this.#directories.add(directory);
    return writeWhole(to, async (temporary) => {
      // Both have ended before a failure of one is told.
      const [hashed, copied] = await Promise.allSettled([hashOf(from, COPY_READ_BYTES), copyDurably(from, temporary)]);
      if (hashed.status === 'rejected') throw hashed.reason;
      if (copied.status === 'rejected') throw copied.reason;
      if (copied.value !== hashed.value.bytes) throw new Error(`${from} changed while it was copied`);
      return hashed.value;
    });
  }

  /** Nothing that was copied is lost with the machine any more. */
  sync(): Promise<void> {
    return syncDirectories(this.#directories);
  }
}

/** Answers how many bytes there are. */
async function copyDurably(from: string, to: string): Promise<number> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  try {
    await file.chmod(0o600);
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** Whatever writes the temporary file sees to it that it is on disk. */
async function writeWhole<Result>(path: string, write: (temporary: string) => Promise<Result>): Promise<Result> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    const result = await write(temporary);
    await rename(temporary, path);
    return result;
  } catch (error) {
    throw fileFault(error);
  } finally {
    await removeFile(temporary);
  }
}

/** Undefined when there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function hashOf(path: string, readBytes = READ_BYTES): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: readBytes })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
