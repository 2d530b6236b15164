import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PIECE_BYTES, Pieces } from '../../server/storage/backup/pieces.ts';
import { Snapshot } from '../../server/storage/backup/snapshot.ts';

let directory: string;
let mended: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-pieces-'));
  mended = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const pieces = (): Pieces => new Pieces(directory, { signal: undefined, onMended: (piece) => mended.push(piece) });

/** Always the same of a name. */
const rowsOf = (count: number, name = ''): string[] =>
  Array.from({ length: count }, (_, row) => {
    const text = createHash('sha512').update(`${name}${row}`).digest('hex');
    return `{"row":${row},"text":"${text}${text.toUpperCase()}"}`;
  });

async function linesOf(of: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of pieces().read(of)) lines.push(line);
  return lines;
}

test('BAK4 of a long table only the pieces are new in which rows were added, changed or removed', async () => {
  const rows = rowsOf(40_000);
  const first = await pieces().write(rows);
  expect(first.lines).toBe(rows.length);
  expect(first.pieces.length).toBeGreaterThan(5);
  const changes: Record<string, string[]> = {
    added: [...rows, ...rowsOf(10, 'more')],
    'put in the middle': [...rows.slice(0, 20_000), ...rowsOf(3, 'between'), ...rows.slice(20_000)],
    changed: rows.map((row, index) => (index === 20_000 ? '{"row":20000,"text":null}' : row)),
    removed: rows.filter((_, index) => index !== 1),
  };
  for (const [what, lines] of Object.entries(changes)) {
    const next = await pieces().write(lines);
    const fresh = next.pieces.filter((piece) => !first.pieces.includes(piece));
    expect(fresh.length, what).toBeGreaterThan(0);
    expect(fresh.length, what).toBeLessThanOrEqual(3);
    expect(await linesOf(next.pieces)).toEqual(lines);
  }
});

test('BAK4 what is there is not written again, and nothing is cut too small or left over', async () => {
  const rows = rowsOf(20_000);
  const first = await pieces().write(rows);
  const times = async (): Promise<number[]> =>
    Promise.all((await readdir(directory)).map(async (name) => (await stat(join(directory, name))).mtimeMs));
  const before = await times();
  expect(await pieces().write(rows)).toEqual(first);
  expect(await times()).toEqual(before);
  expect((await readdir(directory)).sort()).toEqual([...new Set(first.pieces)].sort().map((piece) => `${piece}.gz`));
  for (const piece of first.pieces.slice(0, -1)) {
    const bytes = (await linesOf([piece])).join('\n').length + 1;
    expect(bytes).toBeGreaterThanOrEqual(PIECE_BYTES.least);
    expect(bytes).toBeLessThanOrEqual(PIECE_BYTES.most + 1_000);
  }
});

test('BAK4 a row longer than any piece is one, and a table without rows has none', async () => {
  const long = 'x'.repeat(PIECE_BYTES.most + 1);
  const { pieces: kept } = await pieces().write(['a', long, 'b']);
  expect(await linesOf(kept)).toEqual(['a', long, 'b']);
  expect(await pieces().write([])).toEqual({ pieces: [], lines: 0 });
});

test('BAK1 what some take for the end of a line is none, and texts of every alphabet come back', async () => {
  const rows = ['a\u2028b', 'c\u2029d\re\u0085f', 'é日本𝄞', '', 'last'];
  const { pieces: kept, lines } = await pieces().write(rows);
  expect(lines).toBe(rows.length);
  expect(await linesOf(kept)).toEqual(rows);
});

test('BAK12 a backup that is ended meanwhile writes no further pieces', async () => {
  const controller = new AbortController();
  const rows = rowsOf(40_000);
  const ending = function* (): Generator<string> {
    for (const [index, row] of rows.entries()) {
      if (index === 20_000) controller.abort(new Error('the server stops'));
      yield row;
    }
  };
  const ended = new Pieces(directory, { signal: controller.signal, onMended: () => undefined });
  await expect(ended.write(ending())).rejects.toThrow('the server stops');
  expect((await readdir(directory)).filter((name) => !name.endsWith('.gz'))).toEqual([]);
});

test('BAK11 a damaged piece is written anew by the next backup, whole ones beside it are left', async () => {
  const rows = rowsOf(20_000);
  const { pieces: kept } = await pieces().write(rows);
  const path = join(directory, `${kept[1]}.gz`);
  const content = await readFile(path);
  await writeFile(path, content.subarray(0, content.length >> 1));
  await expect(linesOf(kept)).rejects.toMatchObject({ code: 'unprocessable_data' });
  await pieces().write(rows);
  expect(mended).toEqual([kept[1]]);
  expect(await linesOf(kept)).toEqual(rows);
});

test('BAK4 descriptions of before tables were cut are read', () => {
  const hash = 'a'.repeat(64);
  const old = {
    format: 1,
    snapshotId: '20261101t000000000z',
    takenAt: '2026-11-01T00:00:00.000Z',
    deploymentId: 'd',
    migrations: [],
    sequences: [],
    tables: [{ name: 'versions', columns: ['id'], rows: 3, piece: hash }],
    objects: { piece: hash, count: 1, bytes: 2 },
    secrets: [],
    damaged: [],
  };
  expect(Snapshot.parse(old)).toMatchObject({ tables: [{ rows: 3, pieces: [hash] }], objects: { pieces: [hash], count: 1, bytes: 2 } });
});
