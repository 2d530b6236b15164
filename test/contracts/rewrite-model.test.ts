import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashSchema } from '../../server/shared/schema-hash.ts';
import { type Content, type ContentStore, type Rewritten, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { scopedRelation } from '../../server/storage/parquet/relation.ts';
import { createRewriter } from '../../server/storage/parquet/rewrite.ts';
import { contentOf, openWorkshop, type ParquetWorkshop, type TypedColumn } from '../support/parquet.ts';

let workshop: ParquetWorkshop;
let rewrite: ContentStore['rewrite'];
/** Dozens of versions are written and compared, on a machine that may be busy. */
const PROPERTY_TIMEOUT_MS = 240_000;
const control = { signal: new AbortController().signal };

beforeAll(async () => {
  workshop = await openWorkshop();
  rewrite = createRewriter(workshop);
});

afterAll(() => workshop.close());

type Cell = number | string | null;
type CellRow = Record<string, Cell>;

const ID: TypedColumn = { name: 'a "key"', type: 'INTEGER' };
const PART: TypedColumn = { name: 'select', type: 'VARCHAR' };
const BASE: readonly TypedColumn[] = [{ name: 'größe', type: 'VARCHAR' }, ID, PART, { name: '🙂', type: 'BIGINT' }];
const NEW: TypedColumn = { name: 'new', type: 'VARCHAR' };

interface RewriteCase {
  readonly files: readonly (readonly CellRow[])[];
  readonly incoming: readonly CellRow[];
  /** Columns beside the key that the incoming rows have. */
  readonly given: readonly string[];
  readonly key: readonly string[];
}

const text = fc.constantFrom(null, '', 'x', "it's", 'ü 🙂');
const row = fc.record({ größe: text, [ID.name]: fc.option(fc.nat(12)), [PART.name]: text, '🙂': fc.option(fc.nat(3)), new: text });

const cases: fc.Arbitrary<RewriteCase> = fc
  .record({
    files: fc.array(fc.array(row, { minLength: 1, maxLength: 6 }), { maxLength: 4 }),
    incoming: fc.uniqueArray(row, { maxLength: 6, selector: (made) => JSON.stringify([made[ID.name], made[PART.name]]) }),
    given: fc.subarray(['größe', '🙂', 'new']),
    key: fc.constantFrom([ID.name], [PART.name, ID.name]),
  })
  .map(({ files, incoming, given, key }) => {
    const keyOf = (made: CellRow): string => JSON.stringify(key.map((name) => made[name]));
    const usable = incoming.filter((made) => key.every((name) => made[name] !== null));
    return { files, given, key, incoming: usable.filter((made, index) => usable.findIndex((other) => keyOf(other) === keyOf(made)) === index) };
  });

const quoted = (value: Cell | undefined): string =>
  value == null ? 'NULL' : typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`;

async function contentWith(columns: readonly TypedColumn[], files: readonly (readonly CellRow[])[]): Promise<Content> {
  const made = [];
  for (const rows of files) {
    if (rows.length === 0) continue;
    const values = rows.map((cells) => `(${columns.map(({ name, type }) => `CAST(${quoted(cells[name])} AS ${type})`).join(', ')})`);
    const names = columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(', ');
    made.push(await workshop.file(`SELECT * FROM (VALUES ${values.join(', ')}) t(${names})`, columns));
  }
  return contentOf(columns, made);
}

/** Rows of the pieces in manifest order, read as the version that they make up. */
async function readPieces(base: Content, columns: readonly TypedColumn[], { pieces }: Rewritten): Promise<CellRow[]> {
  const files = pieces.map((piece) => (typeof piece === 'number' ? base.files[piece] : piece)).filter((file) => file !== undefined);
  const { sql } = scopedRelation({ content: contentOf(columns, files), scope: UNRESTRICTED });
  return (await workshop.rows(sql)) as CellRow[];
}

test(
  'DIFF11 DIFF12 an upsert does what a plain one does, and leaves files without such keys alone',
  async () => {
    const property = fc.asyncProperty(cases, async ({ files, incoming, given, key }) => {
      const columns = [...BASE, NEW].filter(({ name }) => name !== 'new' || given.includes('new'));
      const missing = BASE.map(({ name }) => name).filter((name) => !given.includes(name) && !key.includes(name));
      const base = await contentWith(BASE, files);
      const source = await contentWith(columns, [
        incoming.map((cells) => Object.fromEntries(Object.entries(cells).filter(([name]) => !missing.includes(name)))),
      ]);
      const rewritten = await rewrite(base, { ...source, missing }, key, 'upsert', control);

      const find = (cells: CellRow): CellRow | undefined => incoming.find((fresh) => key.every((name) => fresh[name] === cells[name]));
      const old = files.flat().map((cells): CellRow => ({ ...cells, new: null }));
      const update = (cells: CellRow): CellRow => ({
        ...cells,
        ...Object.fromEntries([...given, ...key].map((name) => [name, find(cells)?.[name] ?? null])),
      });
      const updated = old.filter((cells) => find(cells) !== undefined).length;
      const fresh = incoming.filter((made) => !old.some((cells) => key.every((name) => made[name] === cells[name])));
      const blank = Object.fromEntries(columns.map(({ name }) => [name, null]));
      const added = fresh.map((made) => ({ ...blank, ...Object.fromEntries([...given, ...key].map((name) => [name, made[name] ?? null])) }));
      const only = (cells: CellRow): CellRow => Object.fromEntries(columns.map(({ name }) => [name, cells[name] ?? null]));
      const expected = [...old.map((cells) => (find(cells) === undefined ? cells : update(cells))), ...added].map(only);

      expect(await readPieces(base, columns, rewritten)).toEqual(expected);
      expect(rewritten).toMatchObject({ rows: expected.length, updated, inserted: fresh.length, deleted: 0 });
      const untouched = files.flatMap((rows, index) => (rows.some((cells) => find(cells) !== undefined) ? [] : [index]));
      expect(rewritten.pieces.filter((piece) => typeof piece === 'number')).toEqual(untouched);
      for (const piece of rewritten.pieces) {
        if (typeof piece === 'number') continue;
        const bytes = await readFile(piece.path);
        expect(piece).toMatchObject({
          bytes: bytes.length,
          sha256: createHash('sha256').update(bytes).digest('hex'),
          schemaHash: hashSchema(columns),
        });
      }
    });
    await fc.assert(property, { numRuns: 30 });
  },
  PROPERTY_TIMEOUT_MS,
);

test(
  'DIFF11 a delete removes the rows with such keys, and files of which nothing is left',
  async () => {
    const property = fc.asyncProperty(cases, async ({ files, incoming, key }) => {
      const base = await contentWith(BASE, files);
      const missing = BASE.map(({ name }) => name).filter((name) => !key.includes(name));
      const keys = incoming.map((cells) => Object.fromEntries(key.map((name) => [name, cells[name] ?? null])));
      const source = await contentWith(BASE, [keys]);
      const rewritten = await rewrite(base, { ...source, missing }, key, 'delete', control);
      const isGone = (cells: CellRow): boolean => incoming.some((made) => key.every((name) => made[name] === cells[name]));
      const expected = files
        .flat()
        .filter((cells) => !isGone(cells))
        .map(({ new: _new, ...cells }) => cells);
      expect(await readPieces(base, BASE, rewritten)).toEqual(expected);
      expect(rewritten).toMatchObject({ rows: expected.length, updated: 0, inserted: 0, deleted: files.flat().length - expected.length });
      expect(rewritten.pieces.length).toBe(files.filter((rows) => rows.some((cells) => !isGone(cells))).length);
    });
    await fc.assert(property, { numRuns: 30 });
  },
  PROPERTY_TIMEOUT_MS,
);
