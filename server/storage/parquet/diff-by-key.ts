import type { ComparedColumn } from './diff-columns.ts';
import type { Computing } from './diff-compute.ts';
import type { DiffPlan, DiffSide } from './diff-plan.ts';
import { anyDiffers, countRows, type Fragment, fileOf, fragment, keyNames, rowOf, type Slice, sameKey, sideRows } from './diff-sql.ts';
import { planWindows, type Window } from './diff-windows.ts';
import { rowGroupRows } from './parquet-options.ts';
import type { Session } from './session.ts';

/**
 * Fills `changes`. Every pair of rows with equal keys has its cells compared, or digests of them: no result rests on a hash that
 * anybody could make two rows have. Digests have 128 bits, and nobody knows the secret that they begin with.
 */
export async function compareByKey(computing: Computing, key: readonly ComparedColumn[]): Promise<void> {
  const { session, plan, digests, onProgress } = computing;
  onProgress({ phase: 'check keys', done: 0, total: 1, unit: 'steps' });
  await computing.keyChecks.check(session, plan, key);
  if (plan.from.differing.content.rows === 0 || plan.to.differing.content.rows === 0) return takeWhole(session, plan);
  if (digests === undefined) return compareRows(computing, key);
  await compareRows({ ...computing, plan: digests.plan }, digests.key);
  const { position } = digests;
  await session.execute(`UPDATE changes SET from_pos = ${position('from', 'from_pos')}, to_pos = ${position('to', 'to_pos')}`);
}

async function compareRows(computing: Computing, key: readonly ComparedColumn[]): Promise<void> {
  const { session, plan, limits } = computing;
  const windows = await planWindows(session, plan, key, limits);
  await createFound(session, plan, key);
  if (windows === undefined) await compareWindow(session, plan, key, undefined);
  else await compareWindows(computing, key, windows);
  await session.execute('INSERT INTO changes SELECT from_pos, to_pos, 1 FROM found');
}

async function compareWindows({ session, plan, onProgress }: Computing, key: readonly ComparedColumn[], windows: readonly Window[]): Promise<void> {
  for (const [done, window] of windows.entries()) {
    onProgress({ phase: 'compare', done, total: windows.length, unit: 'steps' });
    await compareWindow(session, plan, key, window);
  }
  await matchAcrossWindows(session, plan, key);
}

async function run(session: Session, { sql, values }: Fragment): Promise<number> {
  return session.execute(sql, values);
}

/** Rows of one side that the other has none to compare with. */
async function takeWhole(session: Session, { from, to }: DiffPlan): Promise<void> {
  const removed = sideRows('from', from.differing, { position: true });
  const added = sideRows('to', to.differing, { position: true });
  await run(session, fragment`INSERT INTO changes SELECT pos, NULL, 1 FROM (${removed})`);
  await run(session, fragment`INSERT INTO changes SELECT NULL, pos, 1 FROM (${added})`);
}

/** `found` has the pairs that differ, and with their keys the rows without a counterpart in their window. */
async function createFound(session: Session, { from }: DiffPlan, key: readonly ComparedColumn[]): Promise<void> {
  const none = fragment`${sideRows('from', from.differing, { key })} LIMIT 0`;
  await run(session, fragment`CREATE TEMP TABLE found AS SELECT *, NULL::BIGINT AS from_pos, NULL::BIGINT AS to_pos FROM (${none})`);
}

async function compareWindow(
  session: Session,
  { from, to, columns }: DiffPlan,
  key: readonly ComparedColumn[],
  window: Window | undefined,
): Promise<void> {
  const projection = { key, columns, position: true };
  const [one, other] = [sideRows('from', from.differing, projection, window?.from), sideRows('to', to.differing, projection, window?.to)];
  // Only between windows can a row that has no counterpart here have one elsewhere.
  const keys = keyNames(key).map((name) => (window === undefined ? 'NULL' : `coalesce(f.${name}, t.${name})`));
  const { sql, values } = fragment`INSERT INTO found SELECT ${keys.join(', ')}, f.pos, t.pos
    FROM (${one}) f FULL JOIN (${other}) t ON ${sameKey(key, 'f', 't')}
    WHERE f.pos IS NULL OR t.pos IS NULL OR ${anyDiffers(columns, 'f', 't')}`;
  await (window === undefined ? session.executeWithProgress('compare', sql, values) : session.execute(sql, values));
}

/** Rows that are out of order have their counterpart in another window: finds these pairs and compares them. */
async function matchAcrossWindows(session: Session, plan: DiffPlan, key: readonly ComparedColumn[]): Promise<void> {
  await session.execute(`CREATE TEMP TABLE moved AS SELECT f.from_pos, t.to_pos
    FROM (SELECT * FROM found WHERE to_pos IS NULL) f JOIN (SELECT * FROM found WHERE from_pos IS NULL) t ON ${sameKey(key, 'f', 't')}`);
  if ((await countRows(session, 'moved')) === 0) return;
  await session.execute('DELETE FROM found WHERE to_pos IS NULL AND from_pos IN (SELECT from_pos FROM moved)');
  await session.execute('DELETE FROM found WHERE from_pos IS NULL AND to_pos IN (SELECT to_pos FROM moved)');
  const projection = { columns: plan.columns, position: true };
  const one = sideRows('from', plan.from.differing, projection, await slicesOf(session, plan.from));
  const other = sideRows('to', plan.to.differing, projection, await slicesOf(session, plan.to));
  const pairs = fragment`SELECT m.from_pos, m.to_pos FROM moved m JOIN (${one}) f ON f.pos = m.from_pos JOIN (${other}) t ON t.pos = m.to_pos`;
  await run(session, fragment`INSERT INTO changes SELECT from_pos, to_pos, 1 FROM (${pairs} WHERE ${anyDiffers(plan.columns, 'f', 't')})`);
}

/** With more row groups than this it costs less to read everything. */
const GROUPS_MAX = 64;

/** The row groups of a side in which the moved rows are, as they are read as a whole anyway. */
async function slicesOf(session: Session, { side, differing }: DiffSide): Promise<Slice[] | undefined> {
  const size = rowGroupRows(differing.content.schema.length);
  const [file, group] = [fileOf(`${side}_pos`), `${rowOf(`${side}_pos`)} // ${size}`];
  const groups = await session.rows(`SELECT DISTINCT ${file} AS file, ${group} AS row_group FROM moved LIMIT ${GROUPS_MAX + 1}`);
  if (groups.length > GROUPS_MAX) return undefined;
  return groups.map((row) => {
    const [index, start] = [Number(row.file), Number(row.row_group) * size];
    return { firstFile: index, endFile: index + 1, rows: { start, end: start + size } };
  });
}
