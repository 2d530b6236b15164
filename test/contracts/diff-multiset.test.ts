import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Content } from '../../server/storage/content-store.ts';
import type { Differ } from '../../server/storage/parquet/diff.ts';
import { changesOf, type DiffBench, openDiffBench } from '../support/diff-bench.ts';
import { contentOf, type TypedColumn } from '../support/parquet.ts';
import { seededRandom } from '../support/random.ts';

let bench: DiffBench;
/** Groups rows by their cells. */
let whole: Differ;
/** Has no memory to group by cells in. */
let digesting: Differ;

beforeAll(async () => {
  bench = await openDiffBench();
  whole = await bench.open();
  digesting = await bench.open({ duckdbMemoryBytes: 1 });
});

afterAll(async () => {
  await bench?.close();
});

/** Values of each type that are easily taken for one another, of which some are equal though they are written unlike. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  VARCHAR: ['NULL', "''", "'-'", "'0:'", "'1:a'", "'a|'", "'|'", "'é'", "'nan'"],
  DOUBLE: ['NULL', "'-0.0'", '0.0', "'nan'", "'-nan'", "'inf'", '0.1', '1e-300'],
  FLOAT: ['NULL', "'-0.0'", '0.0', "'nan'", '0.1'],
  BIGINT: ['NULL', '0', '1', '11', '-1', '9223372036854775807'],
  'DECIMAL(10,2)': ['NULL', '0', '1.10', '-1.1'],
  BOOLEAN: ['NULL', 'true', 'false'],
  DATE: ['NULL', "'2026-01-01'", "'-infinity'"],
  'TIMESTAMP WITH TIME ZONE': ['NULL', "'2026-01-01 00:00:00+00'", "'2026-01-01 02:00:00+02'"],
  BLOB: ['NULL', "''::BLOB", "'\\x00'::BLOB", "'a|b'::BLOB"],
  INTERVAL: [
    'NULL',
    "INTERVAL '30 days'",
    "INTERVAL '1 month'",
    "INTERVAL '24 hours'",
    "INTERVAL '1 day'",
    "INTERVAL '1 year 90 minutes'",
    "INTERVAL '360 days 5400 seconds'",
  ],
  'VARCHAR[]': ['NULL', '[]', "['a, b']", "['a', 'b']", '[NULL]', "['NULL']"],
  'STRUCT(a INTEGER, b VARCHAR)': ['NULL', "{'a': 1, 'b': 'x'}", "{'a': NULL, 'b': '1'}", "{'a': 1, 'b': NULL}"],
};

async function version(columns: readonly TypedColumn[], rows: readonly (readonly string[])[]): Promise<Content> {
  const casts = columns.map(({ name, type }) => `CAST(${name} AS ${type}) AS ${name}`).join(', ');
  const selects = rows.map(
    (row) => `SELECT ${row.map((value, index) => `CAST(${value} AS ${columns[index]?.type}) AS ${columns[index]?.name}`).join(', ')}`,
  );
  return contentOf(columns, [await bench.workshop.file(`SELECT ${casts} FROM (${selects.join(' UNION ALL ')})`, columns)]);
}

describe('DIFF6 rows that do not fit into memory', () => {
  const columns = Object.keys(VALUES).map((type, index) => ({ name: `c${index}`, type }));

  test.each(columns)('DIFF6 are told apart by a digest as by their cells: $type', async ({ type }) => {
    const pair = [0, 1].map((index) => ({ name: `c${index}`, type }));
    const values = VALUES[type] ?? [];
    const all = values.flatMap((one) => values.map((other) => [one, other]));
    const from = await version(pair, all);
    for (const kept of [all.filter(([one, other]) => one !== other), all.slice(1), [...all, ...all.slice(0, 3)].reverse()]) {
      const asked = { from, to: await version(pair, kept), key: null };
      expect(await changesOf(digesting, asked)).toEqual(await changesOf(whole, asked));
    }
  });

  test('DIFF6 so are texts and lists in columns that the other side has not', async () => {
    const from = await version([{ name: 'a', type: 'VARCHAR' }], [["'one'"], ["'a text that is longer than most'"]]);
    const to = await version(
      [
        { name: 'b', type: 'VARCHAR' },
        { name: 'c', type: 'VARCHAR[]' },
      ],
      [["'one'", "['x']"]],
    );
    for (const asked of [
      { from, to, key: null },
      { from: to, to: from, key: null },
    ]) {
      const changes = await changesOf(whole, asked);
      expect(changes).toHaveLength(3);
      expect(await changesOf(digesting, asked)).toEqual(changes);
    }
  });

  test('DIFF6 so are rows of all types at once, and of columns that were retyped or that one side lacks', async () => {
    const seed = Date.now();
    const random = seededRandom(seed);
    const pick = (values: readonly string[]): string => values[random.below(values.length)] ?? 'NULL';
    // Some rows of a few kinds, so that they come several times.
    const kinds = Array.from({ length: 40 }, () => Object.values(VALUES).map(pick));
    const rows = (): string[][] => Array.from({ length: 150 }, () => kinds[random.below(kinds.length)] ?? []);
    const from = await version(columns, rows());
    const same = { from, to: await version(columns, rows()), key: null };
    const found = await changesOf(digesting, same);
    expect(found, `seed ${seed}`).toEqual(await changesOf(whole, same));
    expect(found.length).toBeGreaterThan(0);
    const others = columns.map((column) => (column.type === 'BIGINT' ? { ...column, type: 'DOUBLE' } : column)).slice(1);
    const other = await version(
      others,
      rows().map((row) => row.slice(1)),
    );
    const retyped = { from, to: other, key: null };
    expect(await changesOf(digesting, retyped), `seed ${seed}`).toEqual(await changesOf(whole, retyped));
  });

  test('DIFF6 DIFF7 rows of many columns are compared and shown', async () => {
    const wide = Array.from({ length: 250 }, (_unused, index) => ({ name: `c${index}`, type: 'VARCHAR' }));
    const select = (changed: string): string =>
      `SELECT ${wide.map(({ name }, index) => `'text ' || (range * ${index + 1}) ${index === 7 ? changed : ''} AS ${name}`).join(', ')} FROM range(900)`;
    const versions = [];
    for (const changed of ['', "|| CASE WHEN range % 300 = 5 THEN '!' ELSE '' END"])
      versions.push(contentOf(wide, [await bench.workshop.file(select(changed), wide)]));
    const [from, to] = versions as [Content, Content];
    const changes = await changesOf(whole, { from, to, key: null });
    expect(changes.map(({ kind }) => kind)).toEqual(['removed', 'removed', 'removed', 'added', 'added', 'added']);
    expect(changes.at(-1)).toMatchObject({ row: { c0: 'text 605', c7: 'text 4840!' }, count: 1 });
  });
});
