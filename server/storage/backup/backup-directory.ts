import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { CovistaError } from '../../../protocol/errors.ts';
import { fileFault } from '../files/fault.ts';
import { listFiles, objectPath } from '../files/object-files.ts';
import { removeFile } from '../files/remove.ts';
import { syncDirectory } from '../files/sync.ts';
import { COPY_READ_BYTES, Copier, hashOf, hashOfCopy, sizeOf, writeWhole } from './copier.ts';
import { readStoredObject, Snapshot, type StoredObject } from './snapshot.ts';

const PRIVATE = { recursive: true, mode: 0o700 } as const;
const HASH = /^[0-9a-f]{64}$/;
const SNAPSHOT = /^(\d{8}t\d{9}z)\.json$/;

/**
 * A directory of backups: `snapshots/ID.json`, written last, `pieces/HASH.gz` and `objects/…`. What is there never changes, and
 * everything comes to its name when it is whole and on disk. What cannot be read, or is not what was kept, is `unprocessable_data`.
 */
export class BackupDirectory {
  readonly root: string;
  /** Pieces and objects that were found damaged, and are written anew. */
  readonly mended: string[] = [];

  readonly #signal: AbortSignal | undefined;

  /** Once the signal is aborted nothing new is written; what was begun leaves nothing. */
  constructor(root: string, signal?: AbortSignal) {
    this.root = root;
    this.#signal = signal;
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
    const found = parsed(await readFile(this.#snapshotPath(snapshotId), 'utf8').catch(() => ''));
    if (found?.format !== undefined && Number.isInteger(found.format) && found.format !== 1)
      throw new CovistaError('conflict', `backup ${snapshotId} has a format that this version does not know`);
    const { data } = Snapshot.safeParse(found);
    if (data?.snapshotId !== snapshotId)
      throw new CovistaError('unprocessable_data', `backup ${snapshotId} is damaged: its description cannot be read`);
    return data;
  }

  /** The newest, damaged or not. */
  async latest(): Promise<Snapshot | undefined> {
    const id = (await this.snapshotIds()).at(-1);
    return id === undefined ? undefined : this.readSnapshot(id);
  }

  /** The newest of which `read` meets no damage, and by name those that are newer and damaged. */
  async newestWhole<Result>(
    read: (snapshot: Snapshot) => Promise<Result>,
  ): Promise<{ readonly found?: Result; readonly damaged: readonly string[] }> {
    const damaged: string[] = [];
    for (const snapshotId of (await this.snapshotIds()).reverse()) {
      const found = await unlessDamaged(async () => ({ found: await read(await this.readSnapshot(snapshotId)) }));
      if ('found' in found) return { ...found, damaged };
      damaged.push(snapshotId);
    }
    return { damaged };
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

  /** Keeps lines under the hash of their text; what is there already and whole is not written again. */
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
      await pipeline(Readable.from(hashed()), createGzip(), createWriteStream(temporary, { mode: 0o600, flush: true }), { signal: this.#signal });
      const piece = hash.digest('hex');
      const path = this.#piecePath(piece);
      const isThere = (await sizeOf(path)) !== undefined;
      if (!isThere || !(await this.#isPieceWhole(piece, temporary))) {
        await rename(temporary, path);
        await syncDirectory(dirname(path));
        if (isThere) this.mended.push(`piece ${piece}`);
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

  /** How many lines a piece has. */
  async linesOf(piece: string): Promise<number> {
    let lines = 0;
    for await (const _ of this.readPiece(piece)) lines += 1;
    return lines;
  }

  async *readObjects({ objects }: Pick<Snapshot, 'objects'>): AsyncGenerator<StoredObject> {
    for await (const line of this.readPiece(objects.piece)) {
      const object = readStoredObject(line);
      if (object === undefined) throw new CovistaError('unprocessable_data', 'a list of objects of the backup is damaged');
      yield object;
    }
  }

  objectPath(name: string): string {
    return objectPath(join(this.root, 'objects'), name);
  }

  async hasObject({ name, bytes }: StoredObject): Promise<boolean> {
    return (await sizeOf(this.objectPath(name))) === bytes;
  }

  async isObjectWhole({ name, bytes, sha256 }: StoredObject): Promise<boolean> {
    const path = this.objectPath(name);
    return (await sizeOf(path)) === bytes && (await hashOfCopy(path, { readBytes: COPY_READ_BYTES, signal: this.#signal }))?.sha256 === sha256;
  }

  /** Of any file, as long as the signal is not aborted. */
  hashOf(path: string): ReturnType<typeof hashOf> {
    return hashOf(path, { signal: this.#signal });
  }

  /** Takes objects in. */
  copier(): Copier {
    return new Copier(join(this.root, 'objects'), this.#signal);
  }

  async removePieces(kept: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(join(this.root, 'pieces')))
      if (!kept.has(name.slice(0, -'.gz'.length))) await removeFile(join(this.root, 'pieces', name));
  }

  async removeObjects(kept: ReadonlySet<string>): Promise<void> {
    const root = join(this.root, 'objects');
    for await (const { name } of listFiles(root, '')) if (!kept.has(name)) await removeFile(join(root, name));
  }

  /** Whether a piece that is there has the bytes of one that was just written, or, by another version of the packer, the same text. */
  async #isPieceWhole(piece: string, written: string): Promise<boolean> {
    const kept = await hashOfCopy(this.#piecePath(piece), { signal: this.#signal });
    if (kept === undefined) return false;
    if (kept.sha256 === (await hashOf(written)).sha256) return true;
    return 'lines' in (await unlessDamaged(async () => ({ lines: await this.linesOf(piece) })));
  }

  #snapshotPath(snapshotId: string): string {
    return join(this.root, 'snapshots', `${snapshotId}.json`);
  }

  #piecePath(piece: string): string {
    if (!HASH.test(piece)) throw new CovistaError('unprocessable_data', 'the backup names a piece that is no hash', { piece });
    return join(this.root, 'pieces', `${piece}.gz`);
  }
}

export async function* jsonLines(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield JSON.stringify(item);
}

function parsed(text: string): { readonly format?: unknown } | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What `read` answers, or what is damaged of the backup. */
export async function unlessDamaged<Result extends object>(read: () => Promise<Result>): Promise<Result | { readonly damage: string }> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CovistaError && error.code === 'unprocessable_data') return { damage: error.message };
    throw error;
  }
}
