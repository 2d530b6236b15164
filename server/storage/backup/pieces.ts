import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createGunzip, gzip } from 'node:zlib';
import { CovistaError } from '../../../protocol/errors.ts';
import { fileFault } from '../files/fault.ts';
import { removeFile } from '../files/remove.ts';
import { syncDirectory } from '../files/sync.ts';
import { sizeOf } from './copier.ts';
import { unlessDamaged } from './damage.ts';

const HASH = /^[0-9a-f]{64}$/;
const KiB = 1024;
/** Of text, unpacked. A single line may be longer. */
export const PIECE_BYTES = { least: 256 * KiB, mean: 1024 * KiB, most: 8192 * KiB } as const;

/**
 * Text in lines, cut into files `HASH.gz` named by what they hold. Where it is cut follows from the lines themselves, so that a changed,
 * added or missing line makes one or two new pieces of however long a text, and all others are shared with the text as it was before.
 */
export class Pieces {
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onMended: (piece: string) => void;

  constructor(root: string, { signal, onMended }: { readonly signal: AbortSignal | undefined; readonly onMended: (piece: string) => void }) {
    this.#root = root;
    this.#signal = signal;
    this.#onMended = onMended;
  }

  /** What is there already and whole is not written again. */
  async write(lines: AsyncIterable<string> | Iterable<string>): Promise<{ pieces: string[]; lines: number }> {
    const pieces: string[] = [];
    let count = 0;
    for await (const some of cut(lines, this.#signal)) {
      pieces.push(await this.#keep(Buffer.from(some.join(''))));
      count += some.length;
    }
    return { pieces, lines: count };
  }

  /** The lines of pieces; throws `unprocessable_data` behind the last of one when they are not what was kept. */
  async *read(pieces: Iterable<string>): AsyncGenerator<string> {
    for (const piece of pieces) yield* this.#read(piece);
  }

  /** How many lines a piece has. */
  async linesOf(piece: string): Promise<number> {
    let lines = 0;
    for await (const _ of this.#read(piece)) lines += 1;
    return lines;
  }

  async removeAllBut(kept: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#root)) if (!kept.has(name.slice(0, -'.gz'.length))) await removeFile(join(this.#root, name));
  }

  async #keep(text: Buffer): Promise<string> {
    this.#signal?.throwIfAborted();
    const piece = createHash('sha256').update(text).digest('hex');
    const path = this.#pathOf(piece);
    const isThere = (await sizeOf(path)) !== undefined;
    if (isThere && 'lines' in (await unlessDamaged(async () => ({ lines: await this.linesOf(piece) })))) return piece;
    const temporary = join(this.#root, `${randomUUID()}.part`);
    try {
      await writeFile(temporary, await promisify(gzip)(text), { mode: 0o600, flush: true, signal: this.#signal });
      await rename(temporary, path);
      await syncDirectory(this.#root);
    } catch (error) {
      throw fileFault(error);
    } finally {
      await removeFile(temporary);
    }
    if (isThere) this.#onMended(piece);
    return piece;
  }

  async *#read(piece: string): AsyncGenerator<string> {
    const hash = createHash('sha256');
    const file = createReadStream(this.#pathOf(piece));
    const plain = file.pipe(createGunzip());
    file.once('error', (error) => plain.destroy(error));
    try {
      for await (const line of linesIn(plain, (bytes) => hash.update(bytes))) yield line;
    } catch (error) {
      throw new CovistaError('unprocessable_data', `piece ${piece} of the backup cannot be read`, { piece }, error);
    } finally {
      file.destroy();
    }
    if (hash.digest('hex') !== piece) throw new CovistaError('unprocessable_data', `piece ${piece} of the backup is damaged`, { piece });
  }

  #pathOf(piece: string): string {
    if (!HASH.test(piece)) throw new CovistaError('unprocessable_data', 'the backup names a piece that is no hash', { piece });
    return join(this.#root, `${piece}.gz`);
  }
}

const LINE_FEED = 0x0a;

/** What ends with a line feed, and with nothing else that some take for the end of a line; `see` gets all bytes. */
async function* linesIn(bytes: AsyncIterable<Buffer>, see: (bytes: Buffer) => void): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of bytes) {
    see(chunk);
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString();
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString();
}

/** Lines with their ends, some at a time. */
async function* cut(lines: AsyncIterable<string> | Iterable<string>, signal: AbortSignal | undefined): AsyncGenerator<string[]> {
  let some: string[] = [];
  let bytes = 0;
  for await (const line of lines) {
    signal?.throwIfAborted();
    const own = Buffer.byteLength(line) + 1;
    some.push(`${line}\n`);
    bytes += own;
    if (bytes < PIECE_BYTES.most && (bytes < PIECE_BYTES.least || !isEnd(line, own))) continue;
    yield some;
    some = [];
    bytes = 0;
  }
  if (some.length > 0) yield some;
}

/** Whether a piece may end behind a line: by chance that follows from its text and grows with its length. */
function isEnd(line: string, bytes: number): boolean {
  const chance = createHash('md5').update(line).digest().readUInt32LE(0) / 2 ** 32;
  return chance < bytes / PIECE_BYTES.mean;
}
