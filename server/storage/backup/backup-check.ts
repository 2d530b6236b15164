import type { BackupDirectory } from './backup-directory.ts';
import { hashOfCopy, sizeOf } from './copier.ts';
import { unlessDamaged } from './damage.ts';
import type { Snapshot, StoredObject } from './snapshot.ts';

/** Looks for damage in backups of a directory. What several share is read once. */
export class BackupCheck {
  readonly #directory: BackupDirectory;
  /** How many lines a piece has, or what is wrong with it. */
  readonly #pieces = new Map<string, number | string>();
  /** What was found under the name of an object. */
  readonly #objects = new Map<string, Pick<StoredObject, 'bytes' | 'sha256'> | undefined>();
  /** Objects that were found missing or damaged, as they should be. */
  readonly damagedObjects = new Map<string, StoredObject>();

  constructor(directory: BackupDirectory) {
    this.#directory = directory;
  }

  /** What is wrong with a backup; nothing, if all is well. */
  async damageOf(snapshot: Snapshot): Promise<string[]> {
    const problems = snapshot.damaged.map((objectKey) => `object ${objectKey} was missing or damaged when the backup was taken`);
    for (const { name, pieces, rows } of snapshot.tables) {
      const lines = await this.#linesOfAll(pieces);
      if (lines !== rows) problems.push(`table ${name} ${typeof lines === 'string' ? lines : `has ${lines} rows, not ${rows}`}`);
    }
    for (const { name, piece } of snapshot.secrets) {
      const lines = await this.#linesOf(piece);
      if (lines !== 1) problems.push(`file ${name} ${typeof lines === 'string' ? lines : 'is not whole'}`);
    }
    const listed = await this.#linesOfAll(snapshot.objects.pieces);
    if (listed !== snapshot.objects.count) return [...problems, 'the list of objects is damaged'];
    for await (const object of this.#directory.readObjects(snapshot)) {
      const { name, bytes, sha256 } = object;
      const found = await this.#contentOf(name);
      if (found?.bytes === bytes && found.sha256 === sha256) continue;
      problems.push(`object ${name} is ${found === undefined ? 'missing' : 'damaged'}`);
      this.damagedObjects.set(name, object);
    }
    return problems;
  }

  async #linesOfAll(pieces: readonly string[]): Promise<number | string> {
    let sum = 0;
    for (const piece of pieces) {
      const lines = await this.#linesOf(piece);
      if (typeof lines === 'string') return lines;
      sum += lines;
    }
    return sum;
  }

  async #linesOf(piece: string): Promise<number | string> {
    const known = this.#pieces.get(piece);
    if (known !== undefined) return known;
    const read = await unlessDamaged(async () => ({ lines: await this.#directory.pieces.linesOf(piece) }));
    const found = 'lines' in read ? read.lines : read.damage;
    this.#pieces.set(piece, found);
    return found;
  }

  async #contentOf(name: string): Promise<Pick<StoredObject, 'bytes' | 'sha256'> | undefined> {
    if (this.#objects.has(name)) return this.#objects.get(name);
    const path = this.#directory.objectPath(name);
    // What is there and cannot be read is damaged, and not missing.
    const found = (await sizeOf(path)) === undefined ? undefined : ((await hashOfCopy(path)) ?? { bytes: -1, sha256: '' });
    this.#objects.set(name, found);
    return found;
  }
}
