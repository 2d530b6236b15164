import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { type Content, type ContentStore, type Control, type Rewritten, UNRESTRICTED } from '../content-store.ts';
import type { StagedFile } from '../stores.ts';
import type { Broker } from './broker.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier } from './quote.ts';
import { FILE_COLUMN, ROW_COLUMN, scopedRelation } from './relation.ts';
import type { Session } from './session.ts';
import type { Staging } from './staging.ts';

interface RewriterParts {
  readonly broker: Broker;
  readonly staging: Staging;
  readonly limits: Limits;
}

interface Job extends RewriterParts {
  readonly session: Session;
  readonly base: Content;
  readonly incoming: Content;
  readonly key: readonly string[];
  readonly mode: 'upsert' | 'delete';
  readonly control: Control;
}

const SAMPLES = 5;

/**
 * Updates and inserts, or removes, rows by key. Only files that hold such a key are written again; rows keep their order,
 * new ones come last. Columns that the incoming rows lack keep their values where a row exists and are NULL where it is new.
 */
export function createRewriter(parts: RewriterParts): ContentStore['rewrite'] {
  return (base, incoming, key, mode, control) =>
    parts.broker.run('bulk', { ...control, timeoutMs: parts.limits.commitTimeoutMs }, async (session) => {
      const job: Job = { ...parts, session, base, incoming, key, mode, control };
      checkColumns(job);
      await stageIncoming(job);
      await checkKeys(job);
      return rewriteFiles(job, await matchingFiles(job));
    });
}

function checkColumns({ base, incoming, key }: Job): void {
  for (const [side, { schema }] of [
    ['version', base],
    ['file', incoming],
  ] as const) {
    const absent = key.filter((name) => !schema.some((column) => column.name === name));
    if (absent.length > 0)
      throw new CovistaError('unprocessable_data', `the ${side} has no key column ${absent.join(', ')}`, { side, columns: absent });
  }
}

const INCOMING = '"incoming"';
const keyMatch = (key: readonly string[]): string => key.map((name) => `b.${identifier(name)} = i.${identifier(name)}`).join(' AND ');

async function stageIncoming({ session, incoming }: Job): Promise<void> {
  const { sql, values } = scopedRelation({ content: incoming, scope: UNRESTRICTED });
  await session.execute(`CREATE TEMP TABLE ${INCOMING} AS ${sql}`, values);
}

async function checkKeys({ session, key }: Job): Promise<void> {
  const columns = key.map(identifier).join(', ');
  const nulls = key.map((name) => `${identifier(name)} IS NULL`).join(' OR ');
  const lacking = await session.rows(`SELECT ${columns} FROM ${INCOMING} WHERE ${nulls} LIMIT ${SAMPLES}`);
  if (lacking.length > 0)
    throw new CovistaError('unprocessable_data', 'rows of the file have no value in a key column', { key, side: 'file', samples: lacking });
  const repeated = await session.rows(
    `SELECT ${columns} FROM ${INCOMING} GROUP BY ${columns} HAVING count(*) > 1 ORDER BY ${columns} LIMIT ${SAMPLES}`,
  );
  if (repeated.length > 0)
    throw new CovistaError('unprocessable_data', 'rows of the file have the same key', { key, side: 'file', samples: repeated });
}

/** Rows that match, by index of the file that holds them. */
async function matchingFiles({ session, base, key }: Job): Promise<Map<number, number>> {
  if (base.files.length === 0) return new Map();
  const { sql, values } = scopedRelation({ content: base, scope: UNRESTRICTED }, { positions: true, columns: key });
  const rows = await session.rows(
    `SELECT b.${identifier(FILE_COLUMN)} AS file, count(*) AS rows FROM (${sql}) b SEMI JOIN ${INCOMING} i ON ${keyMatch(key)} GROUP BY 1`,
    values,
  );
  return new Map(rows.map((row) => [Number(row.file), Number(row.rows)]));
}

async function rewriteFiles(job: Job, matching: ReadonlyMap<number, number>): Promise<Rewritten> {
  const { base, mode, staging } = job;
  const pieces: (number | StagedFile)[] = [];
  try {
    for (const index of base.files.keys()) {
      if (!matching.has(index)) pieces.push(index);
      else pieces.push(...(await rewriteFile(job, index)));
    }
    const matched = [...matching.values()].reduce((sum, rows) => sum + rows, 0);
    if (mode === 'delete') return { pieces, rows: base.rows - matched, updated: 0, inserted: 0, deleted: matched };
    const added = await writeNew(job);
    const inserted = added.reduce((sum, { rows }) => sum + rows, 0);
    return { pieces: [...pieces, ...added], rows: base.rows + inserted, updated: matched, inserted, deleted: 0 };
  } catch (error) {
    for (const piece of pieces) if (typeof piece !== 'number') await staging.remove(piece.path);
    throw error;
  }
}

/** One file of the base without the rows that go, or with new values in those that change. */
async function rewriteFile(job: Job, index: number): Promise<StagedFile[]> {
  const { base, incoming, key, mode } = job;
  const file = base.files[index] as Content['files'][number];
  const { sql, values } = scopedRelation({ content: { ...base, files: [file], rows: file.rows }, scope: UNRESTRICTED }, { positions: true });
  if (mode === 'delete') {
    const names = base.schema.map(({ name }) => `b.${identifier(name)}`).join(', ');
    return write(
      job,
      `SELECT ${names} FROM (${sql}) b ANTI JOIN ${INCOMING} i ON ${keyMatch(key)} ORDER BY b.${identifier(ROW_COLUMN)}`,
      values,
      base,
    );
  }
  const known = new Set(base.schema.map(({ name }) => name));
  const columns = incoming.schema.map(({ name }) => updatedColumn(name, known.has(name)));
  return write(
    job,
    `SELECT ${columns.join(', ')} FROM (${sql}) b LEFT JOIN (SELECT *, true AS "__covista_matched" FROM ${INCOMING}) i ON ${keyMatch(key)} ORDER BY b.${identifier(ROW_COLUMN)}`,
    values,
    incoming,
  );
}

function updatedColumn(name: string, isKnown: boolean): string {
  const column = identifier(name);
  return isKnown ? `CASE WHEN i."__covista_matched" THEN i.${column} ELSE b.${column} END AS ${column}` : `i.${column} AS ${column}`;
}

async function writeNew(job: Job): Promise<StagedFile[]> {
  const { base, incoming, key } = job;
  const names = incoming.schema.map(({ name }) => `i.${identifier(name)}`).join(', ');
  if (base.files.length === 0) return write(job, `SELECT ${names} FROM ${INCOMING} i`, [], incoming);
  const { sql, values } = scopedRelation({ content: base, scope: UNRESTRICTED }, { columns: key });
  return write(job, `SELECT ${names} FROM ${INCOMING} i ANTI JOIN (${sql}) b ON ${keyMatch(key)} ORDER BY i.rowid`, values, incoming);
}

/** Writes rows under a schema; no file when there are none. */
async function write(
  { staging, session, control }: Job,
  sql: string,
  values: readonly unknown[],
  { schema, schemaHash }: Content,
): Promise<StagedFile[]> {
  return staging.write('rewritten.parquet', async (path) => {
    const rows = await session.execute(copyToParquet(sql, path, schema.length), values);
    if (rows > 0) return [await staging.seal(path, { rows, schemaHash }, control.signal)];
    await staging.remove(path);
    return [];
  });
}
