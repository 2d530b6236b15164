import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Change, type Content, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ } from '../../server/storage/parquet/diff.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

const COLUMNS = [
  { name: 'id', type: 'VARCHAR' },
  { name: 'n', type: 'BIGINT' },
];
const ROWS = 150_000;

let workshop: ParquetWorkshop;
let differ: Differ;
const control = { signal: new AbortController().signal };

/** Several row groups, compared in several passes. */
beforeAll(async () => {
  workshop = await openWorkshop();
  const { broker, limits, log } = workshop;
  const directory = join(workshop.directory, 'differ');
  await mkdir(directory);
  differ = await createDiffer({ broker, log, limits: { ...limits, duckdbMemoryBytes: 3 * 1024 * 1024 }, directory });
});

afterAll(async () => {
  await differ.close();
  await workshop.close();
});

const ID = "'k' || hash(range)::VARCHAR";

async function version(...selects: string[]): Promise<Content> {
  const files = [];
  for (const select of selects) files.push(await workshop.file(select, COLUMNS));
  return contentOf(COLUMNS, files);
}

interface Compared {
  readonly changes: Change[];
  readonly counts: unknown;
  readonly passes: number;
}

/** What a comparison in a single pass tells of its progress, where it takes long enough to: hundredths, not passes. */
const HUNDREDTHS = 100;

async function compare(from: Content, to: Content): Promise<Compared> {
  let passes = 1;
  const onProgress = ({ phase, total }: { phase: string; total: number | null }): void => {
    if (phase === 'compare' && total !== HUNDREDTHS) passes = total ?? 0;
  };
  const result = await differ.diff({ content: from, scope: UNRESTRICTED }, { content: to, scope: UNRESTRICTED }, ['id'], { ...control, onProgress });
  const changes: Change[] = [];
  while (changes.length < result.changes) changes.push(...(await result.page(changes.length, 10_000, control)));
  return { changes, counts: result.counts, passes };
}

const numbers = (changes: readonly Change[], kind: string, side: 'before' | 'after'): number[] =>
  changes.flatMap((change) => (change.kind === kind && 'key' in change ? [Number(change[side]?.n)] : []));

const range = (start: number, end: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((end - start) / step) }, (_unused, index) => start + index * step);

describe('DIFF2 versions that are compared in passes', () => {
  test('DIFF2 in one order, with blocks of rows that are new, gone and moved', async () => {
    const from = await version(`SELECT ${ID} AS id, range AS n FROM range(${ROWS})`);
    // A block of new rows in front, 5,000 rows gone, every 1,000th changed, and 300 from the front moved to the end.
    const select = `SELECT ${ID} AS id, CASE WHEN range % 1000 = 0 THEN range + 1000000 ELSE range END AS n`;
    const kept = `${select} FROM range(300, ${ROWS}) WHERE range NOT BETWEEN 100000 AND 104999`;
    const fresh = "SELECT 'new' || range AS id, range AS n FROM range(35000)";
    const to = await version(fresh, kept, `${select} FROM range(300)`);
    const { changes, counts, passes } = await compare(from, to);
    expect(passes).toBeGreaterThan(3);
    expect(counts).toEqual({ added: 35_000, removed: 5_000, changed: 145 });
    expect(numbers(changes, 'removed', 'before')).toEqual(range(100_000, 105_000));
    expect(numbers(changes, 'changed', 'before')).toEqual(range(0, ROWS, 1000).filter((n) => n < 100_000 || n > 104_999));
    expect(numbers(changes, 'added', 'after')).toEqual(range(0, 35_000));
  });

  test('DIFF2 in orders that have nothing to do with each other', async () => {
    const select = (salt: number, value: string, where: string): string =>
      `SELECT id, n FROM (SELECT ${ID} AS id, ${value} AS n, range FROM range(${ROWS}) WHERE ${where}) ORDER BY hash(range + ${salt})`;
    const from = await version(select(1, 'range', 'range % 3000 <> 1'));
    const to = await version(select(7, 'CASE WHEN range % 2000 = 2 THEN -range ELSE range END', 'range % 5000 <> 3'));
    const { changes, counts, passes } = await compare(from, to);
    expect(passes).toBe(1);
    expect(counts).toEqual({ added: 50, removed: 30, changed: 75 });
    const sorted = (kind: string, side: 'before' | 'after'): number[] => numbers(changes, kind, side).sort((a, b) => a - b);
    expect(sorted('added', 'after')).toEqual(range(1, ROWS, 3000));
    expect(sorted('removed', 'before')).toEqual(range(3, ROWS, 5000));
    expect(sorted('changed', 'before')).toEqual(range(2, ROWS, 2000));
  });

  test('DIFF5 a key that is twice in far parts of a version is found', async () => {
    const from = await version(`SELECT ${ID} AS id, range AS n FROM range(${ROWS})`);
    const to = await version(`SELECT ${ID} AS id, range AS n FROM range(${ROWS})`, `SELECT ${ID} AS id, range AS n FROM range(5, 6)`);
    await expect(compare(from, to)).rejects.toMatchObject({ code: 'unprocessable_data', details: { side: 'to', problem: 'duplicate' } });
  });
});
