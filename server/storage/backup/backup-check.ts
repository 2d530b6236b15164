import { CovistaError } from '../../../protocol/errors.ts';
import { type BackupDirectory, hashOf, type Snapshot, type StoredObject, sizeOf } from './backup-directory.ts';

/** Looks for damage in backups of a directory. What several share is read once. */
export class BackupCheck {
  readonly #directory: BackupDirectory;
  /** How many lines a piece has, or what is wrong with it. */
  readonly #pieces = new Map<string, number | string>();
  /** What was found under the name of an object. */
  readonly #objects = new Map<string, Pick<StoredObject, 'bytes' | 'sha256'> | undefined>();

  constructor(directory: BackupDirectory) {
    this.#directory = directory;
  }

  /** What is wrong with a backup; nothing, if all is well. */
  async damageOf(snapshot: Snapshot): Promise<string[]> {
    const problems = snapshot.damaged.map((objectKey) => `object ${objectKey} was missing or damaged when the backup was taken`);
    for (const { name, piece, rows } of snapshot.tables) {
      const lines = await this.#linesOf(piece);
      if (lines !== rows) problems.push(`table ${name} ${typeof lines === 'string' ? lines : `has ${lines} rows, not ${rows}`}`);
    }
    for (const { name, piece } of snapshot.secrets) {
      const lines = await this.#linesOf(piece);
      if (lines !== 1) problems.push(`file ${name} ${typeof lines === 'string' ? lines : 'is not whole'}`);
    }
    const listed = await this.#linesOf(snapshot.objects.piece);
    if (listed !== snapshot.objects.count) return [...problems, 'the list of objects is damaged'];
    for await (const { name, bytes, sha256 } of this.#directory.readObjects(snapshot)) {
      const found = await this.#contentOf(name);
      if (found === undefined) problems.push(`object ${name} is missing`);
      else if (found.bytes !== bytes || found.sha256 !== sha256) problems.push(`object ${name} is damaged`);
    }
    return problems;
  }

  async #linesOf(piece: string): Promise<number | string> {
    const known = this.#pieces.get(piece);
    if (known !== undefined) return known;
    const found = await countLines(this.#directory, piece);
    this.#pieces.set(piece, found);
    return found;
  }

  async #contentOf(name: string): Promise<Pick<StoredObject, 'bytes' | 'sha256'> | undefined> {
    if (this.#objects.has(name)) return this.#objects.get(name);
    const path = this.#directory.objectPath(name);
    const found = (await sizeOf(path)) === undefined ? undefined : await hashOf(path);
    this.#objects.set(name, found);
    return found;
  }
}

async function countLines(directory: BackupDirectory, piece: string): Promise<number | string> {
  let lines = 0;
  try {
    for await (const _ of directory.readPiece(piece)) lines += 1;
    return lines;
  } catch (error) {
    if (error instanceof CovistaError) return error.message;
    throw error;
  }
}
