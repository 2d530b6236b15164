import { CovistaError } from '../../../protocol/errors.ts';
import { present } from '../../shared/assert.ts';
import type { FileFormat } from '../stores.ts';
import type { Session } from './broker.ts';
import { assertColumnCount, assertColumnNames } from './column-names.ts';
import { csvLineBytes, normalizeNewlines, trimToLastLine } from './csv-lines.ts';
import { readCsv, readRejects } from './csv-read.ts';
import { type CsvSample, sampleCsv } from './csv-sample.ts';
import { assertDeclared } from './detect.ts';
import { type Converted, conversionOf, type IngestContext } from './ingest-context.ts';
import { readHead } from './source.ts';
import { planColumns, proven, readTypes, settled, shapeOf, type TextColumn } from './text-columns.ts';
import { assertFits, copyText, surveyColumns, type TextSource } from './text-copy.ts';

/**
 * CSV and TSV. The header and the types come from the first rows; one COPY converts the file and checks each value against
 * its type. Only when a later value does not fit, all values are surveyed and the file is converted a second time.
 */
export async function ingestCsv(context: IngestContext): Promise<Converted> {
  const { source, staging, limits } = context;
  if (source.damage !== undefined) await trimToLastLine(source.path);
  const { sample, complete } = await readSample(context);
  const format: FileFormat = sample.delimiter === '\t' ? 'tsv' : 'csv';
  // A single column has no delimiter, so it is whichever of the two it is said to be.
  if (sample.header.length > 1 || context.declared !== 'tsv') assertDeclared(context.declared, format);
  assertColumnNames(sample.header, limits);
  const columns = await planColumns(sample.header, sample.rows, context.onto);
  const read = async (path: string, sameBytes: boolean): Promise<Converted> => {
    const lineBytesMax = await csvLineBytes(path, source.bytes, context.limits, context.control.signal);
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

/** Writing more columns than this takes more memory than interactive queries have. */
const INTERACTIVE_COLUMNS_MAX = 200;

async function convert(job: Job, columns: readonly TextColumn[], clean: boolean): Promise<CsvConverted> {
  const { broker, control, staging } = job.context;
  return staging.write('data.parquet', (target) =>
    broker.run(clean && columns.length <= INTERACTIVE_COLUMNS_MAX ? 'interactive' : 'bulk', control, async (session) => {
      // A small file whose every row was seen to be well formed needs neither checks nor a list of rejected rows.
      const quick = clean ? await copyText(session, proven(columns), sourceOf(job, false), target) : undefined;
      if (quick !== undefined) return outcome(job, columns, target, { rows: quick, rejected: NOTHING });
      return convertRobustly(session, job, columns, target);
    }),
  );
}

const NOTHING = { count: 0, errors: [] };

async function convertRobustly(session: Session, job: Job, guessed: readonly TextColumn[], target: string): Promise<CsvConverted> {
  const source = sourceOf(job, true);
  let columns = guessed;
  let rows = await copyText(session, columns, source, target);
  if (rows === undefined) {
    columns = await surveyColumns(session, columns, source);
    rows = await copyText(session, columns, source, target);
  }
  if (rows === undefined) {
    // Values that a given column would round or cut refuse the commit; rows that it cannot read at all are rejected one by
    // one, which DuckDB does where it converts while it parses.
    await assertFits(session, columns, source, { unreadable: false });
    columns = columns.map((column) => (column.candidates === null && column.from !== null ? { ...column, read: 'typed' } : column));
    rows = await copyText(session, columns, source, target);
  }
  return finish(session, job, columns, target, present(rows, 'a conversion that rejects what does not fit'));
}

function sourceOf(job: Job, rejects: boolean): TextSource {
  return (columns) => readCsv(job.path, job, { rejects, types: readTypes(columns) });
}

async function finish(session: Session, job: Job, columns: readonly TextColumn[], target: string, rows: number): Promise<CsvConverted> {
  const rejected = await readRejects(session, job.context.limits.conversionErrorsMax, job.sameBytes);
  return outcome(job, columns, target, { rows, rejected });
}

interface Outcome {
  readonly rows: number;
  readonly rejected: Parameters<typeof conversionOf>[1];
}

async function outcome(job: Job, columns: readonly TextColumn[], target: string, { rows, rejected }: Outcome): Promise<CsvConverted> {
  const { source, staging } = job.context;
  const conversion = conversionOf(rows, rejected, source);
  if (conversion.status !== 'failed') return { ...shapeOf(columns), path: target, rows, conversion };
  await staging.remove(target);
  return { ...shapeOf(columns), path: null, rows: 0, conversion };
}
