import { CovistaError } from '../../../protocol/errors.ts';
import { type Row, UNRESTRICTED } from '../content-store.ts';
import { identifier } from './quote.ts';
import { scopedRelation } from './relation.ts';
import type { RewriteJob } from './rewrite.ts';

/** How many offending keys an error names. */
const SAMPLES = 5;

/** Fails with `unprocessable_data` unless both sides have the key's columns, of one type, and the incoming rows are told apart by it. */
export async function assertKeys(job: RewriteJob): Promise<void> {
  assertColumns(job);
  const { session, incoming, key } = job;
  const { sql, values } = scopedRelation({ content: incoming, scope: UNRESTRICTED }, { columns: key });
  const columns = key.map(identifier).join(', ');
  const isNull = key.map((name) => `${identifier(name)} IS NULL`).join(' OR ');
  const nulls = await session.rows(`SELECT ${columns} FROM (${sql}) WHERE ${isNull} LIMIT ${SAMPLES}`, values);
  if (nulls.length > 0) throw unusable(job, 'null', nulls);
  const repeated = await session.rows(
    `SELECT ${columns} FROM (${sql}) GROUP BY ${columns} HAVING count(*) > 1 ORDER BY ${columns} LIMIT ${SAMPLES}`,
    values,
  );
  if (repeated.length > 0) throw unusable(job, 'duplicate', repeated);
}

function assertColumns({ base, incoming, key }: RewriteJob): void {
  const typeIn = ({ schema }: { readonly schema: readonly { name: string; type: string }[] }, name: string): string | undefined =>
    schema.find((column) => column.name === name)?.type;
  const absent = { version: key.filter((name) => typeIn(base, name) === undefined), file: key.filter((name) => incoming.missing.includes(name)) };
  for (const [side, columns] of Object.entries(absent)) {
    if (columns.length === 0) continue;
    throw new CovistaError('unprocessable_data', `the ${side} has no key column ${listed(columns)}`, { side, columns });
  }
  const columns = key.filter((name) => typeIn(base, name) !== typeIn(incoming, name));
  if (columns.length === 0) return;
  throw new CovistaError('unprocessable_data', `the key column ${listed(columns)} has another type in the version than in the file`, { columns });
}

function unusable({ key }: RewriteJob, problem: 'null' | 'duplicate', keys: readonly Row[]): CovistaError {
  const example = JSON.stringify(keys[0]);
  const reason = problem === 'null' ? `it is NULL in ${example}` : `${example} occurs more than once`;
  const message = `the key ${listed(key)} does not tell the rows of the file apart: ${reason}`;
  return new CovistaError('unprocessable_data', message, { side: 'file', columns: key, problem, keys });
}

const listed = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(', ');
