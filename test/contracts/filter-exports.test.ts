import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { concatenate } from '../../protocol/fragments.ts';
import type { Content, ContentStore, ExportFormat, Scope } from '../../server/storage/content-store.ts';
import { createExporter } from '../../server/storage/parquet/export.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

const COLUMNS = [
  { name: 'id', type: 'BIGINT' },
  { name: 'region', type: 'VARCHAR' },
  { name: 'amount', type: 'DOUBLE' },
];
const VISIBLE_ROWS = 150_000;
const control = { signal: new AbortController().signal };
const europe = { sql: '(region = CAST(? AS VARCHAR))', values: ['EU'], columns: [{ name: 'region', type: 'VARCHAR' }] };
const SCOPES: Readonly<Record<string, Scope>> = {
  'one filter': { parts: [{ rows: europe, mask: null }] },
  'filters with different columns': {
    parts: [
      { rows: europe, mask: { hidden: ['amount'], columnIdsBelow: 4 } },
      { rows: { ...europe, sql: '(amount < 3 AND region = CAST(? AS VARCHAR))' }, mask: null },
    ],
  },
};

let workshop: ParquetWorkshop;
let render: ContentStore['export'];
let worlds: Content[];

beforeAll(async () => {
  workshop = await openWorkshop();
  const { broker, limits } = workshop;
  render = await createExporter({ broker, limits, directory: join(workshop.directory, 'exports') });
  worlds = [await worldWith('id % 3 = 0', 2), await worldWith('id % 7 = 0 OR id BETWEEN 40000 AND 90000', 3)];
});

afterAll(() => workshop.close());

/** The same visible rows, and hidden ones behind those of which the condition holds. */
async function worldWith(condition: string, repeated: number): Promise<Content> {
  const visible = `SELECT range AS id, 'EU' AS region, (range % 10)::DOUBLE AS amount, range AS place, 0 AS copy FROM range(${VISIBLE_ROWS})`;
  const hidden = `SELECT -id AS id, 'XX' AS region, 1e9 AS amount, place, copies.range + 1 AS copy FROM (${visible}) v, range(${repeated}) copies WHERE ${condition}`;
  const select = `SELECT id, region, amount FROM (${visible} UNION ALL ${hidden}) ORDER BY place, copy`;
  return contentOf(COLUMNS, [await workshop.file(select, COLUMNS)]);
}

async function bytesOf(content: Content, scope: Scope, format: ExportFormat): Promise<Buffer> {
  const file = await render({ content, scope }, format, control);
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read({ start: 0, end: file.bytes })) pieces.push(piece);
  file.close();
  return Buffer.from(concatenate(pieces));
}

test.each(Object.keys(SCOPES).flatMap((scope) => (['parquet', 'arrow', 'csv', 'ndjson'] as const).map((format) => [format, scope] as const)))(
  'SCOPE8 a file of format %s under %s is the same byte for byte, whatever rows are hidden between the visible ones',
  async (format, name) => {
    const scope = SCOPES[name] as Scope;
    const [one, other] = await Promise.all(worlds.map((content) => bytesOf(content, scope, format)));
    expect(one?.length).toBeGreaterThan(10_000);
    expect(one?.equals(other as Buffer)).toBe(true);
  },
);
