import { AssertionFault, assert, present } from '../../shared/assert.ts';
import { type Change, type Content, type Row, UNRESTRICTED } from '../content-store.ts';
import type { Column } from '../stores.ts';
import { type ComparedColumn, comparable, type Side } from './diff-columns.ts';
import { type DiffPlan, type DiffSide, withFiles } from './diff-plan.ts';
import { type Fragment, fileOf, fragment, rowOf } from './diff-sql.ts';
import { identifier } from './quote.ts';
import { FILE_COLUMN, ROW_COLUMN, scopedRelation } from './relation.ts';
import type { Session } from './session.ts';

/** Cells that one statement of a page reads at most, so that wide rows take no more memory than narrow ones. */
const CELLS_PER_BATCH = 50_000;

interface Window {
  readonly position: number;
  readonly limit: number;
  readonly bytesMax: number;
}

/** Reads the rows of a page of changes, in order; ends early, but not before the first change, when `bytesMax` is reached. */
export async function readPage(session: Session, plan: DiffPlan, result: Content, window: Window): Promise<Change[]> {
  const batch = Math.max(1, Math.floor(CELLS_PER_BATCH / (columnsOf(plan.from).length + columnsOf(plan.to).length)));
  const changes: Change[] = [];
  let bytes = 0;
  for (let read = 0; read < window.limit; read += batch) {
    const found = await readPositions(session, result, window.position + read, Math.min(batch, window.limit - read));
    for (const change of await readChanges(session, plan, found)) {
      bytes += Buffer.byteLength(JSON.stringify(change));
      if (bytes > window.bytesMax && changes.length > 0) return changes;
      changes.push(change);
    }
    if (found.length < batch) break;
  }
  return changes;
}

interface Position {
  readonly file: number;
  readonly row: number;
}

interface Found {
  readonly from: Position | null;
  readonly to: Position | null;
  readonly occurrences: number;
}

async function readPositions(session: Session, result: Content, start: number, limit: number): Promise<Found[]> {
  const relation = scopedRelation({ content: result, scope: UNRESTRICTED }, { positions: true });
  const row = identifier(ROW_COLUMN);
  const sides = (['from', 'to'] as const).map((side) => `${fileOf(`${side}_pos`)} AS ${side}_file, ${rowOf(`${side}_pos`)} AS ${side}_row`);
  const rows = await session.rows(`SELECT ${sides.join(', ')}, occurrences FROM (${relation.sql})
    WHERE ${row} >= ${start} AND ${row} < ${start + limit} ORDER BY ${row}`);
  const position = (row: Row, side: Side): Position | null =>
    row[`${side}_file`] === null ? null : { file: Number(row[`${side}_file`]), row: Number(row[`${side}_row`]) };
  return rows.map((row) => ({ from: position(row, 'from'), to: position(row, 'to'), occurrences: Number(row.occurrences) }));
}

const columnsOf = ({ differing }: DiffSide): readonly Column[] => scopedRelation(differing).schema;

/** The changes at these positions, in their order. */
async function readChanges(session: Session, plan: DiffPlan, found: readonly Found[]): Promise<Change[]> {
  if (found.length === 0) return [];
  const from = sideCells(plan.from, found);
  const to = sideCells(plan.to, found);
  const both = plan.key !== null && from !== undefined && to !== undefined;
  const flags = both ? plan.columns.map((column, index) => `, ${cellDiffers(plan, column)} AS differs${index}`).join('') : '';
  const { sql, values } =
    from === undefined || to === undefined
      ? (from ?? to ?? assertFound())
      : fragment`SELECT *${flags} FROM (${from}) f FULL JOIN (${to}) t ON f.from_n = t.to_n`;
  const rows = await session.rows(sql, values);
  assert(rows.length === found.length, `a page of ${found.length} changes found ${rows.length} rows`);
  const changes: Change[] = [];
  for (const row of rows) {
    const index = Number(row.from_n ?? row.to_n);
    changes[index] = toChange(plan, row, found[index]?.occurrences ?? 0);
  }
  return changes;
}

function assertFound(): never {
  throw new AssertionFault('a change is on neither side');
}

/** The cells of one side as `from0`, `from1` … (or `to0` …) with the index of their change as `from_n` (or `to_n`). */
function sideCells({ side, differing }: DiffSide, found: readonly Found[]): Fragment | undefined {
  const wanted = found.flatMap((change, n) => (change[side] === null ? [] : [{ n, ...change[side] }]));
  if (wanted.length === 0) return undefined;
  const files = [...new Set(wanted.map(({ file }) => file))].sort((a, b) => a - b);
  const source = withFiles(
    differing,
    files.map((file) => present(differing.content.files[file], 'the file of a change')),
  );
  const indexes = new Map(files.map((file, index) => [file, index]));
  const rows = wanted.map(({ row }) => row);
  const lists = [
    `unnest([${wanted.map(({ n }) => n).join(', ')}]) AS ${side}_n`,
    `unnest([${wanted.map(({ file }) => indexes.get(file)).join(', ')}]) AS file`,
    `unnest([${rows.join(', ')}]) AS row`,
  ];
  const relation = scopedRelation(source, { positions: true });
  const cells = relation.schema.map(({ name }, index) => `r.${identifier(name)} AS ${side}${index}`).join(', ');
  const [file, row] = [`r.${identifier(FILE_COLUMN)}`, `r.${identifier(ROW_COLUMN)}`];
  const sql = `SELECT w.${side}_n, ${cells} FROM (${relation.sql}) r JOIN (SELECT ${lists.join(', ')}) w ON ${file} = w.file AND ${row} = w.row
    WHERE ${row} >= ${Math.min(...rows)} AND ${row} <= ${Math.max(...rows)}`;
  return { sql, values: relation.values };
}

function cellDiffers(plan: DiffPlan, column: ComparedColumn): string {
  const cell = (of: DiffSide): string => `${of.side}${columnsOf(of).findIndex(({ name }) => name === column.name)}`;
  const [before, after] = [comparable(column, 'from', cell(plan.from)), comparable(column, 'to', cell(plan.to))];
  return `(${before.map((term, index) => `${term} IS DISTINCT FROM ${after[index]}`).join(' OR ')})`;
}

function toChange(plan: DiffPlan, row: Row, occurrences: number): Change {
  const cells = (of: DiffSide): Row | undefined =>
    row[`${of.side}_n`] == null ? undefined : Object.fromEntries(columnsOf(of).map(({ name }, index) => [name, row[`${of.side}${index}`]]));
  const [before, after] = [cells(plan.from), cells(plan.to)];
  if (plan.key === null)
    return after === undefined ? { kind: 'removed', row: before ?? {}, count: occurrences } : { kind: 'added', row: after, count: occurrences };
  const key = Object.fromEntries(plan.key.map(({ name }) => [name, (after ?? before)?.[name]]));
  if (before === undefined) return { kind: 'added', key, ...(after === undefined ? {} : { after }) };
  if (after === undefined) return { kind: 'removed', key, before };
  const changed = plan.columns.filter((_column, index) => row[`differs${index}`] === true).map(({ name }) => name);
  return { kind: 'changed', key, before, after, changed };
}
