import { comparable } from './diff-columns.ts';
import type { DiffPlan } from './diff-plan.ts';
import { fragment, sideRows } from './diff-sql.ts';
import type { Session } from './session.ts';

/**
 * Counts each distinct row on both sides and fills `changes` with those whose counts differ: where the row occurs first on
 * the side that has more of it, and how many more.
 */
export async function compareAsMultiset(session: Session, { columns, from, to }: DiffPlan): Promise<void> {
  const terms = columns.flatMap((column) => comparable(column, 'from'));
  const names = terms.map((_sql, index) => `v${index}`).join(', ');
  const removed = fragment`SELECT ${names}, pos AS from_pos, NULL::BIGINT AS to_pos, -1 AS sign FROM (${sideRows('from', from.differing, { columns, position: true })})`;
  const added = fragment`SELECT ${names}, NULL::BIGINT AS from_pos, pos AS to_pos, 1 AS sign FROM (${sideRows('to', to.differing, { columns, position: true })})`;
  const rows = fragment`SELECT min(from_pos) AS from_pos, min(to_pos) AS to_pos, sum(sign)::BIGINT AS surplus
    FROM (${removed} UNION ALL ${added}) GROUP BY ${names} HAVING surplus <> 0`;
  const { sql, values } = fragment`INSERT INTO changes
    SELECT CASE WHEN surplus < 0 THEN from_pos END, CASE WHEN surplus > 0 THEN to_pos END, abs(surplus) FROM (${rows})`;
  await session.executeWithProgress('compare', sql, values);
}
