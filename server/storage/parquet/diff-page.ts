import { AssertionFault, assert, present } from '../../shared/assert.ts';
import { Turns } from '../../shared/turns.ts';
import { type Change, type Content, type Row, UNRESTRICTED } from '../content-store.ts';
import { type ComparedColumn, comparable, type Side } from './diff-columns.ts';
import { type DiffPlan, type DiffSide, withFiles } from './diff-plan.ts';
import { type Fragment, fileOf, fragment, rowOf } from './diff-sql.ts';
import { identifier } from './quote.ts';
import { FILE_COLUMN, ROW_COLUMN, scopedRelation } from './relation.ts';
import type { Session } from './session.ts';

/** Cells that one statement of a page reads at most, so that wide rows take no more memory than narrow ones. */
const CELLS_PER_BATCH = 50_000;
/** Changes of the first statement, which shows how large they are. */
const FIRST_BATCH = 256;
/** How much larger than the one before a statement may be, since later changes may be larger than earlier ones. */
const BATCH_GROWTH = 8;

interface Window {
  readonly position: number;
  readonly limit: number;
  readonly bytesMax: number;
}

/** A diff with what depends on the scopes alone, found out once. */
interface Reading {
  readonly session: Session;
  readonly plan: DiffPlan;
  /** Names of the columns that each side shows. */
  readonly names: Readonly<Record<Side, readonly string[]>>;
  readonly turns: Turns;
}

/** Reads the rows of a page of changes, in order; ends early, but not before the first change, when `bytesMax` is reached. */
export async function readPage(session: Session, plan: DiffPlan, result: Content, window: Window): Promise<Change[]> {
  const names = { from: namesOf(plan.from), to: namesOf(plan.to) };
  const batchMax = Math.max(1, Math.floor(CELLS_PER_BATCH / (names.from.length + names.to.length)));
  const changes: Change[] = [];
  const turns = new Turns();
  let bytes = 0;
  for (let batch = Math.min(batchMax, FIRST_BATCH); changes.length < window.limit; ) {
    const found = await readPositions(session, result, window.position + changes.length, Math.min(batch, window.limit - changes.length));
    for (const change of await readChanges({ session, plan, names, turns }, found)) {
      if (turns.over) await turns.next();
      bytes += Buffer.byteLength(JSON.stringify(change));
      if (bytes > window.bytesMax && changes.length > 0) return changes;
      changes.push(change);
    }
    if (found.length < batch) break;
    const thatFit = Math.ceil((window.bytesMax - bytes) / (bytes / changes.length));
    batch = Math.max(1, Math.min(batchMax, batch * BATCH_GROWTH, thatFit));
  }
  return changes;
}

const namesOf = ({ differing }: DiffSide): readonly string[] => scopedRelation(differing).schema.map(({ name }) => name);

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

/** The changes at these positions, in their order. */
async function readChanges(reading: Reading, found: readonly Found[]): Promise<Change[]> {
  if (found.length === 0) return [];
  const { session, plan } = reading;
  const [from, to] = [sideCells(plan.from, found), sideCells(plan.to, found)];
  const differs = plan.key === null || plan.columns.length === 0 ? "''" : plan.columns.map((column) => cellDiffers(reading, column)).join(' || ');
  const { sql, values } =
    from === undefined || to === undefined
      ? (from ?? to ?? assertFound())
      : fragment`SELECT *, ${differs} AS differs FROM (${from}) f FULL JOIN (${to}) t ON f.from_n = t.to_n`;
  const rows = await session.rows(sql, values);
  assert(rows.length === found.length, `a page of ${found.length} changes found ${rows.length} rows`);
  const changes: Change[] = [];
  for (const row of rows) {
    if (reading.turns.over) await reading.turns.next();
    const index = Number(row.from_n ?? row.to_n);
    changes[index] = toChange(reading, row, found[index]?.occurrences ?? 0);
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

/** One letter per column: whether its cells differ. Meaningful only where both sides have the row. */
function cellDiffers({ names }: Reading, column: ComparedColumn): string {
  const terms = (side: Side): string[] => comparable(column, side, `${side}${names[side].indexOf(column.name)}`);
  const after = terms('to');
  const differs = terms('from').map((term, index) => `${term} IS DISTINCT FROM ${after[index]}`);
  return `CASE WHEN ${differs.join(' OR ')} THEN '1' ELSE '0' END`;
}

function toChange({ plan, names }: Reading, row: Row, occurrences: number): Change {
  const cells = (side: Side): Row | undefined =>
    row[`${side}_n`] == null ? undefined : Object.fromEntries(names[side].map((name, index) => [name, row[`${side}${index}`]]));
  const [before, after] = [cells('from'), cells('to')];
  if (plan.key === null)
    return after === undefined ? { kind: 'removed', row: before ?? {}, count: occurrences } : { kind: 'added', row: after, count: occurrences };
  const key = Object.fromEntries(plan.key.map(({ name }) => [name, (after ?? before)?.[name]]));
  if (before === undefined) return { kind: 'added', key, ...(after === undefined ? {} : { after }) };
  if (after === undefined) return { kind: 'removed', key, before };
  const differs = String(row.differs);
  return { kind: 'changed', key, before, after, changed: plan.columns.filter((_column, index) => differs[index] === '1').map(({ name }) => name) };
}
