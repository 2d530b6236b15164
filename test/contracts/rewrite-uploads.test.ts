import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Content, Ingested, Row } from '../../server/storage/content-store.ts';
import { bytes, calm, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';

let content: TestContent;
let base: Content;

beforeAll(async () => {
  content = await openTestContent();
  base = contentOfIngested(await content.ingest(bytes('id,name,note\n1,ada,first\n2,bob,second\n3,cyd,third\n')));
});

afterAll(() => content.close());

async function upsert(ingested: Ingested): Promise<Row[]> {
  const incoming = contentOfIngested(ingested);
  const { pieces } = await content.store.rewrite(base, { ...incoming, missing: ingested.missing }, ['id'], 'upsert', calm());
  const files = pieces.flatMap((piece) => (typeof piece === 'number' ? (base.files[piece] ?? []) : piece));
  const version = { ...incoming, files, rows: files.reduce((sum, { rows }) => sum + rows, 0) };
  return content.store.rows(unrestricted(version), { startRow: 0, endRow: 100, columns: undefined, bytesMax: 1e6 }, calm());
}

const EXPECTED = [
  { id: 1, name: 'ada', note: 'first' },
  { id: 2, name: 'bob', note: null },
  { id: 3, name: 'cyd', note: 'new' },
  { id: 4, name: null, note: 'fresh' },
];

test.each([
  ['CSV', 'note,id\nnew,3\n,2\nfresh,4\n'],
  ['JSON', '[{"id":3,"note":"new"},{"id":2,"note":null},{"note":"fresh","id":4}]'],
  ['NDJSON', '{"id":3,"note":"new"}\n{"id":2}\n{"note":"fresh","id":4}\n'],
])('DIFF12 an upload of %s keeps what a column that it lacks holds', async (_format, text) => {
  const ingested = await content.ingest(bytes(text), { onto: base.schema });
  expect(ingested.missing).toEqual(['name']);
  expect(await upsert(ingested)).toEqual(EXPECTED);
});

test.each(['parquet', 'arrow'] as const)('DIFF12 an upload of %s keeps what a column that it lacks holds', async (format) => {
  const narrow = contentOfIngested(await content.ingest(bytes('id,note\n3,new\n2,\n4,fresh\n')));
  const exported = await content.store.export(unrestricted(narrow), format, calm());
  const parts: Uint8Array[] = [];
  for await (const part of exported.read({ start: 0, end: exported.bytes })) parts.push(part);
  exported.close();
  const ingested = await content.ingest(Buffer.concat(parts), { onto: base.schema });
  expect(ingested.missing).toEqual(['name']);
  expect(await upsert(ingested)).toEqual(EXPECTED);
});
