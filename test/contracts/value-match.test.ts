import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Content, type Scope, showing } from '../../server/storage/content-store.ts';
import { createReader } from '../../server/storage/parquet/reading.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

/** Of one row that is visible, and one that is not. */
const COLUMNS = [
  { name: 'shown', type: 'BOOLEAN', values: ['true', 'false'] },
  { name: 'text', type: 'VARCHAR', values: ['10', '10.0'] },
  { name: 'int', type: 'INTEGER', values: ['10', '20'] },
  { name: 'big', type: 'BIGINT', values: ['9007199254740993', '9007199254740992'] },
  { name: 'huge', type: 'HUGEINT', values: ['170141183460469231731687303715884105727', '1'] },
  { name: 'dec', type: 'DECIMAL(10,2)', values: ['10.50', '20.50'] },
  { name: 'real', type: 'FLOAT', values: ['0.1', '0.2'] },
  { name: 'price', type: 'DOUBLE', values: ['10', '20'] },
  { name: 'day', type: 'DATE', values: ['2026-01-31', '2026-02-01'] },
  { name: 'at', type: 'TIMESTAMP', values: ['2026-01-31 00:00:00', '2026-01-31 01:00:00'] },
  { name: 'micros', type: 'TIMESTAMP', values: ['2026-01-31 12:30:15.123456', '2026-01-31 12:30:15.124'] },
  { name: 'nanos', type: 'TIMESTAMP_NS', values: ['2026-01-31 12:30:15.123456789', '2026-01-31 12:30:15.123456'] },
  { name: 'zoned', type: 'TIMESTAMP WITH TIME ZONE', values: ['2026-01-31 02:00:00+02', '2026-01-31 02:00:00+00'] },
  { name: 'seconds', type: 'TIMESTAMP_S', values: ['2026-01-31 00:00:00', '2026-01-31 00:00:01'] },
  { name: 'flag', type: 'BOOLEAN', values: ['true', 'false'] },
  { name: 'a "b"', type: 'DOUBLE', values: ['1.5', '2.5'] },
];

const SCOPE: Scope = { parts: [{ rows: { sql: 'shown', values: [], columns: [{ name: 'shown', type: 'BOOLEAN' }] }, mask: null }] };
const MIDNIGHT_MS = Date.UTC(2026, 0, 31);

let workshop: ParquetWorkshop;
let content: Content;

beforeAll(async () => {
  workshop = await openWorkshop();
  const rowOf = (row: number): string =>
    COLUMNS.map(({ name, type, values }) => `CAST('${values[row]}' AS ${type}) AS "${name.replaceAll('"', '""')}"`).join(', ');
  content = contentOf(COLUMNS, [await workshop.file(`SELECT ${rowOf(0)} UNION ALL SELECT ${rowOf(1)}`, COLUMNS)]);
});

afterAll(() => workshop.close());

async function rowsWith(values: Readonly<Record<string, string | number | boolean>>): Promise<number> {
  const scope = showing(content.schema, SCOPE, values);
  if (scope === undefined) throw new Error('a column is hidden');
  return createReader(workshop.broker).count({ content, scope }, { signal: new AbortController().signal });
}

test.each<[string, string | number | boolean]>([
  ['text', '10'],
  ['text', 10],
  ['int', 10],
  ['int', '10'],
  ['int', '10.0'],
  ['big', '9007199254740993'],
  ['huge', '170141183460469231731687303715884105727'],
  ['dec', 10.5],
  ['dec', '10.5'],
  ['dec', '10.50'],
  ['dec', '10.500'],
  ['real', 0.1],
  ['real', Math.fround(0.1)],
  ['price', 10],
  ['price', '10'],
  ['price', '10.0'],
  ['day', '2026-01-31'],
  ['day', '2026-01-31T00:00:00.000Z'],
  ['day', MIDNIGHT_MS],
  ['at', '2026-01-31T00:00:00Z'],
  ['at', '2026-01-31T00:00:00.000Z'],
  ['at', '2026-01-31 00:00:00'],
  ['at', '2026-01-31T00:00'],
  ['at', '2026-01-31'],
  ['at', MIDNIGHT_MS],
  ['micros', '2026-01-31T12:30:15.123456Z'],
  ['micros', '2026-01-31T12:30:15.123Z'],
  ['nanos', '2026-01-31T12:30:15.123456789Z'],
  ['nanos', '2026-01-31T12:30:15.123Z'],
  ['zoned', '2026-01-31T00:00:00Z'],
  ['zoned', '2026-01-31 00:00:00+00'],
  ['zoned', '2026-01-31 00:00:00'],
  ['zoned', MIDNIGHT_MS],
  ['seconds', '2026-01-31T00:00:00.000Z'],
  ['flag', true],
  ['a "b"', 1.5],
])('DOC31 a row that is visible has %s %s', async (column, value) => {
  expect(await rowsWith({ [column]: value })).toBe(1);
});

test.each<[string, string | number | boolean]>([
  ['text', '10.0'],
  ['int', 20],
  ['int', 10.4],
  ['int', '9.9'],
  ['int', true],
  ['big', '9007199254740992'],
  ['big', 9007199254740992],
  ['dec', '10.504'],
  ['dec', 10.499],
  ['dec', 20.5],
  ['real', 0.10000000001],
  ['price', 20],
  ['price', '10.00000000000000000001'],
  ['price', '1e1'],
  ['day', '2026-01-31T01:00:00Z'],
  ['day', '2026-02-01'],
  ['day', MIDNIGHT_MS + 1],
  ['at', '2026-01-31T01:00:00Z'],
  ['at', '2026-01-31T02:00:00+02:00'],
  ['at', '2026-01-31T00:00:00.0000001Z'],
  ['at', MIDNIGHT_MS + 0.5],
  ['micros', '2026-01-31T12:30:15.124Z'],
  ['micros', '2026-01-31T12:30:15.123457Z'],
  ['micros', '2026-01-31T12:30:15.1234561Z'],
  ['nanos', '2026-01-31T12:30:15.123456Z'],
  ['zoned', '2026-01-31T02:00:00Z'],
  ['zoned', '2026-01-31 02:00:00'],
  ['seconds', '2026-01-31T00:00:00.001Z'],
  ['seconds', '2026-01-31T00:00:01Z'],
  ['flag', false],
  ['flag', 'yes'],
  ['a "b"', 2.5],
  ['at', 'infinity'],
  ['int', `1.${'0'.repeat(60_000)}x`],
])('DOC31 no row that is visible has %s %s', async (column, value) => {
  expect(await rowsWith({ [column]: value })).toBe(0);
});

test('DOC31 several values are those of one row', async () => {
  expect(await rowsWith({ price: 10, at: '2026-01-31T00:00:00Z' })).toBe(1);
  expect(await rowsWith({ price: 10, at: '2026-01-31T01:00:00Z' })).toBe(0);
  expect(showing(content.schema, SCOPE, { nothing: 1 })).toBeUndefined();
});
