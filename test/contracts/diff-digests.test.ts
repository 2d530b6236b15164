import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Limits } from '../../protocol/limits.ts';
import type { Content } from '../../server/storage/content-store.ts';
import { ask, type DigestBench, openDigestBench, versionOf } from '../support/digest-bench.ts';
import { openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

let workshop: ParquetWorkshop;

beforeAll(async () => {
  workshop = await openWorkshop();
});

afterAll(() => workshop.close());

const open = (overrides: Partial<Limits>): Promise<DigestBench> => openDigestBench(workshop, overrides);

/** What cells say, and what digests of the same rows say. */
async function sayBoth(from: Content, to: Content, key: readonly string[] = ['id'], overrides: Partial<Limits> = {}) {
  const [cells, digests] = [await open({ ...overrides, diffDigestBytesMax: 0 }), await open(overrides)];
  const byCells = await ask(cells.differ, { from, to, key });
  await ask(digests.differ, { from: to, to: from, key });
  await digests.differ.idle();
  expect(digests.counts).toMatchObject({ hits: 0, misses: 1 });
  const byDigests = await ask(digests.differ, { from, to, key, page: from.rows > 10_000 ? 10_000 : 97 });
  expect(digests.counts).toMatchObject({ hits: 1, misses: 1 });
  expect(cells.counts.hits).toBe(0);
  return { byCells, byDigests, files: await digests.files() };
}

/** Values of each type that takes part, among them those that only a careless text would tell apart, or not. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  BOOLEAN: ['true', 'false'],
  TINYINT: ['-128', '0', '127'],
  SMALLINT: ['-32768', '1', '11'],
  INTEGER: ['-1', '1', '11', '111'],
  BIGINT: ['9007199254740992', '9007199254740993', '-9223372036854775808'],
  UTINYINT: ['0', '255'],
  USMALLINT: ['1', '65535'],
  UINTEGER: ['2', '4294967295'],
  UBIGINT: ['18446744073709551614', '18446744073709551615'],
  'DECIMAL(4,1)': ['1.0', '0.1', '-0.1'],
  'DECIMAL(38,10)': ['1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456788'],
  FLOAT: ["'nan'::FLOAT", "-('nan'::FLOAT)", '0.0', "'-0.0'::FLOAT", '16777216', '16777218', "'inf'::FLOAT"],
  DOUBLE: [
    "'nan'::DOUBLE",
    "-('nan'::DOUBLE)",
    '0.0',
    "'-0.0'::DOUBLE",
    '0.1::DOUBLE',
    '0.1::DOUBLE + 0.2::DOUBLE',
    '0.3::DOUBLE',
    '5e-324',
    "'-inf'::DOUBLE",
  ],
  DATE: ["'2024-02-29'", "'0001-01-01'", "'0002-01-01 (BC)'", "'infinity'", "'-infinity'"],
  TIME: ["'00:00:00'", "'23:59:59.999999'", "'23:59:59.99999'"],
  TIMESTAMP_S: ["'2024-02-29 12:00:00'", "'2024-02-29 12:00:01'"],
  TIMESTAMP_MS: ["'2024-02-29 12:00:00.001'", "'2024-02-29 12:00:00.01'"],
  TIMESTAMP: ["'2024-02-29 12:00:00'", "'2024-02-29 12:00:00.000001'", "'infinity'"],
  TIMESTAMP_NS: ["'2024-02-29 12:00:00.000000001'", "'2024-02-29 12:00:00.000000002'"],
  'TIMESTAMP WITH TIME ZONE': ["'2024-02-29 12:00:00+00'", "'2024-02-29 12:00:00+01'", "'infinity'"],
  UUID: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  VARCHAR: ["''", "'|'", "'-'", "'1:a'", "':'", "'a|b'", "'NULL'", "'ü 🙂'", "'a' || chr(0) || 'b'", "repeat('long', 300)"],
  BLOB: ["''::BLOB", "'\\x00'::BLOB", "'\\x5Cx00'::BLOB", "'a|b'::BLOB"],
};

const TYPES = Object.keys(VALUES);
const nameOf = (type: string): string => `c${TYPES.indexOf(type)}`;
const COLUMNS = [{ name: 'id', type: 'BIGINT' }, ...TYPES.map((type) => ({ name: nameOf(type), type }))];

/** A cell by the key and a seed; NULL now and then. */
const pick = (type: string, seed: string): string => {
  const values = VALUES[type] ?? [];
  const list = values.map((value) => `CAST(${value} AS ${type})`).join(', ');
  return `[NULL, ${list}][1 + (hash(id, '${type}', ${seed}) % ${values.length + 1})::INTEGER]`;
};

/** Rows of some keys; every 20th cell is another than with another `edit`. */
function rows(seed: number, edit: number, where: string, order: string): string {
  const cells = TYPES.map((type) => {
    const isEdited = `hash(id, '${type}', ${seed}, 'edit') % 20 = 0`;
    return `${pick(type, `CASE WHEN ${isEdited} THEN ${edit} ELSE ${seed} END`)} AS ${nameOf(type)}`;
  });
  return `SELECT id, ${cells.join(', ')} FROM (SELECT range - 150 AS id FROM range(400)) WHERE ${where} ORDER BY ${order}`;
}

describe('digests and cells say the same', () => {
  test.each([1, 2, 3, 4])('DIFF14 of rows of every type, edited, moved, inserted and deleted, in several files (seed %i)', async (seed) => {
    const gone = (side: string): string => `hash(id, ${seed}, '${side}') % 10 <> 0`;
    const moved = `CASE WHEN hash(id, ${seed}, 'moved') % 7 = 0 THEN hash(id) ELSE id END`;
    const from = await versionOf(
      workshop,
      COLUMNS,
      rows(seed, 1, `id < 0 AND ${gone('from')}`, 'id'),
      rows(seed, 1, `id >= 0 AND ${gone('from')}`, 'id'),
    );
    const to = await versionOf(
      workshop,
      COLUMNS,
      rows(seed, 2, `id < 50 AND ${gone('to')}`, moved),
      rows(seed, 2, `id >= 50 AND ${gone('to')}`, moved),
    );
    const { byCells, byDigests } = await sayBoth(from, to);
    expect(byDigests).toEqual(byCells);
    for (const count of Object.values(byCells.counts)) expect(count).toBeGreaterThan(20);
  });

  test.each(TYPES)('DIFF14 of rows by a key with %s', async (type) => {
    const columns = [
      { name: 'part', type },
      { name: 'id', type: 'BIGINT' },
      { name: 'v', type: 'VARCHAR' },
    ];
    const values = (VALUES[type] ?? []).map((value) => `CAST(${value} AS ${type})`).join(', ');
    const version = (edit: number): Promise<Content> => {
      const part = `[${values}][1 + ((id + CASE WHEN hash(id, 'part') % 9 = 0 THEN ${edit} ELSE 0 END) % ${(VALUES[type] ?? []).length})::INTEGER]`;
      return versionOf(
        workshop,
        columns,
        `SELECT ${part} AS part, id, 'v' || CASE WHEN id % 10 = 0 THEN ${edit} ELSE 0 END AS v FROM (SELECT range AS id FROM range(200))`,
      );
    };
    const { byCells, byDigests } = await sayBoth(await version(1), await version(2), ['part', 'id']);
    expect(byDigests).toEqual(byCells);
    expect(byCells.counts.changed).toBeGreaterThan(10);
  });

  test('DIFF14 of cells of which only the bounds differ', async () => {
    const pairs = [
      ["'a|b', 'c'", "'a', 'b|c'"],
      ["'ab', 'c'", "'a', 'bc'"],
      ["NULL, ''", "'', NULL"],
      ["NULL, 'x'", "'x', NULL"],
      ["'-', ''", "NULL, '-'"],
      ["'1:a', ''", "'1:', 'a'"],
      ["'', '1:a'", "'1:a', ''"],
      ["'0:', NULL", "NULL, '0:'"],
    ];
    const columns = ['id', 'a', 'b'].map((name) => ({ name, type: name === 'id' ? 'INTEGER' : 'VARCHAR' }));
    const version = (side: 0 | 1): Promise<Content> =>
      versionOf(workshop, columns, `SELECT * FROM (VALUES ${pairs.map((pair, id) => `(${id}, ${pair[side]})`).join(', ')}) t(id, a, b)`);
    const { byCells, byDigests } = await sayBoth(await version(0), await version(1));
    expect(byDigests.counts.changed).toBe(pairs.length);
    expect(byDigests).toEqual(byCells);
  });

  test('DIFF14 of every number that a double can be written as', async () => {
    const columns = [
      { name: 'id', type: 'BIGINT' },
      { name: 'd', type: 'DOUBLE' },
      { name: 'f', type: 'FLOAT' },
    ];
    const version = (nudge: string): Promise<Content> =>
      versionOf(
        workshop,
        columns,
        `SELECT range AS id, nextafter(d, ${nudge}) AS d, d::FLOAT AS f
        FROM (SELECT range, ((hash(range) >> 12)::DOUBLE - 2::DOUBLE ** 51) * 10::DOUBLE ** ((hash(range, 1) % 40)::INTEGER - 30) AS d FROM range(5000))`,
      );
    const { byCells, byDigests } = await sayBoth(await version('d'), await version("'infinity'::DOUBLE"));
    expect(byDigests.counts).toEqual({ added: 0, removed: 0, changed: 5_000 });
    expect(byDigests).toEqual(byCells);
  });

  test('DIFF14 of files of which the digests are in several parts, compared in several passes', async () => {
    const columns = [
      { name: 'id', type: 'BIGINT' },
      { name: 'v', type: 'VARCHAR' },
    ];
    const select = (edit: string, order: string): string =>
      `SELECT range AS id, ${edit} AS v FROM range(150000) WHERE hash(range, '${edit.length}') % 500 <> 0 ORDER BY ${order}`;
    const behind = (edit: string): string =>
      `SELECT 200000 + range AS id, CASE WHEN range % 700 = 0 THEN '${edit}' ELSE 'w' END AS v FROM range(70000)`;
    const from = await versionOf(workshop, columns, select("'v'", 'range'), behind('a'));
    const edited = "CASE WHEN range % 300 = 0 THEN 'x' ELSE 'v' END";
    const to = await versionOf(workshop, columns, select(edited, 'CASE WHEN range % 1000 = 0 THEN hash(range) % 150000 ELSE range END'), behind('b'));
    const overrides = { duckdbMemoryBytes: 3 * 1024 * 1024, diffDigestCellsMax: 1 };
    const { byCells, byDigests, files } = await sayBoth(from, to, ['id'], overrides);
    expect(byDigests.counts).toEqual(byCells.counts);
    expect(byDigests.changes.length).toBe(byCells.changes.length);
    expect(byDigests).toEqual(byCells);
    expect(files).toHaveLength(3 + 2 + 3 + 2);
  });
});
