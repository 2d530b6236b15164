import type { Limits } from '../../../protocol/limits.ts';
import { type ComparedColumn, comparable } from './diff-columns.ts';
import type { DiffPlan, DiffSide } from './diff-plan.ts';
import { type Fragment, fragment, sideRows } from './diff-sql.ts';
import { rowBytes } from './diff-windows.ts';
import { rowDigest } from './row-digest.ts';
import type { Session } from './session.ts';

/** Which share of the engine's memory the rows of both sides may take, as they are estimated; grouping them needs as much again. */
const MEMORY_SHARE = 0.25;
/** Grouping by more columns than this takes more memory for its buffers than for its rows. */
const GROUPED_COLUMNS_MAX = 200;

/**
 * Counts each distinct row on both sides and fills `changes` with those whose counts differ: where the row occurs first on
 * the side that has more of it, and how many more. Rows that do not fit into memory are told apart by a digest of their cells.
 */
export async function compareAsMultiset(session: Session, plan: DiffPlan, limits: Limits): Promise<void> {
  const terms = termsOf(plan.columns);
  const digest = (await fits(session, plan, limits)) ? undefined : rowDigest(terms);
  const names = digest === undefined ? terms.map(({ name }) => name).join(', ') : 'v0';
  const removed = fragment`SELECT ${names}, pos AS from_pos, NULL::BIGINT AS to_pos, -1 AS sign FROM (${rowsOf(plan, plan.from, digest)})`;
  const added = fragment`SELECT ${names}, NULL::BIGINT AS from_pos, pos AS to_pos, 1 AS sign FROM (${rowsOf(plan, plan.to, digest)})`;
  const rows = fragment`SELECT min(from_pos) AS from_pos, min(to_pos) AS to_pos, sum(sign)::BIGINT AS surplus
    FROM (${removed} UNION ALL ${added}) GROUP BY ${names} HAVING surplus <> 0`;
  const { sql, values } = fragment`INSERT INTO changes
    SELECT CASE WHEN surplus < 0 THEN from_pos END, CASE WHEN surplus > 0 THEN to_pos END, abs(surplus) FROM (${rows})`;
  await session.executeWithProgress('compare', sql, values);
}

/** The terms by which rows are grouped, `v0`, `v1` …, with the type that each has on both sides. */
function termsOf(columns: readonly ComparedColumn[]): { readonly name: string; readonly type: string }[] {
  const types = columns.flatMap((column) => comparable(column, 'from').map((_sql, index) => (index === 0 ? column.type : 'VARCHAR')));
  return types.map((type, index) => ({ name: `v${index}`, type }));
}

function rowsOf({ columns }: DiffPlan, { side, differing }: DiffSide, digest: string | undefined): Fragment {
  const rows = sideRows(side, differing, { columns, position: true });
  return digest === undefined ? rows : fragment`SELECT ${digest} AS v0, pos FROM (${rows})`;
}

async function fits(session: Session, plan: DiffPlan, limits: Limits): Promise<boolean> {
  if (plan.columns.length > GROUPED_COLUMNS_MAX) return false;
  const rows = plan.from.differing.content.rows + plan.to.differing.content.rows;
  return rows * (await rowBytes(session, plan, plan.columns)) <= limits.duckdbMemoryBytes * MEMORY_SHARE;
}
