import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Change, type ContentFile, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer } from '../../server/storage/parquet/diff.ts';
import { COLUMNS, changesOf, type DiffBench, openDiffBench } from '../support/diff-bench.ts';
import { contentOf, type TypedColumn } from '../support/parquet.ts';

let bench: DiffBench;
const control = { signal: new AbortController().signal };

beforeAll(async () => {
  bench = await openDiffBench();
});

afterAll(() => bench.close());

describe('DIFF8 files of both sides', () => {
  test('DIFF8 versions of the same files are answered without reading them', async () => {
    const differ = await bench.open();
    const file = { ...(await bench.file([[1, 'a']])), path: join(bench.workshop.directory, 'absent.parquet') };
    const content = contentOf(COLUMNS, [file]);
    const result = await differ.diff({ content, scope: UNRESTRICTED }, { content, scope: UNRESTRICTED }, ['id'], control);
    expect(result).toMatchObject({ counts: { added: 0, removed: 0, changed: 0 }, changes: 0 });
    expect(await result.page(0, 10, control)).toEqual([]);
  });

  test('DIFF8 without a key a shared file is not read', async () => {
    const differ = await bench.open();
    const shared = { ...(await bench.file([[1, 'a']])), path: join(bench.workshop.directory, 'absent.parquet') };
    const [old, fresh] = [
      await bench.file([
        [2, 'b'],
        [2, 'b'],
        [3, 'c'],
      ]),
      await bench.file([
        [3, 'c'],
        [2, 'b'],
        [4, 'd'],
      ]),
    ];
    const changes = await changesOf(differ, { from: contentOf(COLUMNS, [shared, old]), to: contentOf(COLUMNS, [fresh, shared]), key: null });
    expect(changes).toEqual([
      { kind: 'removed', row: { id: 2, v: 'b' }, count: 1 },
      { kind: 'added', row: { id: 4, v: 'd' }, count: 1 },
    ]);
  });

  test('DIFF8 a file that one side has twice is shared once', async () => {
    const differ = await bench.open();
    const file = await bench.file([[1, 'a']]);
    const changes = await changesOf(differ, { from: contentOf(COLUMNS, [file]), to: contentOf(COLUMNS, [file, file]), key: null });
    expect(changes).toEqual([{ kind: 'added', row: { id: 1, v: 'a' }, count: 1 }]);
  });
});

describe('DIFF7 pages', () => {
  test('DIFF7 a page that is full in bytes ends early, and the next goes on there', async () => {
    const differ = await bench.open({ pageBytesMax: 500 });
    const rows = Array.from({ length: 30 }, (_unused, index) => [index, 'x'.repeat(index * 40)] as const);
    const content = contentOf(COLUMNS, [await bench.file(rows)]);
    const empty = contentOf(COLUMNS, []);
    const result = await differ.diff({ content: empty, scope: UNRESTRICTED }, { content, scope: UNRESTRICTED }, ['id'], control);
    const pages: Change[][] = [];
    for (let position = 0; position < result.changes; position += pages.at(-1)?.length ?? 0) {
      const page = await result.page(position, 30, control);
      expect(page.length).toBeGreaterThan(0);
      pages.push(page);
    }
    expect(pages.length).toBeGreaterThan(10);
    expect(pages.flat().map((change) => 'key' in change && change.key.id)).toEqual(rows.map(([id]) => id));
  });
});

describe('DIFF9 scopes', () => {
  const wide: readonly TypedColumn[] = [...COLUMNS, { name: 'secret', type: 'INTEGER' }];
  const wideFile = (rows: string): Promise<ContentFile> => bench.workshop.file(`SELECT * FROM (VALUES ${rows}) t(id, v, secret)`, wide);
  const masked: Scope = { parts: [{ rows: null, mask: { hidden: ['secret'], columnIdsBelow: 100 } }] };
  const filtered: Scope = {
    parts: [{ rows: { sql: '"secret" < CAST(? AS INTEGER)', values: ['10'], columns: [{ name: 'secret', type: 'INTEGER' }] }, mask: null }],
  };

  test('DIFF9 a hidden column is neither compared nor shown nor usable as key', async () => {
    const differ = await bench.open();
    const from = contentOf(wide, [await wideFile("(1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")]);
    const to = contentOf(wide, [await wideFile("(1, 'a', 7), (2, 'x', 2), (3, 'c', 4)")]);
    expect(await changesOf(differ, { from, to, scope: masked })).toEqual([
      { kind: 'changed', key: { id: 2 }, before: { id: 2, v: 'b' }, after: { id: 2, v: 'x' }, changed: ['v'] },
    ]);
    expect(await changesOf(differ, { from, to, scope: masked, key: null })).toHaveLength(2);
    await expect(changesOf(differ, { from, to, scope: masked, key: ['secret'] })).rejects.toMatchObject({
      details: { side: 'from', columns: ['secret'] },
    });
  });

  test('DIFF9 hidden rows are as if they were not there', async () => {
    const differ = await bench.open();
    const shared = await wideFile("(8, 'h', 90), (9, 'i', 9)");
    const from = contentOf(wide, [await wideFile("(1, 'a', 1), (2, 'b', 20), (3, 'c', 3), (3, 'c', 30)"), shared]);
    const to = contentOf(wide, [shared, await wideFile("(1, 'a', 10), (2, 'b', 2), (3, 'c', 3), (8, 'x', 40)")]);
    expect(await changesOf(differ, { from, to, scope: filtered })).toEqual([
      { kind: 'removed', key: { id: 1 }, before: { id: 1, v: 'a', secret: 1 } },
      { kind: 'added', key: { id: 2 }, after: { id: 2, v: 'b', secret: 2 } },
    ]);
  });

  test('DIFF9 two scopes of one version are compared as each shows it', async () => {
    const differ = await bench.open();
    const content = contentOf(wide, [await wideFile("(1, 'a', 1), (2, 'b', 20)")]);
    const result = await differ.diff({ content, scope: filtered }, { content, scope: UNRESTRICTED }, ['id'], control);
    expect(await result.page(0, 10, control)).toEqual([{ kind: 'added', key: { id: 2 }, after: { id: 2, v: 'b', secret: 20 } }]);
  });
});

test('results of an earlier run are removed', async () => {
  const { broker, limits, log } = bench.workshop;
  const directory = join(bench.workshop.directory, 'reopened');
  const first = await createDiffer({ broker, limits, log, directory });
  const [from, to] = [contentOf(COLUMNS, []), contentOf(COLUMNS, [await bench.file([[1, 'a']])])];
  expect(await changesOf(first, { from, to })).toHaveLength(1);
  expect(await readdir(directory)).toHaveLength(1);
  const second = await createDiffer({ broker, limits, log, directory });
  expect(await readdir(directory)).toEqual([]);
  await second.close();
  await first.close();
});
