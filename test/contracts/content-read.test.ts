import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../server/shared/assert.ts';
import type { ColumnStatistics, Content, Row, ScopedContent } from '../../server/storage/content-store.ts';
import { readRows } from '../../server/storage/parquet/json-values.ts';
import { bytes, calm, contentOfIngested, independentRows, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';

let content: TestContent;
let flights: Content;
/** Files of 3, 0, 4 and 2 rows; the third lacks the last column, and has the first as a narrower type. */
let pieces: Content;

beforeAll(async () => {
  content = await openTestContent();
  flights = contentOfIngested(await content.ingest(samplePath('flights-3m.parquet')));
  const texts = ['id,name,late\n1,a,x\n2,b,\n3,c,z\n', 'id,name,late\n', 'id,name\n4,d\n5,e\n6,f\n7,g\n', 'id,name,late\n8.5,h,y\n9,,\n'];
  const parts = [];
  for (const text of texts) parts.push(contentOfIngested(await content.ingest(bytes(text))));
  const whole = parts.at(-1) as Content;
  pieces = { ...whole, rows: 9, files: parts.flatMap(({ files }) => files) };
});

afterAll(async () => {
  await content?.close();
});

const window = (source: ScopedContent, startRow: number, endRow: number, columns?: readonly string[], bytesMax = 1e9): Promise<Row[]> =>
  content.store.rows(source, { startRow, endRow, columns, bytesMax }, calm());

describe('rows', () => {
  const all = [
    { id: 1, name: 'a', late: 'x' },
    { id: 2, name: 'b', late: null },
    { id: 3, name: 'c', late: 'z' },
    { id: 4, name: 'd', late: null },
    { id: 5, name: 'e', late: null },
    { id: 6, name: 'f', late: null },
    { id: 7, name: 'g', late: null },
    { id: 8.5, name: 'h', late: 'y' },
    { id: 9, name: null, late: null },
  ];

  test('EXP5 any window over files of different schemas, in the order of the files', async () => {
    for (let start = 0; start <= 10; start += 1) {
      for (let end = start; end <= 11; end += 1)
        expect(await window(unrestricted(pieces), start, end), `${start}..${end}`).toEqual(all.slice(start, end));
    }
  });

  test('EXP5 chosen columns in the order asked for, and as many rows as fit', async () => {
    const rows = await window(unrestricted(pieces), 0, 2, ['late', 'id']);
    expect(rows.map((row) => Object.entries(row))).toEqual([
      [
        ['late', 'x'],
        ['id', 1],
      ],
      [
        ['late', null],
        ['id', 2],
      ],
    ]);
    expect(await window(unrestricted(pieces), 0, 9, undefined, 80)).toEqual(all.slice(0, 2));
    expect(await window(unrestricted(pieces), 0, 9, undefined, 1)).toEqual(all.slice(0, 1));
  });

  test('EXP5 windows of a large version are those that DuckDB reads', async () => {
    for (const start of [0, 61_439, 122_880, 2_999_990]) {
      const rows = await window(unrestricted(flights), start, start + 5);
      const [file] = flights.files;
      const expected = await independentRows(
        `SELECT * EXCLUDE (file_row_number) FROM read_parquet('${file?.path}', file_row_number = true) WHERE file_row_number BETWEEN ${start} AND ${start + 4} ORDER BY file_row_number`,
      );
      expect(rows.map(({ delay, distance, origin }) => [String(delay), String(distance), origin])).toEqual(
        expected.map(([, delay, distance, origin]) => [delay, distance, origin]),
      );
    }
    expect(await content.store.count(unrestricted(flights), calm())).toBe(3_000_000);
  });

  test('ING19 files joined into one keep their rows and their order', async () => {
    const merged = await content.store.merge(pieces, calm());
    expect(merged).toMatchObject({ rows: 9, schemaHash: pieces.schemaHash });
    expect(await window(unrestricted({ ...pieces, files: [merged] }), 0, 100)).toEqual(all);
  });
});

describe('statistics', () => {
  const of = async (source: Content, columns?: readonly string[]): Promise<Record<string, ColumnStatistics>> => {
    const described = await content.store.statistics(unrestricted(source), columns, calm());
    return Object.fromEntries(described.map((column) => [column.name, column]));
  };

  test('EXP5 are those of the rows', async () => {
    const { id, name, late } = await of(pieces);
    expect(id).toMatchObject({ type: 'DOUBLE', nulls: 0, distinct: 9, min: 1, max: 9 });
    expect(id?.mean).toBeCloseTo(45.5 / 9);
    expect(id?.standardDeviation).toBeCloseTo(Math.sqrt(63.2222 / 8), 3);
    expect(name).toMatchObject({ type: 'VARCHAR', nulls: 1, distinct: 8, min: 'a', max: 'h', mean: null, standardDeviation: null });
    expect(late).toMatchObject({ nulls: 6, distinct: 3, min: 'x', max: 'z' });
    expect(Object.keys(await of(pieces, ['late', 'id']))).toEqual(['late', 'id']);
  });

  test('EXP5 of values of every kind', async () => {
    const text =
      '[{"list":[1],"struct":{"a":1},"number":1.5,"flag":true,"day":"2020-01-01","big":9007199254740993},{"number":NaN,"list":null},{"number":Infinity,"flag":false}]';
    const described = await of(contentOfIngested(await content.ingest(bytes(text))));
    expect(described.list).toMatchObject({ nulls: 2, distinct: 1, min: null, max: null, mean: null });
    expect(described.struct).toMatchObject({ nulls: 2, min: null, max: null });
    expect(described.number).toMatchObject({ nulls: 0, min: 1.5, max: 'NaN', mean: 1.5 });
    expect(described.flag).toMatchObject({ min: false, max: true, mean: null });
    expect(described.day).toMatchObject({ min: '2020-01-01', max: '2020-01-01' });
    expect(described.big).toMatchObject({ min: '9007199254740993', max: '9007199254740993' });
  });

  test('EXP5 of a version without rows', async () => {
    const empty = contentOfIngested(await content.ingest(bytes('a\n')));
    expect(await of(empty)).toEqual({
      a: { name: 'a', type: 'VARCHAR', nulls: 0, distinct: 0, min: null, max: null, mean: null, standardDeviation: null },
    });
    expect(await window(unrestricted(empty), 0, 10)).toEqual([]);
    expect(await content.store.count(unrestricted({ ...empty, files: [] }), calm())).toBe(0);
  });

  test('SCOPE14 tell no digits that depend on how threads share the rows', async () => {
    const values = Array.from({ length: 5_000 }, (_unused, index) => Math.sin(index) * 1e6);
    const source = contentOfIngested(await content.ingest(bytes(`x\n${values.join('\n')}\n`)));
    const [x] = await content.store.statistics(unrestricted(source), undefined, calm());
    for (const told of [x?.mean, x?.standardDeviation])
      expect(
        String(told)
          .replace(/[-.]|e.*|^0+/g, '')
          .replace(/^0+/, '').length,
      ).toBeLessThanOrEqual(12);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(x?.mean).toBeCloseTo(mean, 4);
  });
});

test('RPC18 rows of a wide table are made a little at a time, between which others have their turn', async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const names = Array.from({ length: 700 }, (_unused, index) => `c${index}`);
  const result = await connection.stream(`SELECT ${names.map((name, index) => `range * ${index} AS ${name}`).join(', ')} FROM range(50)`);
  const chunk = present(await result.fetchChunk(), 'a chunk');
  let turns = 0;
  const over = {
    over: true,
    next: async () => {
      turns += 1;
    },
  };
  const sizes: number[] = [];
  let last: Row | undefined;
  for await (const rows of readRows(chunk, { names }, over)) {
    sizes.push(rows.length);
    last = rows.at(-1);
  }
  expect(Math.max(...sizes) * names.length).toBeLessThanOrEqual(2_000);
  expect([sizes.reduce((sum, size) => sum + size, 0), turns, last?.c699]).toEqual([50, sizes.length, 49 * 699]);
  connection.closeSync();
  instance.closeSync();
});
