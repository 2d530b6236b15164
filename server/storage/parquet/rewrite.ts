import type { Limits } from '../../../protocol/limits.ts';
import { present } from '../../shared/assert.ts';
import { type Content, type ContentStore, type Control, type IncomingContent, type Rewritten, UNRESTRICTED } from '../content-store.ts';
import type { StagedFile } from '../stores.ts';
import type { Broker } from './broker.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier } from './quote.ts';
import { FILE_COLUMN, type Relation, type RelationOptions, ROW_COLUMN, scopedRelation } from './relation.ts';
import { assertKeys } from './rewrite-keys.ts';
import type { Session } from './session.ts';
import type { Staging } from './staging.ts';

export interface RewriterParts {
  readonly broker: Broker;
  readonly staging: Staging;
  readonly limits: Limits;
}

export interface RewriteJob {
  readonly session: Session;
  readonly staging: Staging;
  readonly base: Content;
  readonly incoming: IncomingContent;
  readonly key: readonly string[];
  readonly mode: 'upsert' | 'delete';
  readonly control: Control;
}

/** Only files that hold a key of the incoming rows are written again. */
export function createRewriter({ broker, staging, limits }: RewriterParts): ContentStore['rewrite'] {
  return (base, incoming, key, mode, control) =>
    broker.run('bulk', { ...control, timeoutMs: limits.commitTimeoutMs }, async (session) => {
      const job: RewriteJob = { session, staging, base, incoming, key, mode, control };
      await assertKeys(job);
      return rewriteFiles(job, await matchKeys(job));
    });
}

const FILE = identifier(FILE_COLUMN);
const ROW = identifier(ROW_COLUMN);

/** Every row of some content; no scope restricts what is written. */
function rowsOf(content: Content, options: RelationOptions = {}): Relation {
  return scopedRelation({ content, scope: UNRESTRICTED }, options);
}

/**
 * Fills `matches` with where rows of the base are whose key an incoming row has, and where that is. One pass over the key
 * columns, in which the engine skips row groups whose statistics exclude the incoming keys. Returns matches by file.
 */
async function matchKeys({ session, base, incoming, key }: RewriteJob): Promise<Map<number, number>> {
  const [one, other] = [rowsOf(base, { positions: true, columns: key }), rowsOf(incoming, { positions: true, columns: key })];
  const same = key.map((name) => `b.${identifier(name)} = i.${identifier(name)}`).join(' AND ');
  await session.execute(
    `CREATE TEMP TABLE matches AS SELECT b.${FILE} AS file, b.${ROW} AS row, i.${ROW} AS incoming_row FROM (${one.sql}) b JOIN (${other.sql}) i ON ${same}`,
    [...one.values, ...other.values],
  );
  const files = await session.rows('SELECT file, count(*) AS rows FROM matches GROUP BY file');
  return new Map(files.map(({ file, rows }) => [Number(file), Number(rows)]));
}

async function rewriteFiles(job: RewriteJob, matching: ReadonlyMap<number, number>): Promise<Rewritten> {
  const { base, mode, staging, control } = job;
  const pieces: (number | StagedFile)[] = [];
  let done = 0;
  try {
    for (const index of base.files.keys()) {
      if (!matching.has(index)) pieces.push(index);
      else {
        control.onProgress?.({ phase: 'rewrite', done, total: matching.size, unit: 'steps' });
        pieces.push(...(await (mode === 'delete' ? writeRemaining(job, index) : writeUpdated(job, index))));
        done += 1;
      }
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

function fileRows({ base }: RewriteJob, index: number): Relation {
  const file = present(base.files[index], 'a file of the base');
  return rowsOf({ ...base, files: [file], rows: file.rows }, { positions: true });
}

/** A file of the base without the rows that go. Joins do not keep the order of rows, so it is restored. */
async function writeRemaining(job: RewriteJob, index: number): Promise<StagedFile[]> {
  const { sql, values } = fileRows(job, index);
  const names = job.base.schema.map(({ name }) => identifier(name)).join(', ');
  const gone = `SELECT row FROM matches WHERE file = ${index}`;
  return write(job, { sql: `SELECT ${names} FROM (${sql}) WHERE ${ROW} NOT IN (${gone}) ORDER BY ${ROW}`, values }, job.base);
}

/** A file of the base with new values in the rows that change, under the schema of the incoming rows. */
async function writeUpdated(job: RewriteJob, index: number): Promise<StagedFile[]> {
  const { base, incoming } = job;
  const [old, fresh] = [fileRows(job, index), rowsOf(incoming, { positions: true })];
  const known = new Set(base.schema.map(({ name }) => name));
  const cells = incoming.schema.map(({ name }) => {
    const column = identifier(name);
    if (!known.has(name)) return `i.${column}`;
    return incoming.missing.includes(name) ? `b.${column}` : `CASE WHEN i.${ROW} IS NULL THEN b.${column} ELSE i.${column} END AS ${column}`;
  });
  const changed = `SELECT m.row AS changed_row, r.* FROM matches m JOIN (${fresh.sql}) r ON r.${ROW} = m.incoming_row WHERE m.file = ${index}`;
  const sql = `SELECT ${cells.join(', ')} FROM (${old.sql}) b LEFT JOIN (${changed}) i ON b.${ROW} = i.changed_row ORDER BY b.${ROW}`;
  return write(job, { sql, values: [...old.values, ...fresh.values] }, incoming);
}

/** The incoming rows whose keys the base does not have, in their order. */
async function writeNew(job: RewriteJob): Promise<StagedFile[]> {
  const { incoming } = job;
  const { sql, values } = rowsOf(incoming, { positions: true });
  const names = incoming.schema.map(({ name }) => identifier(name)).join(', ');
  const select = `SELECT ${names} FROM (${sql}) WHERE ${ROW} NOT IN (SELECT incoming_row FROM matches) ORDER BY ${ROW}`;
  return write(job, { sql: select, values }, incoming);
}

/** Writes rows as a file of the schema of a content; none when there are no rows. */
async function write(job: RewriteJob, rows: Pick<Relation, 'sql' | 'values'>, { schema, schemaHash }: Content): Promise<StagedFile[]> {
  const { staging, session, control } = job;
  return staging.write('rewritten.parquet', async (path) => {
    const written = await session.execute(copyToParquet(rows.sql, path, schema.length), rows.values);
    if (written > 0) return [await staging.seal(path, { rows: written, schemaHash }, control.signal)];
    await staging.remove(path);
    return [];
  });
}
