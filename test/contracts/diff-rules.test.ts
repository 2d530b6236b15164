import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Limits } from '../../protocol/limits.ts';
import { type Change, type Content, type ContentFile, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ } from '../../server/storage/parquet/diff.ts';
import { contentOf, openWorkshop, type ParquetWorkshop, type TypedColumn } from '../support/parquet.ts';

let workshop: ParquetWorkshop;
const differs: Differ[] = [];
const control = { signal: new AbortController().signal };

beforeAll(async () => {
  workshop = await openWorkshop();
});

afterAll(async () => {
  for (const differ of differs) await differ.close();
  await workshop.close();
});

async function openDiffer(overrides: Partial<Limits> = {}): Promise<Differ> {
  const { broker, limits, log } = workshop;
  const directory = join(workshop.directory, `differ-${differs.length}`);
  await mkdir(directory);
  const differ = await createDiffer({ broker, log, limits: { ...limits, ...overrides }, directory });
  differs.push(differ);
  return differ;
}

const COLUMNS: readonly TypedColumn[] = [
  { name: 'id', type: 'INTEGER' },
  { name: 'v', type: 'VARCHAR' },
];

/** A file of rows `[id, v]`. */
function fileOf(rows: readonly (readonly [number | null, string])[]): Promise<ContentFile> {
  const values = rows.map(([id, v]) => `(${id ?? 'NULL'}::INTEGER, '${v}')`).join(', ');
  return workshop.file(`SELECT * FROM (VALUES ${values}) t(id, v)`, COLUMNS);
}

interface Asked {
  readonly from: Content;
  readonly to: Content;
  readonly key?: readonly string[] | null;
  readonly scope?: Scope;
}

async function changesOf(differ: Differ, { from, to, key = ['id'], scope = UNRESTRICTED }: Asked): Promise<Change[]> {
  const result = await differ.diff({ content: from, scope }, { content: to, scope }, key, control);
  const changes = await result.page(0, 10_000, control);
  expect(changes.length).toBe(result.changes);
  return changes;
}

describe('DIFF5 keys that do not tell rows apart', () => {
  const refused = (side: string, problem: string, keys: unknown[]) => ({
    code: 'unprocessable_data',
    details: { side, problem, columns: ['id'], keys },
  });

  test('DIFF5 a NULL is named with its side', async () => {
    const differ = await openDiffer();
    const good = contentOf(COLUMNS, [await fileOf([[1, 'a']])]);
    const bad = contentOf(COLUMNS, [
      await fileOf([
        [null, 'a'],
        [2, 'b'],
      ]),
    ]);
    await expect(changesOf(differ, { from: good, to: bad })).rejects.toMatchObject(refused('to', 'null', [{ id: null }]));
    await expect(changesOf(differ, { from: bad, to: good })).rejects.toMatchObject(refused('from', 'null', [{ id: null }]));
  });

  test('DIFF5 duplicates are found within a file, between files, and at most five are named', async () => {
    const differ = await openDiffer();
    const good = contentOf(COLUMNS, [await fileOf([[1, 'a']])]);
    const within = contentOf(COLUMNS, [
      await fileOf([
        [3, 'a'],
        [2, 'b'],
        [3, 'a'],
      ]),
    ]);
    await expect(changesOf(differ, { from: within, to: good })).rejects.toMatchObject(refused('from', 'duplicate', [{ id: 3 }]));
    const between = contentOf(COLUMNS, [
      await fileOf([
        [4, 'a'],
        [5, 'b'],
      ]),
      await fileOf([
        [5, 'b'],
        [6, 'c'],
      ]),
    ]);
    await expect(changesOf(differ, { from: good, to: between })).rejects.toMatchObject(refused('to', 'duplicate', [{ id: 5 }]));
    const many = contentOf(COLUMNS, [await fileOf(Array.from({ length: 40 }, (_unused, index) => [index % 20, 'x'] as const))]);
    await expect(changesOf(differ, { from: good, to: many })).rejects.toMatchObject(
      refused(
        'to',
        'duplicate',
        [0, 1, 2, 3, 4].map((id) => ({ id })),
      ),
    );
  });

  test('DIFF5 duplicates are found in a shared file, and between it and another one', async () => {
    const differ = await openDiffer();
    const [shared, repeated] = [
      await fileOf([
        [1, 'a'],
        [2, 'b'],
      ]),
      await fileOf([
        [7, 'a'],
        [7, 'b'],
      ]),
    ];
    const [next, clash] = [
      await fileOf([[3, 'c']]),
      await fileOf([
        [9, 'x'],
        [2, 'z'],
      ]),
    ];
    const version = (...files: ContentFile[]): Content => contentOf(COLUMNS, files);
    await expect(changesOf(differ, { from: version(repeated), to: version(repeated, next) })).rejects.toMatchObject(
      refused('from', 'duplicate', [{ id: 7 }]),
    );
    await expect(changesOf(differ, { from: version(shared), to: version(shared, clash) })).rejects.toMatchObject(
      refused('to', 'duplicate', [{ id: 2 }]),
    );
    // Once the first versions are known to be in order, only what is new is looked at.
    expect(await changesOf(differ, { from: version(shared), to: version(shared, next) })).toHaveLength(1);
    await expect(changesOf(differ, { from: version(shared, next), to: version(shared, next, clash) })).rejects.toMatchObject(
      refused('to', 'duplicate', [{ id: 2 }]),
    );
  });

  test('DIFF5 a key column that a side lacks is named', async () => {
    const differ = await openDiffer();
    const from = contentOf(COLUMNS, [await fileOf([[1, 'a']])]);
    const columns = [{ name: 'other', type: 'INTEGER' }];
    const to = contentOf(columns, [await workshop.file('SELECT 1::INTEGER AS other', columns)]);
    await expect(changesOf(differ, { from, to })).rejects.toMatchObject({ code: 'unprocessable_data', details: { side: 'to', columns: ['id'] } });
    await expect(changesOf(differ, { from, to: from, key: ['id', 'nope'] })).rejects.toMatchObject({ details: { side: 'from', columns: ['nope'] } });
  });
});

describe('DIFF3 equality', () => {
  const SAME: readonly [type: string, value: string, otherType: string, other: string][] = [
    ['DOUBLE', "'nan'", 'DOUBLE', "'nan'"],
    ['DOUBLE', "'-0.0'", 'DOUBLE', '0.0'],
    ['INTEGER', '1', 'DOUBLE', '1.0'],
    ['BIGINT', '9007199254740993', 'UBIGINT', '9007199254740993'],
    ['DECIMAL(10,2)', '1.50', 'DECIMAL(18,4)', '1.5'],
    ['DECIMAL(38,30)', '2', 'BIGINT', '2'],
    ['FLOAT', '0.5', 'DOUBLE', '0.5'],
    ['DATE', "'2024-02-29'", 'TIMESTAMP', "'2024-02-29 00:00:00'"],
    ['TIMESTAMP', "'2024-02-29 12:00:00'", 'TIMESTAMP WITH TIME ZONE', "'2024-02-29 12:00:00+00'"],
    ['DATE', "'infinity'", 'TIMESTAMP_NS', "'infinity'"],
    ['BIGINT', '1', 'VARCHAR', "'1'"],
    ['BOOLEAN', 'true', 'VARCHAR', "'true'"],
    ['INTERVAL', "'1 month'", 'INTERVAL', "'30 days'"],
    ['INTEGER', 'NULL', 'VARCHAR', 'NULL'],
    ['INTEGER[]', '[1, NULL]', 'INTEGER[]', '[1, NULL]'],
  ];
  const OTHER: typeof SAME = [
    ['DOUBLE', "'nan'", 'DOUBLE', 'NULL'],
    ['DOUBLE', '0.0', 'VARCHAR', "'0'"],
    ['INTEGER', '1', 'DOUBLE', '1.5'],
    ['BIGINT', '9007199254740993', 'UBIGINT', '9007199254740992'],
    ['DECIMAL(10,2)', '1.50', 'DECIMAL(18,4)', '1.5001'],
    ['FLOAT', '0.1', 'DOUBLE', '0.1'],
    ['DATE', "'2024-02-29'", 'TIMESTAMP', "'2024-02-29 00:00:01'"],
    ['DATE', "'9999-12-31'", 'TIMESTAMP_NS', "'2262-01-01 00:00:00'"],
    ['BIGINT', '1', 'VARCHAR', "'01'"],
    ['BOOLEAN', 'true', 'INTEGER', '1'],
    ['VARCHAR', "'a'", 'VARCHAR', "'A'"],
    ['VARCHAR', "'\u00e9'", 'VARCHAR', "'e\u0301'"],
    ['VARCHAR', "''", 'VARCHAR', 'NULL'],
    ['INTEGER', 'NULL', 'VARCHAR', "'NULL'"],
    ['INTEGER[]', '[1, NULL]', 'INTEGER[]', '[1]'],
  ];

  const compare = async (cases: typeof SAME): Promise<string[]> => {
    const differ = await openDiffer();
    const side = (which: 0 | 2): readonly TypedColumn[] => [
      { name: 'id', type: 'INTEGER' },
      ...cases.map((row, index) => ({ name: `c${index}`, type: row[which] })),
    ];
    const content = async (which: 0 | 2): Promise<Content> => {
      const cells = cases.map((row, index) => `CAST(${row[which + 1]} AS ${row[which]}) AS c${index}`);
      return contentOf(side(which), [await workshop.file(`SELECT 1::INTEGER AS id, ${cells.join(', ')}`, side(which))]);
    };
    const [change] = await changesOf(differ, { from: await content(0), to: await content(2) });
    return change !== undefined && 'changed' in change ? (change.changed ?? []) : [];
  };

  test('DIFF3 values that are equal', async () => {
    expect((await compare(SAME)).map((name) => SAME[Number(name.slice(1))])).toEqual([]);
  });

  test('DIFF3 values that differ', async () => {
    expect(await compare(OTHER)).toEqual(OTHER.map((_row, index) => `c${index}`));
  });
});

describe('DIFF8 files of both sides', () => {
  test('DIFF8 versions of the same files are answered without reading them', async () => {
    const differ = await openDiffer();
    const file = { ...(await fileOf([[1, 'a']])), path: join(workshop.directory, 'absent.parquet') };
    const content = contentOf(COLUMNS, [file]);
    const result = await differ.diff({ content, scope: UNRESTRICTED }, { content, scope: UNRESTRICTED }, ['id'], control);
    expect(result).toMatchObject({ counts: { added: 0, removed: 0, changed: 0 }, changes: 0 });
    expect(await result.page(0, 10, control)).toEqual([]);
  });

  test('DIFF8 without a key a shared file is not read', async () => {
    const differ = await openDiffer();
    const shared = { ...(await fileOf([[1, 'a']])), path: join(workshop.directory, 'absent.parquet') };
    const [old, fresh] = [
      await fileOf([
        [2, 'b'],
        [2, 'b'],
        [3, 'c'],
      ]),
      await fileOf([
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
    const differ = await openDiffer();
    const file = await fileOf([[1, 'a']]);
    const changes = await changesOf(differ, { from: contentOf(COLUMNS, [file]), to: contentOf(COLUMNS, [file, file]), key: null });
    expect(changes).toEqual([{ kind: 'added', row: { id: 1, v: 'a' }, count: 1 }]);
  });
});

describe('DIFF7 pages', () => {
  test('DIFF7 a page that is full in bytes ends early, and the next goes on there', async () => {
    const differ = await openDiffer({ pageBytesMax: 500 });
    const rows = Array.from({ length: 30 }, (_unused, index) => [index, 'x'.repeat(index * 40)] as const);
    const content = contentOf(COLUMNS, [await fileOf(rows)]);
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
  const wideFile = (rows: string): Promise<ContentFile> => workshop.file(`SELECT * FROM (VALUES ${rows}) t(id, v, secret)`, wide);
  const masked: Scope = { parts: [{ rows: null, mask: { hidden: ['secret'], columnIdsBelow: 100 } }] };
  const filtered: Scope = {
    parts: [{ rows: { sql: '"secret" < CAST(? AS INTEGER)', values: ['10'], columns: [{ name: 'secret', type: 'INTEGER' }] }, mask: null }],
  };

  test('DIFF9 a hidden column is neither compared nor shown nor usable as key', async () => {
    const differ = await openDiffer();
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
    const differ = await openDiffer();
    const shared = await wideFile("(8, 'h', 90), (9, 'i', 9)");
    const from = contentOf(wide, [await wideFile("(1, 'a', 1), (2, 'b', 20), (3, 'c', 3), (3, 'c', 30)"), shared]);
    const to = contentOf(wide, [shared, await wideFile("(1, 'a', 10), (2, 'b', 2), (3, 'c', 3), (8, 'x', 40)")]);
    expect(await changesOf(differ, { from, to, scope: filtered })).toEqual([
      { kind: 'removed', key: { id: 1 }, before: { id: 1, v: 'a', secret: 1 } },
      { kind: 'added', key: { id: 2 }, after: { id: 2, v: 'b', secret: 2 } },
    ]);
  });

  test('DIFF9 two scopes of one version are compared as each shows it', async () => {
    const differ = await openDiffer();
    const content = contentOf(wide, [await wideFile("(1, 'a', 1), (2, 'b', 20)")]);
    const result = await differ.diff({ content, scope: filtered }, { content, scope: UNRESTRICTED }, ['id'], control);
    expect(await result.page(0, 10, control)).toEqual([{ kind: 'added', key: { id: 2 }, after: { id: 2, v: 'b', secret: 20 } }]);
  });
});

test('results of an earlier run are removed', async () => {
  const { broker, limits, log } = workshop;
  const directory = join(workshop.directory, 'reopened');
  const first = await createDiffer({ broker, limits, log, directory });
  const [from, to] = [contentOf(COLUMNS, []), contentOf(COLUMNS, [await fileOf([[1, 'a']])])];
  expect(await changesOf(first, { from, to })).toHaveLength(1);
  expect(await readdir(directory)).toHaveLength(1);
  const second = await createDiffer({ broker, limits, log, directory });
  expect(await readdir(directory)).toEqual([]);
  await second.close();
  await first.close();
});
