import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Change, type Content, type ContentFile, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ } from '../../server/storage/parquet/diff.ts';
import { type DiffCase, diffCases } from '../support/diff-cases.ts';
import { diffAsMultiset, diffByKey, type ModelSide } from '../support/diff-model.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

let workshop: ParquetWorkshop;
let differs: { whole: Differ; inPasses: Differ };
/** Dozens of versions are written and compared, on a machine that may be busy. */
const PROPERTY_TIMEOUT_MS = 240_000;
const control = { signal: new AbortController().signal };

beforeAll(async () => {
  workshop = await openWorkshop();
  const { broker, limits, log, directory } = workshop;
  const open = (name: string, memoryBytes: number): Promise<Differ> =>
    createDiffer({ broker, log, limits: { ...limits, duckdbMemoryBytes: memoryBytes }, directory: join(directory, name) });
  await mkdir(join(directory, 'diffs'));
  differs = { whole: await open('diffs/whole', limits.duckdbMemoryBytes), inPasses: await open('diffs/passes', 1024) };
});

afterAll(async () => {
  await differs.whole.close();
  await differs.inPasses.close();
  await workshop.close();
});

async function fileOf({ columns }: ModelSide, rows: ModelSide['rows']): Promise<ContentFile[]> {
  if (rows.length === 0) return [];
  const names = columns.map((_column, index) => `c${index}`).join(', ');
  const values = rows.map((row) => `(${row.map(({ sql }, index) => `CAST(${sql} AS ${columns[index]?.type})`).join(', ')})`).join(', ');
  const list = columns.map(({ name }, index) => `c${index} AS "${name.replaceAll('"', '""')}"`).join(', ');
  return [await workshop.file(`SELECT ${list} FROM (VALUES ${values}) t(${names})`, columns)];
}

async function contentsOf({ from, to, sharedRows, before }: DiffCase): Promise<{ from: Content; to: Content }> {
  const shared = await fileOf(from, from.rows.slice(before.from, before.from + sharedRows));
  const content = async (side: ModelSide, first: number): Promise<Content> => {
    const files = [...(await fileOf(side, side.rows.slice(0, first))), ...shared, ...(await fileOf(side, side.rows.slice(first + sharedRows)))];
    return contentOf(side.columns, files);
  };
  return { from: await content(from, before.from), to: await content(to, before.to) };
}

async function readAll(differ: Differ, diffCase: DiffCase, pageSize: number) {
  const contents = await contentsOf(diffCase);
  const result = await differ.diff(
    { content: contents.from, scope: UNRESTRICTED },
    { content: contents.to, scope: UNRESTRICTED },
    diffCase.key,
    control,
  );
  const changes: Change[] = [];
  while (changes.length < result.changes) {
    const page = await result.page(changes.length, pageSize, control);
    expect(page.length).toBe(Math.min(pageSize, result.changes - changes.length));
    changes.push(...page);
  }
  expect(await result.page(result.changes, 10, control)).toEqual([]);
  result.close();
  return { counts: result.counts, changes };
}

/** As it goes over the wire, where -0 is 0. */
const asJson = (changes: readonly Change[]): unknown => JSON.parse(JSON.stringify(changes));

const countOf = (changes: readonly Change[], kind: string): number =>
  changes.filter((change) => change.kind === kind).reduce((sum, change) => sum + ('count' in change ? change.count : 1), 0);

describe.each(['whole', 'inPasses'] as const)('compared %s', (how) => {
  test(
    'DIFF2 DIFF3 DIFF4 DIFF7 a diff by key says what the plain comparison says, in order',
    async () => {
      const property = fc.asyncProperty(diffCases(true), fc.integer({ min: 1, max: 9 }), async (diffCase, pageSize) => {
        const { counts, changes } = await readAll(differs[how], diffCase, pageSize);
        const expected = diffByKey(diffCase.from, diffCase.to, diffCase.key ?? []);
        expect(asJson(changes)).toEqual(asJson(expected));
        expect(counts).toEqual({ added: countOf(expected, 'added'), removed: countOf(expected, 'removed'), changed: countOf(expected, 'changed') });
      });
      await fc.assert(property, { numRuns: 30 });
    },
    PROPERTY_TIMEOUT_MS,
  );
});

test(
  'DIFF6 DIFF7 a diff without a key says what the plain comparison says, in order',
  async () => {
    const property = fc.asyncProperty(diffCases(false), fc.integer({ min: 1, max: 9 }), async (diffCase, pageSize) => {
      const { counts, changes } = await readAll(differs.whole, diffCase, pageSize);
      const expected = diffAsMultiset(diffCase.from, diffCase.to);
      expect(asJson(changes)).toEqual(asJson(expected));
      expect(counts).toEqual({ added: countOf(expected, 'added'), removed: countOf(expected, 'removed'), changed: 0 });
    });
    await fc.assert(property, { numRuns: 30 });
  },
  PROPERTY_TIMEOUT_MS,
);
