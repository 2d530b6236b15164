import { CovistaError } from '../../../protocol/errors.ts';
import type { Column, PendingColumn } from '../stores.ts';
import type { Session } from './broker.ts';
import { assertColumnNames } from './column-names.ts';
import { EngineError } from './engine-error.ts';
import { exactConversion } from './exact-conversion.ts';
import { type Converted, conversionOf, failedConversion, type IngestContext, nullableColumn } from './ingest-context.ts';
import { copyToParquet } from './parquet-options.ts';
import { fileLiteral, identifier } from './quote.ts';
import { readParquetFile } from './relation.ts';
import { storedSql, storedType } from './stored-types.ts';
import { depthOf, parseType } from './type-tree.ts';

/** Parquet is rewritten as well, so that every data file has the same compression, row groups and types. */
export async function ingestParquet(context: IngestContext, path = context.source.path): Promise<Converted> {
  const { broker, control, staging, source, limits } = context;
  return staging.write('data.parquet', (target) =>
    broker.run('bulk', control, async (session) => {
      try {
        assertColumnNames(await topLevelNames(session, path), limits);
        const columns = await describeFile(session, path);
        assertDepth(columns, limits.nestingMax);
        const selected = context.onto === undefined ? columns.map(storedSql) : await putOnto(session, path, columns, context.onto);
        const select = `SELECT ${selected.join(', ')} FROM ${readParquetFile(path)}`;
        const rows = await session.executeWithProgress('convert', copyToParquet(select, target, selected.length));
        const schema = await describeFile(session, target);
        const missing = (context.onto ?? []).map(({ name }) => name).filter((name) => !columns.some((column) => isSameName(column.name, name)));
        return { format: 'parquet', schema, missing, path: target, rows, conversion: conversionOf(rows, { count: 0, errors: [] }, source) };
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        await staging.remove(target);
        return failedConversion('parquet', `the file cannot be read as Parquet: ${describeError(error, path)}`, source);
      }
    }),
  );
}

/** The engine takes twice as long for each further list within a list, and cannot be interrupted at it. */
function assertDepth(columns: readonly PendingColumn[], depthMax: number): void {
  const deep = columns.find(({ type }) => depthOf(parseType(type)) > depthMax);
  if (deep === undefined) return;
  const message = `column ${JSON.stringify(deep.name)} has lists, structs and maps more than ${depthMax} deep within each other`;
  throw new CovistaError('unprocessable_data', message, { column: deep.name, depthMax });
}

/** As DuckDB compares names. */
function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** The engine's words, without the path of the file on this machine. */
function describeError(error: EngineError, path: string): string {
  return (error.message.split('\n', 1)[0] ?? '').replaceAll(path, 'upload');
}

/** The columns of a Parquet file, with types as DESCRIBE prints them. */
export async function describeFile(session: Session, path: string): Promise<PendingColumn[]> {
  const described = await session.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${readParquetFile(path)})`);
  return described.map((row) => nullableColumn(String(row.column_name), String(row.column_type)));
}

/** Names as they are in the file: the reader would give duplicates other names. */
async function topLevelNames(session: Session, path: string): Promise<string[]> {
  const nodes = await session.rows(`SELECT name, coalesce(num_children, 0) AS children FROM parquet_schema(${fileLiteral(path)})`);
  const names: string[] = [];
  /** The nodes come depth first, the root before them. */
  let at = 1;
  const skip = (): void => {
    const children = Number(nodes[at]?.children ?? 0);
    at += 1;
    for (let child = 0; child < children; child += 1) skip();
  };
  while (at < nodes.length) {
    names.push(String(nodes[at]?.name));
    skip();
  }
  return names;
}

/** SQL of the columns of a version, taken from a typed source, followed by columns that the version lacks. */
async function putOnto(session: Session, path: string, columns: readonly PendingColumn[], onto: readonly Column[]): Promise<string[]> {
  const byName = new Map(columns.map((column) => [column.name.toLowerCase(), column]));
  const selected: string[] = [];
  for (const { name, type } of onto) {
    const column = byName.get(name.toLowerCase());
    byName.delete(name.toLowerCase());
    if (column !== undefined && storedType(column.type) !== type) await assertLossless(session, path, column, type);
    selected.push(`CAST(${column === undefined ? 'NULL' : identifier(column.name)} AS ${type}) AS ${identifier(name)}`);
  }
  return [...selected, ...[...byName.values()].map(storedSql)];
}

/** SQL that tells whether a text converts to a type without loss. */
function textKept(type: string, x: string): string {
  const { keeps, tryConvert } = exactConversion(type);
  return `coalesce(${keeps(x)}, false) AND ${tryConvert(x)} IS NOT NULL`;
}

async function assertLossless(session: Session, path: string, column: PendingColumn, type: string): Promise<void> {
  const x = identifier(column.name);
  const from = storedType(column.type);
  const kept = from === 'VARCHAR' ? textKept(type, x) : `TRY_CAST(TRY_CAST(${x} AS ${type}) AS ${from}) IS NOT DISTINCT FROM ${x}`;
  const refuse = (sample: string | null): CovistaError => {
    const example = sample === null ? '' : `, for example ${JSON.stringify(sample)}`;
    const message = `column ${JSON.stringify(column.name)} has type ${type} in the version and ${from} in the file, and its values do not all fit${example}`;
    return new CovistaError('unprocessable_data', message, { column: column.name, type, sourceType: from, sample });
  };
  try {
    const lost = `SELECT left(CAST(${x} AS VARCHAR), 200) AS sample FROM ${readParquetFile(path)} WHERE ${x} IS NOT NULL AND NOT (${kept}) LIMIT 1`;
    const [row] = await session.rows(lost);
    if (row !== undefined) throw refuse(String(row.sample));
  } catch (error) {
    // The engine has no cast at all between the two types.
    throw error instanceof EngineError && error.type === 'Binder' ? refuse(null) : error;
  }
}
