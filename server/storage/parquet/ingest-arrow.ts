import { convertArrow } from '../../workers/arrow-ingest.client.ts';
import { ARROW_TABLE } from '../../workers/arrow-ingest.protocol.ts';
import type { ConversionError } from '../stores.ts';
import { assertColumnNames } from './column-names.ts';
import { type Converted, conversionOf, failedConversion, type IngestContext } from './ingest-context.ts';
import { describeFile, ingestParquet } from './ingest-parquet.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier } from './quote.ts';

/** Arrow IPC files and streams, which DuckDB cannot read: a worker thread does. */
export async function ingestArrow(context: IngestContext): Promise<Converted> {
  const { staging, source, onto } = context;
  if (onto === undefined) return staging.write('data.parquet', (target) => convert(context, target));
  // The rows take the types of the version on the way from a file of their own types.
  return staging.temporary('arrow.parquet', async (own) => {
    const converted = await convert(context, own);
    if (converted.path === null) return converted;
    const moved = await ingestParquet(context, own);
    const { errorCount: count, errors } = converted.conversion;
    // Damage to a compressed stream is among the errors already.
    return { ...moved, format: 'arrow', conversion: conversionOf(moved.rows, { count, errors }, { ...source, damage: undefined }) };
  });
}

async function convert(context: IngestContext, target: string): Promise<Converted> {
  const { broker, control, limits, source, staging } = context;
  const outcome = await broker.runThread(control, async (options, signal) => {
    const accept = (columns: readonly { readonly name: string }[]): string => {
      assertColumnNames(
        columns.map(({ name }) => name),
        limits,
      );
      return copyToParquet(`SELECT * FROM ${identifier(ARROW_TABLE)}`, target, columns.length);
    };
    const onRows = (rows: number): void => control.onProgress?.({ phase: 'convert', done: rows, total: null, unit: 'rows' });
    const job = { ...options, path: source.path, batchBytesMax: limits.arrowBatchBytesMax };
    return convertArrow({ job, accept, onRows, signal });
  });
  if ('unreadable' in outcome) {
    await staging.remove(target);
    return failedConversion('arrow', `the file cannot be read as Arrow: ${outcome.unreadable}`, source);
  }
  const schema = await broker.run('interactive', control, (session) => describeFile(session, target));
  const errors: ConversionError[] = outcome.damage === null ? [] : [{ line: null, column: null, byte: null, reason: outcome.damage }];
  const conversion = conversionOf(outcome.rows, { count: errors.length, errors }, source);
  if (conversion.status !== 'failed') return { format: 'arrow', schema, path: target, rows: outcome.rows, conversion };
  await staging.remove(target);
  return { format: 'arrow', schema, path: null, rows: 0, conversion };
}
