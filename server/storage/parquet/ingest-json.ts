import { stat } from 'node:fs/promises';
import type { DuckDBType } from '@duckdb/node-api';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Session } from './broker.ts';
import { assertColumnNames } from './column-names.ts';
import { trimToLastLine } from './csv-lines.ts';
import { assertDeclared } from './detect.ts';
import { EngineError } from './engine-error.ts';
import { exactConversion, textShape } from './exact-conversion.ts';
import { type Converted, conversionOf, failedConversion, type IngestContext } from './ingest-context.ts';
import { describeFile } from './ingest-parquet.ts';
import { isNested, type JsonPlan, planJson } from './json-columns.ts';
import { assertNesting } from './json-nesting.ts';
import { JSON_OBJECT_BYTES_MAX, salvageJson } from './json-salvage.ts';
import { fileLiteral, identifier, literal } from './quote.ts';
import { fileContains, type OpenedSource, readTail } from './source.ts';
import { readTypes, shapeOf, type TextColumn } from './text-columns.ts';
import { assertFits, copyText, surveyColumns } from './text-copy.ts';

/** How the objects follow each other in a file, in DuckDB's words. */
type Layout = 'array' | 'newline_delimited' | 'unstructured';

/**
 * JSON arrays of objects, single objects and NDJSON. DuckDB tells the structure from all of the file; numbers and times are
 * read as text and checked against their type like those of CSV. When the file is not well formed, the objects that are go
 * into a second file, which is ingested instead, and the others are reported.
 */
export async function ingestJson(context: IngestContext, detected: 'json' | 'ndjson'): Promise<Converted> {
  assertDeclared(context.declared === 'ndjson' && isOneLine(context.source.head) ? undefined : context.declared, detected);
  const format = context.declared === 'ndjson' ? 'ndjson' : detected;
  if (context.source.damage !== undefined && format === 'ndjson') await trimToLastLine(context.source.path);
  const layout = layoutOf(context.source.head, detected);
  const converted = layout === 'array' && (await breaksOff(context.source)) ? undefined : await tryConvert(context, context.source.path, layout);
  if (converted !== undefined) return { ...converted, format, conversion: conversionOf(converted.rows, { count: 0, errors: [] }, context.source) };
  return salvage(context, format);
}

const TAIL_BYTES = 4096;

/** Whether an array may lack its end: DuckDB takes one that breaks off behind an object for a whole one. */
async function breaksOff({ path }: OpenedSource): Promise<boolean> {
  const tail = await readTail(path, TAIL_BYTES);
  return !tail.toString('latin1').trimEnd().endsWith(']');
}

/** A single object on one line is NDJSON as well. */
function isOneLine(head: Uint8Array): boolean {
  const text = new TextDecoder().decode(head).trim();
  return text.startsWith('{') && !text.includes('\n');
}

function layoutOf(head: Uint8Array, detected: 'json' | 'ndjson'): Layout {
  const text = new TextDecoder().decode(head).trimStart();
  if (text.startsWith('[')) return 'array';
  return detected === 'ndjson' && /^\{.*\}\s*$/m.test(text.split('\n', 1)[0] ?? '') ? 'newline_delimited' : 'unstructured';
}

async function salvage(context: IngestContext, format: 'json' | 'ndjson'): Promise<Converted> {
  const { staging, source, limits, control } = context;
  return staging.temporary('salvaged', async (path) => {
    const layout = format === 'json' ? 'array' : 'lines';
    const { objects, count, errors } = await salvageJson({ path: source.path, target: path, layout, limits, signal: control.signal });
    const listed = source.sameBytes ? errors : errors.map((error) => ({ ...error, byte: null }));
    const rejected = { count, errors: listed };
    if (objects === 0 && count === 0) throw new CovistaError('unprocessable_data', 'the file holds no object, so that there are no columns');
    if (objects === 0) return { format, schema: [], path: null, rows: 0, conversion: conversionOf(0, rejected, source) };
    const converted = await tryConvert(context, path, 'newline_delimited');
    if (converted !== undefined) return { ...converted, format, conversion: conversionOf(converted.rows, rejected, source) };
    await context.broker.run('bulk', control, (session) => jsonFile(path, 'newline_delimited').then((file) => assertKeys(session, context, file)));
    return failedConversion(format, 'the objects cannot be brought into one table: they have no keys, or one has the same key twice', source);
  });
}

type JsonConverted = Omit<Converted, 'format' | 'conversion'>;

/** Undefined when the engine cannot read the file as it is. */
async function tryConvert(context: IngestContext, path: string, layout: Layout): Promise<JsonConverted | undefined> {
  const { broker, control, staging, limits } = context;
  await assertNesting(path, { lines: layout === 'newline_delimited', depthMax: limits.nestingMax }, control.signal);
  const file = await jsonFile(path, layout);
  return staging.write('data.parquet', (target) =>
    broker.run('bulk', control, async (session) => {
      try {
        return await convert(session, context, file, target);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        await staging.remove(target);
        return undefined;
      }
    }),
  );
}

interface JsonFile {
  readonly path: string;
  readonly bytes: number;
  readonly layout: Layout;
}

async function jsonFile(path: string, layout: Layout): Promise<JsonFile> {
  const { size: bytes } = await stat(path);
  return { path, bytes, layout };
}

async function convert(session: Session, context: IngestContext, file: JsonFile, target: string): Promise<JsonConverted> {
  const described = await session.describe(`SELECT * FROM ${findJson(file, context.limits.columnsMax)}`);
  await assertNames(session, context, file, described);
  const plan = planJson(described, context.onto);
  const { columns, rows } = await convertPlanned(session, file, plan, target);
  const shape = shapeOf(columns);
  // DuckDB has its own way of printing nested types.
  const schema = columns.some(isNested) ? await describeFile(session, target) : shape.schema;
  return { ...shape, schema, path: target, rows };
}

async function convertPlanned(
  session: Session,
  file: JsonFile,
  plan: JsonPlan,
  target: string,
): Promise<{ columns: readonly TextColumn[]; rows: number }> {
  const source = (columns: readonly TextColumn[]): string => readJson(file, columnsRead(columns));
  for (const attempt of [plan.columns, plan.withNestedAsText]) {
    const rows = await copyText(session, attempt, source, target);
    if (rows !== undefined) {
      await assertPartsFit(session, file, attempt);
      if (await guessedPartsFit(session, file, attempt)) return { columns: attempt, rows };
      continue;
    }
    const columns = await surveyColumns(session, attempt, source).catch(ignoreEngineError);
    const surveyed = columns === undefined ? undefined : await copyText(session, columns, source, target);
    if (columns !== undefined && surveyed !== undefined) return { columns, rows: surveyed };
  }
  await assertFits(session, plan.withNestedAsText, source, { unreadable: true });
  throw new EngineError('Invalid Input', 'the values of the file do not fit the columns found in it');
}

/** The engine's reader rounds and cuts what is within lists, structs and maps of a version without a word. */
async function assertPartsFit(session: Session, file: JsonFile, columns: readonly TextColumn[]): Promise<void> {
  const shapes = new Map<string, string>();
  const nested = columns.flatMap((column): TextColumn[] => {
    const shape = textShape(column.sqlType);
    if (column.candidates !== null || column.from === null || shape === undefined) return [];
    shapes.set(column.from, shape);
    return [{ ...column, read: 'text' }];
  });
  await assertFits(session, nested, () => readJson(file, shapes), { unreadable: false });
}

/** Whether the same is not so of columns that were guessed. Of their types only DOUBLE has values that it does not hold. */
async function guessedPartsFit(session: Session, file: JsonFile, columns: readonly TextColumn[]): Promise<boolean> {
  const shapes = new Map<string, string>();
  const kept = columns.flatMap(({ from, candidates, sqlType }) => {
    const shape = candidates === null || !sqlType.includes('DOUBLE') ? undefined : textShape(sqlType);
    if (from === null || shape === undefined) return [];
    shapes.set(from, shape);
    return [`coalesce(bool_and(${exactConversion(sqlType).keeps(identifier(from))}), true)`];
  });
  if (kept.length === 0) return true;
  const [found] = await session.rows(`SELECT ${kept.join(' AND ')} AS kept FROM ${readJson(file, shapes)}`);
  return found?.kept === true;
}

/** Nested values that do not fit the type found for them fail the survey too; they are read as text next. */
function ignoreEngineError(error: unknown): undefined {
  if (error instanceof EngineError) return undefined;
  throw error;
}

function columnsRead(columns: readonly TextColumn[]): Map<string, string> {
  const types = readTypes(columns);
  return new Map(columns.flatMap(({ from }) => (from === null ? [] : [[from, types.get(from) ?? 'VARCHAR']])));
}

/** SQL of a table function over the objects of a file with the given columns. */
function readJson(file: JsonFile, columns: ReadonlyMap<string, string>): string {
  return tableOf(file, `columns = {${[...columns].map(([name, type]) => `${literal(name)}: ${literal(type)}`).join(', ')}}`);
}

/** The same with the columns that are found in all of the file; more than a version may have are taken for one map, and not found. */
function findJson(file: JsonFile, columnsMax: number): string {
  return tableOf(file, `sample_size = -1, map_inference_threshold = ${columnsMax + 1}`);
}

function tableOf(file: JsonFile, options: string): string {
  return `read_json(${sourceOf(file)}, records = true, ${options})`;
}

/** With less, DuckDB's buffers become no smaller. */
const OBJECT_BYTES_MIN = 16 * 1024 * 1024;

/** DuckDB allocates buffers for the largest object that it is told to expect; most files that have a larger one consist of it. */
function sourceOf({ path, bytes, layout }: JsonFile): string {
  const largest = layout === 'unstructured' ? Math.min(bytes, JSON_OBJECT_BYTES_MAX) : 0;
  return `${fileLiteral(path)}, format = ${literal(layout)}, maximum_object_size = ${Math.max(largest, OBJECT_BYTES_MIN)}`;
}

/** DuckDB renames keys that are empty or differ only in case; the names it makes up give it away. */
const MADE_UP = /^C\d+$|_\d+$/;
const ESCAPED_NUL = Buffer.from('\\u0000');

async function assertNames(
  session: Session,
  context: IngestContext,
  file: JsonFile,
  described: readonly { readonly name: string; readonly type: DuckDBType }[],
): Promise<void> {
  const names = described.map(({ name }) => name);
  if (names.length === 0) throw new CovistaError('unprocessable_data', 'the file holds no object with any key, so that there are no columns');
  // The engine's interface for names ends them at NUL.
  const isPlain = !names.some((name) => MADE_UP.test(name)) && !(await fileContains(file.path, ESCAPED_NUL, context.control.signal));
  if (isPlain) return assertColumnNames(names, context.limits);
  await assertKeys(session, context, file);
}

async function assertKeys(session: Session, { limits }: IngestContext, file: JsonFile): Promise<void> {
  const keys = await session.rows(`SELECT DISTINCT unnest(json_keys(json)) AS key FROM read_json_objects(${sourceOf(file)}) ORDER BY key`);
  assertColumnNames(
    keys.map(({ key }) => String(key)),
    limits,
  );
}
