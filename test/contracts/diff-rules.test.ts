import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Content, ContentFile } from '../../server/storage/content-store.ts';
import { COLUMNS, changesOf, type DiffBench, openDiffBench } from '../support/diff-bench.ts';
import { contentOf, type TypedColumn } from '../support/parquet.ts';

let bench: DiffBench;

beforeAll(async () => {
  bench = await openDiffBench();
});

afterAll(() => bench.close());

describe('DIFF5 keys that do not tell rows apart', () => {
  const refused = (side: string, problem: string, keys: unknown[]) => ({
    code: 'unprocessable_data',
    details: { side, problem, columns: ['id'], keys },
  });

  test('DIFF5 a NULL is named with its side', async () => {
    const differ = await bench.open();
    const good = contentOf(COLUMNS, [await bench.file([[1, 'a']])]);
    const bad = contentOf(COLUMNS, [
      await bench.file([
        [null, 'a'],
        [2, 'b'],
      ]),
    ]);
    await expect(changesOf(differ, { from: good, to: bad })).rejects.toMatchObject(refused('to', 'null', [{ id: null }]));
    await expect(changesOf(differ, { from: bad, to: good })).rejects.toMatchObject(refused('from', 'null', [{ id: null }]));
  });

  test('DIFF5 duplicates are found within a file, between files, and at most five are named', async () => {
    const differ = await bench.open();
    const good = contentOf(COLUMNS, [await bench.file([[1, 'a']])]);
    const within = contentOf(COLUMNS, [
      await bench.file([
        [3, 'a'],
        [2, 'b'],
        [3, 'a'],
      ]),
    ]);
    await expect(changesOf(differ, { from: within, to: good })).rejects.toMatchObject(refused('from', 'duplicate', [{ id: 3 }]));
    const between = contentOf(COLUMNS, [
      await bench.file([
        [4, 'a'],
        [5, 'b'],
      ]),
      await bench.file([
        [5, 'b'],
        [6, 'c'],
      ]),
    ]);
    await expect(changesOf(differ, { from: good, to: between })).rejects.toMatchObject(refused('to', 'duplicate', [{ id: 5 }]));
    const many = contentOf(COLUMNS, [await bench.file(Array.from({ length: 40 }, (_unused, index) => [index % 20, 'x'] as const))]);
    await expect(changesOf(differ, { from: good, to: many })).rejects.toMatchObject(
      refused(
        'to',
        'duplicate',
        [0, 1, 2, 3, 4].map((id) => ({ id })),
      ),
    );
  });

  test('DIFF5 duplicates are found in a shared file, and between it and another one', async () => {
    const differ = await bench.open();
    const [shared, repeated] = [
      await bench.file([
        [1, 'a'],
        [2, 'b'],
      ]),
      await bench.file([
        [7, 'a'],
        [7, 'b'],
      ]),
    ];
    const [next, clash] = [
      await bench.file([[3, 'c']]),
      await bench.file([
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
    const differ = await bench.open();
    const from = contentOf(COLUMNS, [await bench.file([[1, 'a']])]);
    const columns = [{ name: 'other', type: 'INTEGER' }];
    const to = contentOf(columns, [await bench.workshop.file('SELECT 1::INTEGER AS other', columns)]);
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
    ['DECIMAL(4,1)[]', '[1.0]', 'DOUBLE', '1.0'],
  ];

  const compare = async (cases: typeof SAME): Promise<string[]> => {
    const differ = await bench.open();
    const side = (which: 0 | 2): readonly TypedColumn[] => [
      { name: 'id', type: 'INTEGER' },
      ...cases.map((row, index) => ({ name: `c${index}`, type: row[which] })),
    ];
    const content = async (which: 0 | 2): Promise<Content> => {
      const cells = cases.map((row, index) => `CAST(${row[which + 1]} AS ${row[which]}) AS c${index}`);
      return contentOf(side(which), [await bench.workshop.file(`SELECT 1::INTEGER AS id, ${cells.join(', ')}`, side(which))]);
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
