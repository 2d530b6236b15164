import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import { listFiles, objectPath } from '../files/object-files.ts';
import { removeFile } from '../files/remove.ts';
import { syncDirectory } from '../files/sync.ts';
import { COPY_READ_BYTES, Copier, hashOf, hashOfCopy, sizeOf, writeWhole } from './copier.ts';
import { unlessDamaged } from './damage.ts';
import { Pieces } from './pieces.ts';
import { readStoredObject, SNAPSHOT_FORMAT, Snapshot, type StoredObject } from './snapshot.ts';

const PRIVATE = { recursive: true, mode: 0o700 } as const;
const SNAPSHOT = /^(\d{8}t\d{9}z)\.json$/;

/**
 * A directory of backups: `snapshots/ID.json`, written last, `pieces/HASH.gz` and `objects/…`. What is there never changes, and
 * everything comes to its name when it is whole and on disk. What cannot be read, or is not what was kept, is `unprocessable_data`.
 */
export class BackupDirectory {
  readonly root: string;
  /** Tables, lists and secrets. */
  readonly pieces: Pieces;
  /** Pieces and objects that were found damaged, and are written anew. */
  readonly mended: string[] = [];

  readonly #signal: AbortSignal | undefined;

  /** Once the signal is aborted nothing new is written; what was begun leaves nothing. */
  constructor(root: string, signal?: AbortSignal) {
    this.root = root;
    this.#signal = signal;
    this.pieces = new Pieces(join(root, 'pieces'), { signal, onMended: (piece) => this.mended.push(`piece ${piece}`) });
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
    if (typeof found?.format === 'number' && Number.isInteger(found.format) && found.format > SNAPSHOT_FORMAT)
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

  async *readObjects({ objects }: Pick<Snapshot, 'objects'>): AsyncGenerator<StoredObject> {
    for await (const line of this.pieces.read(objects.pieces)) {
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

  async removeObjects(kept: ReadonlySet<string>): Promise<void> {
    const root = join(this.root, 'objects');
    for await (const { name } of listFiles(root, '')) if (!kept.has(name)) await removeFile(join(root, name));
  }

  #snapshotPath(snapshotId: string): string {
    return join(this.root, 'snapshots', `${snapshotId}.json`);
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
