import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import {
  type ContentFile,
  type ContentStore,
  type Control,
  type ExportedFile,
  type ExportFormat,
  isUnrestricted,
  type ScopedContent,
  scopeIdentity,
  showsAllRows,
} from '../content-store.ts';
import type { Broker } from './broker.ts';
import { writeArrow } from './export-arrow.ts';
import { ExportCache } from './export-cache.ts';
import { jsonSelect } from './json-select.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier, targetLiteral } from './quote.ts';
import { type Relation, scopedRelation } from './relation.ts';

const READ_BYTES = 64 * 1024;

/** Renders versions as files, each once: the same content, scope and format is the same file, byte for byte. */
export async function createExporter(options: {
  readonly broker: Broker;
  readonly directory: string;
  readonly limits: Limits;
  readonly counts?: CacheCounts;
}): Promise<ContentStore['export']> {
  const { broker, limits } = options;
  const cache = new ExportCache(options.directory, limits, options.counts ?? new CacheCounts());
  await cache.open();
  return async (source, format, control) => {
    const whole = format === 'parquet' ? onlyFile(source) : undefined;
    if (whole !== undefined) return { bytes: (await stat(whole.path)).size, read: reader(whole.path), close: () => undefined };
    const { path, bytes, release } = await cache.use(keyOf(source, format), { ...control }, (target, shared) =>
      render(broker, source, { format, target }, limits, shared),
    );
    return { bytes, read: reader(path), close: release };
  };
}

const reader =
  (path: string): ExportedFile['read'] =>
  ({ start, end }) =>
    start < end ? createReadStream(path, { start, end: end - 1, highWaterMark: READ_BYTES }) : Readable.from([]);

/** The one data file that a version consists of, if that is exactly what the scope shows. */
function onlyFile({ content, scope }: ScopedContent): ContentFile | undefined {
  const [file] = content.files;
  const isWhole = isUnrestricted(scope) && content.files.length === 1;
  return isWhole && file?.schemaHash === content.schemaHash ? file : undefined;
}

function keyOf({ content, scope }: ScopedContent, format: ExportFormat): string {
  const identity = [format, content.schemaHash, content.files.map(({ sha256 }) => sha256), scopeIdentity(content.schema, scope)];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}

async function render(
  broker: Broker,
  source: ScopedContent,
  job: { readonly format: ExportFormat; readonly target: string },
  limits: Limits,
  control: Control,
): Promise<void> {
  const isFiltered = !showsAllRows(source.content.schema, source.scope);
  const relation = isFiltered ? withEvenChunks(scopedRelation(source)) : scopedRelation(source);
  await broker.run('bulk', { ...control, timeoutMs: limits.commitTimeoutMs }, async (session) => {
    if (job.format === 'arrow') await writeArrow(session, relation, job.target, control);
    else await session.executeWithProgress('render', copyStatement(relation, job.format, job.target), relation.values);
  });
}

/**
 * Rows come out of a filter in chunks whose sizes say how many were left out where, and writers make record batches and row
 * groups of chunks as they come. Sorted by their own order, they come in chunks that say nothing.
 */
function withEvenChunks({ sql, values, schema }: Relation): Relation {
  const columns = schema.map(({ name }) => identifier(name)).join(', ');
  const rank = identifier('__covista_rank');
  return { sql: `SELECT ${columns} FROM (SELECT *, row_number() OVER () AS ${rank} FROM (${sql})) ORDER BY ${rank}`, values, schema };
}

function copyStatement({ sql, schema }: Relation, format: Exclude<ExportFormat, 'arrow'>, target: string): string {
  if (format === 'parquet') return copyToParquet(sql, target, schema.length);
  if (format === 'csv') return `COPY (${sql}) TO ${targetLiteral(target)} (FORMAT csv, HEADER)`;
  return `COPY (${jsonSelect(sql, schema)}) TO ${targetLiteral(target)} (FORMAT json)`;
}
