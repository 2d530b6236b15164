import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { hashSchema } from '../../shared/schema-hash.ts';
import type { Control, Ingested, IngestSource } from '../content-store.ts';
import type { Broker } from './broker.ts';
import { assertDeclared, detectContent } from './detect.ts';
import { ingestArrow } from './ingest-arrow.ts';
import { type Converted, commitControl, conversionOf, type IngestContext } from './ingest-context.ts';
import { ingestCsv } from './ingest-csv.ts';
import { ingestJson } from './ingest-json.ts';
import { ingestParquet } from './ingest-parquet.ts';
import { withSource } from './source.ts';
import type { Staging } from './staging.ts';

export interface IngestParts {
  readonly broker: Broker;
  readonly staging: Staging;
  readonly limits: Limits;
}

/** Converts an uploaded file to one sealed Parquet file in the staging area. */
export async function ingest(parts: IngestParts, request: IngestSource, given: Control): Promise<Ingested> {
  const { staging, limits } = parts;
  const control = commitControl(given, limits);
  return withSource(request, { staging, limits, signal: control.signal }, async (source) => {
    const context = { ...parts, source, declared: request.format, onto: request.onto, control };
    const { path, rows, ...converted } = isBlank(source.head) && source.head.length === source.bytes ? nothingIn(context) : await convert(context);
    const schemaHash = hashSchema(converted.schema);
    const file = path === null ? null : await sealOrRemove(staging, path, { rows, schemaHash }, control.signal);
    return { missing: [], ...converted, compression: source.compression, schemaHash, file };
  });
}

/** Nothing to read: the file is empty, or its compressed stream broke before anything came out of it. */
function nothingIn({ source, declared = 'csv' }: IngestContext): Converted {
  if (source.damage === undefined) throw new CovistaError('unprocessable_data', 'the file is empty');
  return { format: declared, schema: [], path: null, rows: 0, conversion: conversionOf(0, { count: 0, errors: [] }, source) };
}

function isBlank(head: Uint8Array): boolean {
  return head.every((byte) => byte === 32 || (byte >= 9 && byte <= 13));
}

async function sealOrRemove(staging: Staging, path: string, content: { rows: number; schemaHash: string }, signal: AbortSignal) {
  try {
    return await staging.seal(path, content, signal);
  } catch (error) {
    await staging.remove(path);
    throw error;
  }
}

async function convert(context: IngestContext): Promise<Converted> {
  const content = detectContent(context.source.head);
  switch (content) {
    case 'delimited':
      return ingestCsv(context);
    case 'json':
    case 'ndjson':
      return ingestJson(context, content);
    case 'parquet':
      assertDeclared(context.declared, 'parquet');
      return ingestParquet(context);
    case 'arrow':
      assertDeclared(context.declared, 'arrow');
      return ingestArrow(context);
  }
}
