import { CovistaError } from '../../../protocol/errors.ts';
import type { FileFormat } from '../stores.ts';
import type { Session } from './broker.ts';
import { assertColumnCount, assertColumnNames } from './column-names.ts';
import { csvLineBytes, normalizeNewlines, trimToLastLine } from './csv-lines.ts';
import { readCsv, readRejects } from './csv-read.ts';
import { type CsvSample, sampleCsv } from './csv-sample.ts';
import { assertDeclared } from './detect.ts';
import { EngineError } from './engine-error.ts';
import { type Converted, conversionOf, type IngestContext } from './ingest-context.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier } from './quote.ts';
import { readHead } from './source.ts';
import { applySurvey, conversionSql, planColumns, schemaOf, settled, surveySql, type TextColumn } from './text-columns.ts';

/**
 * CSV and TSV. The header and the types come from the first rows; one COPY converts the file and checks each value against
 * its type. Only when a later value does not fit, all values are surveyed and the file is converted a second time.
 */
export async function ingestCsv(context: IngestContext): Promise<Converted> {
  const { source, staging, limits } = context;
  if (source.damage !== undefined) await trimToLastLine(source.path);
  const { sample, complete } = await readSample(context);
  const format: FileFormat = sample.delimiter === '\t' ? 'tsv' : 'csv';
  if (sample.header.length > 1) assertDeclared(context.declared, format);
  assertColumnNames(sample.header, limits);
  const columns = planColumns(sample.header, sample.rows, context.onto);
  const read = async (path: string, sameBytes: boolean): Promise<Converted> => {
    const lineBytesMax = await csvLineBytes(path, context.limits, context.control.signal);
    const job = { context, sample, path, sameBytes: sameBytes && source.sameBytes, lineBytesMax };
    const converted = await convert(job, complete ? settled(columns) : columns, complete && sample.clean);
    return { ...converted, format: sample.header.length > 1 ? format : (context.declared ?? format) };
  };
  if (!sample.mixedNewlines) return read(source.path, true);
  return staging.temporary('normalized', async (path) => {
    await normalizeNewlines(source.path, path, sample.delimiter, context.control.signal);
    return read(path, false);
  });
}

/** Takes a longer sample where the header alone is longer than the usual one. */
async function readSample({ source, limits }: IngestContext): Promise<{ sample: CsvSample; complete: boolean }> {
  let head = source.head;
  for (;;) {
    const complete = head.length >= source.bytes;
    const sample = sampleCsv(new TextDecoder().decode(head), complete);
    if (sample !== undefined) return { sample: complete && !isUtf8(head) ? { ...sample, clean: false } : sample, complete };
    const columns = sampleCsv(new TextDecoder().decode(head), true)?.header.length ?? 0;
    assertColumnCount(columns, limits);
    if (complete) throw new CovistaError('unprocessable_data', 'the file holds nothing but white space');
    if (head.length >= limits.csvLineBytesMax) {
      throw new CovistaError('unprocessable_data', `the header is longer than ${limits.csvLineBytesMax} bytes`, { bytesMax: limits.csvLineBytesMax });
    }
    head = (await readHead(source.path, Math.min(head.length * 4, limits.csvLineBytesMax))).bytes;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

interface Job {
  readonly context: IngestContext;
  readonly sample: CsvSample;
  readonly path: string;
  readonly sameBytes: boolean;
  readonly lineBytesMax: number;
}

type CsvConverted = Omit<Converted, 'format'>;

async function convert(job: Job, columns: readonly TextColumn[], clean: boolean): Promise<CsvConverted> {
  const { broker, control, staging } = job.context;
  return staging.write('data.parquet', (target) =>
    broker.run('bulk', control, async (session) => {
      // A small file whose every row was seen to be well formed needs no list of rejected rows.
      const quick = clean ? await attempt(session, job, columns, target, false) : undefined;
      if (quick !== undefined)
        return { schema: schemaOf(columns), path: target, rows: quick, conversion: conversionOf(quick, NOTHING, job.context.source) };
      return convertRobustly(session, job, columns, target);
    }),
  );
}

const NOTHING = { count: 0, errors: [] };

async function convertRobustly(session: Session, job: Job, guessed: readonly TextColumn[], target: string): Promise<CsvConverted> {
  let columns = guessed;
  let rows = await attempt(session, job, columns, target, true);
  if (rows === undefined) {
    columns = await survey(session, job, columns);
    rows = await attempt(session, job, columns, target, true);
  }
  if (rows === undefined) return convertGiven(session, job, columns, target);
  return finish(session, job, columns, target, rows);
}

async function finish(session: Session, job: Job, columns: readonly TextColumn[], target: string, rows: number): Promise<CsvConverted> {
  const rejected = await readRejects(session, job.context.limits.conversionErrorsMax, job.sameBytes);
  const conversion = conversionOf(rows, rejected, job.context.source);
  if (conversion.status !== 'failed') return { schema: schemaOf(columns), path: target, rows, conversion };
  await job.context.staging.remove(target);
  return { schema: schemaOf(columns), path: null, rows: 0, conversion };
}

/** The number of rows written; undefined when a value or, without rejects, a row does not fit. */
async function attempt(session: Session, job: Job, columns: readonly TextColumn[], target: string, rejects: boolean): Promise<number | undefined> {
  const select = `SELECT ${conversionSql(columns)} FROM ${readCsv(job.path, job, { rejects })}`;
  try {
    return await session.executeWithProgress('convert', copyToParquet(select, target, columns.length));
  } catch (error) {
    if (error instanceof EngineError && (error.type === 'Invalid Input' || error.type === 'Conversion')) return undefined;
    throw error;
  }
}

async function survey(session: Session, job: Job, columns: readonly TextColumn[]): Promise<TextColumn[]> {
  const sql = surveySql(columns);
  if (sql === '') return [...columns];
  const [found] = await session.rows(`SELECT ${sql} FROM ${readCsv(job.path, job, { rejects: true })}`);
  return applySurvey(columns, found ?? {});
}

/**
 * The values do not fit the columns that they are put into. Values that the column would round or cut refuse the commit;
 * rows whose values it cannot read at all are rejected one by one, which DuckDB does when it converts while it parses.
 */
async function convertGiven(session: Session, job: Job, columns: readonly TextColumn[], target: string): Promise<CsvConverted> {
  await assertNothingLossy(session, job, columns);
  const given = columns.filter(({ candidates }) => candidates === null);
  const types = new Map(given.map(({ from, sqlType }) => [from ?? '', sqlType]));
  const select = `SELECT ${conversionSql(columns, 'read')} FROM ${readCsv(job.path, job, { rejects: true, types })}`;
  const rows = await session.executeWithProgress('convert', copyToParquet(select, target, columns.length));
  return finish(session, job, columns, target, rows);
}

async function assertNothingLossy(session: Session, job: Job, columns: readonly TextColumn[]): Promise<void> {
  const given = columns.filter(({ candidates, from }) => candidates === null && from !== null);
  const lossy = given.map(({ from, type }, index) => {
    const x = identifier(from ?? '');
    return `min(${x}) FILTER (WHERE ${x} <> '' AND ${type.convert(x)} IS NOT NULL AND NOT ${type.exact(x)}) AS "lossy_${index}"`;
  });
  const [found] = await session.rows(`SELECT ${lossy.join(', ')} FROM ${readCsv(job.path, job, { rejects: true })}`);
  const index = given.findIndex((_column, at) => typeof found?.[`lossy_${at}`] === 'string');
  const column = given[index];
  if (column === undefined) return;
  const sample = String(found?.[`lossy_${index}`]).slice(0, 200);
  const message = `column ${JSON.stringify(column.name)} has type ${column.sqlType}, which cannot hold the text ${JSON.stringify(sample)}`;
  throw new CovistaError('unprocessable_data', message, { column: column.name, type: column.sqlType, sourceType: 'VARCHAR', sample });
}
