import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import { bindFilter } from '../../server/services/access/filter-values.ts';
import { type Content, isUnrestricted, type Row, type Scope, type ScopePart, visibleSchema } from '../../server/storage/content-store.ts';
import { createFilterChecker } from '../../server/storage/parquet/filter-check.ts';
import { createReader } from '../../server/storage/parquet/reading.ts';
import { createStatistics } from '../../server/storage/parquet/statistics.ts';
import { MODEL_CLAIMS, MODEL_COLUMNS, type ModelFilter, type ModelRow, modelFilters } from '../support/filter-model.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

interface ModelGrant {
  readonly filter: ModelFilter | null;
  readonly mask: readonly string[] | null;
  readonly columnIdsBelow: number;
}

const NAMES = MODEL_COLUMNS.map(({ name }) => name);
const control = { signal: new AbortController().signal };
let workshop: ParquetWorkshop;

beforeAll(async () => {
  workshop = await openWorkshop();
});

afterAll(() => workshop.close());

const cells: fc.Arbitrary<ModelRow> = fc.record({
  n: fc.option(fc.integer({ min: -2, max: 6 })),
  Region: fc.option(fc.constantFrom("E'U", 'US', 'us', '')),
  flag: fc.option(fc.boolean()),
  m: fc.option(fc.integer({ min: 0, max: 6 })),
  'a "b"': fc.option(fc.constantFrom('US', "E'U", '{{region}}')),
});

const grants: fc.Arbitrary<ModelGrant> = fc.record({
  filter: fc.option(modelFilters, { freq: 4 }),
  mask: fc.option(fc.subarray(NAMES), { freq: 2 }),
  columnIdsBelow: fc.integer({ min: 1, max: NAMES.length + 1 }),
});

/** Two files, of which the older one was written before the last column came. */
async function contentWith(rows: readonly ModelRow[]): Promise<Content> {
  const half = Math.floor(rows.length / 2);
  const older = rows.slice(0, half).map((row) => ({ ...row, 'a "b"': null }));
  const files = [];
  if (older.length > 0) files.push(await workshop.file(selectOf(older, NAMES.slice(0, -1)), MODEL_COLUMNS.slice(0, -1)));
  if (rows.length > half) files.push(await workshop.file(selectOf(rows.slice(half), NAMES), MODEL_COLUMNS));
  return contentOf(MODEL_COLUMNS, files);
}

function selectOf(rows: readonly ModelRow[], names: readonly (keyof ModelRow)[]): string {
  const sql = (value: unknown): string => (typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value));
  const types = new Map<string, string>(MODEL_COLUMNS.map(({ name, type }) => [name, type]));
  const columns = names.map((name, index) => `CAST(c${index} AS ${types.get(name)}) AS "${name.replaceAll('"', '""')}"`);
  const values = rows.map((row) => `(${names.map((name) => sql(row[name])).join(', ')})`);
  return `SELECT ${columns.join(', ')} FROM (VALUES ${values.join(', ')}) t(${names.map((_name, index) => `c${index}`).join(', ')})`;
}

async function scopeOf(content: Content, given: readonly ModelGrant[]): Promise<Scope> {
  const check = createFilterChecker(workshop);
  const parts = given.map(async ({ filter, mask, columnIdsBelow }): Promise<ScopePart> => {
    const hidden = mask === null ? null : { hidden: mask, columnIdsBelow };
    if (filter === null) return { rows: null, mask: hidden };
    const checked = await check(filter.sql, content.schema, control);
    const bound = bindFilter(checked, { claims: MODEL_CLAIMS, today: '2026-01-31' }, workshop.limits);
    if (!('condition' in bound)) throw new Error(`the claim ${bound.claim} is ${bound.problem}`);
    return { rows: bound.condition, mask: hidden };
  });
  return { parts: await Promise.all(parts) };
}

/** The rule in other words: which cells of which rows somebody with these grants sees. */
function modelOf(rows: readonly ModelRow[], given: readonly ModelGrant[]): { readonly columns: string[]; readonly rows: Row[] } {
  const shows = ({ mask, columnIdsBelow }: ModelGrant, column: number): boolean =>
    mask === null || (column + 1 < columnIdsBelow && !mask.includes(NAMES[column] ?? ''));
  const columns = NAMES.filter((_name, index) => given.some((grant) => shows(grant, index)));
  const visible = rows.flatMap((row) => {
    const showing = given.filter(({ filter }) => filter === null || filter.holds(row) === true);
    const isVisible = showing.some((grant) => NAMES.some((_name, index) => shows(grant, index)));
    if (!isVisible) return [];
    return [Object.fromEntries(columns.map((name) => [name, showing.some((grant) => shows(grant, NAMES.indexOf(name))) ? row[name] : null]))];
  });
  return { columns, rows: visible };
}

test('SCOPE2 the SQL of a scope shows exactly the cells that some grant shows', async () => {
  const reader = createReader(workshop.broker);
  const describe = createStatistics(workshop.broker);
  const anyCase = fc.tuple(fc.array(cells, { minLength: 1, maxLength: 8 }), fc.array(grants, { minLength: 1, maxLength: 4 }), fc.subarray(NAMES));
  let restricted = 0;
  await fc.assert(
    fc.asyncProperty(anyCase, async ([rows, given, wanted]) => {
      const content = await contentWith(rows);
      const stored = rows.map((row, index) => (index < Math.floor(rows.length / 2) ? { ...row, 'a "b"': null } : row));
      const scope = await scopeOf(content, given);
      const source = { content, scope };
      const model = modelOf(stored, given);
      if (model.columns.length === 0) {
        expect(() => visibleSchema(content.schema, scope)).toThrow(expect.objectContaining({ code: 'forbidden' }) as CovistaError);
        return;
      }
      restricted += isUnrestricted(scope) ? 0 : 1;
      const window = { startRow: 0, endRow: 100, columns: undefined, bytesMax: 1_000_000 };
      expect(visibleSchema(content.schema, scope).map(({ name }) => name)).toEqual(model.columns);
      expect(await reader.rows(source, window, control)).toEqual(model.rows);
      expect(await reader.count(source, control)).toBe(model.rows.length);
      const chosen = wanted.filter((name) => model.columns.includes(name));
      const page = await reader.rows(source, { ...window, startRow: 1, endRow: 3, columns: chosen }, control);
      expect(page).toEqual(model.rows.slice(1, 3).map((row) => Object.fromEntries(chosen.map((name) => [name, row[name]]))));
      const nulls = await describe(source, undefined, control);
      expect(nulls.map((column) => [column.name, column.nulls])).toEqual(
        model.columns.map((name) => [name, model.rows.filter((row) => row[name] === null).length]),
      );
    }),
    { numRuns: 150, seed: 20_261_122 },
  );
  expect(restricted).toBeGreaterThan(50);
});
