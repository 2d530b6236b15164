import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import { type Control, type ExportFormat, isUnrestricted, type Scope, type ScopedContent, scopeIdentity } from '../../storage/content-store.ts';
import type { FileFormat, Manifest, Stores, VersionRecord } from '../../storage/stores.ts';
import { scopedContentOf, type VersionReader } from './version-reader.ts';

export interface DownloadRequest {
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly format: ExportFormat | 'original';
  readonly encoding: 'identity' | 'gzip' | 'zstd';
  /** First and last byte, both included; without `start` the last `end` bytes. */
  readonly range?: { readonly start?: number | undefined; readonly end?: number | undefined } | undefined;
  readonly scope: Scope;
}

/** What is known before the first byte. */
export interface DownloadHead {
  readonly contentType: string;
  readonly fileName: string;
  /** Bytes that follow; null where an encoding makes that unknown. */
  readonly bytes: number | null;
  readonly totalBytes: number | null;
  readonly rangeStart: number | null;
  readonly etag: string;
  readonly encoding: 'identity' | 'gzip' | 'zstd';
  readonly lastModified: string;
}

export interface Downloads {
  /** First the head, then the bytes. */
  download(request: DownloadRequest, control: Control): AsyncIterable<DownloadHead | Uint8Array>;
}

const CONTENT_TYPES: Readonly<Record<FileFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  tsv: 'text/tab-separated-values; charset=utf-8',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.stream',
};
const COMPRESSED_TYPES = { none: undefined, gzip: 'application/gzip', zstd: 'application/zstd' } as const;

/** A file to send, wherever it comes from. */
interface Source {
  readonly contentType: string;
  readonly fileName: string;
  readonly bytes: number;
  readonly etag: string;
  /** Whether an encoding could make it smaller: Parquet and compressed originals are as small as they get. */
  readonly compressible: boolean;
  read(range: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array>;
  close(): void;
}

export function createDownloads({ stores, reader }: { readonly stores: Stores; readonly reader: VersionReader }): Downloads {
  return {
    download: async function* (request, control) {
      const manifest = await reader.manifest(request.datasetId, request.versionId);
      const source =
        request.format === 'original'
          ? original(stores, manifest, request.scope)
          : await rendered(stores, manifest, request.format, request.scope, control);
      try {
        yield* send(source, request, manifest.version.createdAt);
      } finally {
        source.close();
      }
    },
  };
}

function original(stores: Stores, { version, originalKey }: Manifest, scope: Scope): Source {
  if (!isUnrestricted(scope)) throw new CovistaError('forbidden', 'the original holds rows or columns that you may not see; download another format');
  if (version.original === null || originalKey === null) {
    throw new CovistaError('not_found', `version ${version.versionId} was not made of an uploaded file, so it has no original`, {
      versionId: version.versionId,
    });
  }
  const { format, compression, bytes, sha256, fileName } = version.original;
  return {
    contentType: COMPRESSED_TYPES[compression] ?? CONTENT_TYPES[format],
    fileName: fileName ?? `dataset-${version.datasetId}-v${version.versionId}.${format}`,
    bytes,
    etag: sha256,
    compressible: compression === 'none' && format !== 'parquet',
    read: (range) => stores.objects.read(originalKey, range),
    close: () => undefined,
  };
}

async function rendered(stores: Stores, manifest: Manifest, format: ExportFormat, scope: Scope, control: Control): Promise<Source> {
  const source = scopedContentOf(manifest, stores.objects, scope);
  const exported = await stores.content.export(source, format, control);
  const { version } = manifest;
  return {
    contentType: CONTENT_TYPES[format],
    fileName: `dataset-${version.datasetId}-v${version.versionId}.${format}`,
    bytes: exported.bytes,
    etag: etagOf(source, version, format),
    compressible: format !== 'parquet',
    read: (range) => exported.read(range),
    close: () => exported.close(),
  };
}

/** To those who may not see everything it tells nothing of the files, from whose hashes hidden values could be guessed. */
function etagOf({ content, scope }: ScopedContent, { datasetId, versionId }: VersionRecord, format: ExportFormat): string {
  const identity = isUnrestricted(scope)
    ? [format, content.schemaHash, content.files.map(({ sha256 }) => sha256)]
    : [format, datasetId, versionId, scopeIdentity(content.schema, scope)];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}

/** A range is one of the plain bytes, so asking for one does without an encoding. */
async function* send(source: Source, request: DownloadRequest, lastModified: string): AsyncIterable<DownloadHead | Uint8Array> {
  const { contentType, fileName } = source;
  const encoding = request.range === undefined && source.compressible ? request.encoding : 'identity';
  const range = request.range === undefined ? { start: 0, end: source.bytes } : resolveRange(request.range, source.bytes);
  const etag = encoding === 'identity' ? `"${source.etag}"` : `"${source.etag}-${encoding}"`;
  const plain = encoding === 'identity';
  yield {
    contentType,
    fileName,
    bytes: plain ? range.end - range.start : null,
    totalBytes: plain ? source.bytes : null,
    rangeStart: request.range === undefined ? null : range.start,
    etag,
    encoding,
    lastModified,
  };
  if (range.end > range.start) yield* encode(source.read(range), encoding);
}

function resolveRange(range: NonNullable<DownloadRequest['range']>, bytes: number): { start: number; end: number } {
  const start = range.start ?? Math.max(0, bytes - (range.end ?? 0));
  const end = range.start === undefined ? bytes : Math.min(bytes, (range.end ?? bytes - 1) + 1);
  if (start < end) return { start, end };
  throw new CovistaError('range_not_satisfiable', `the file has ${bytes} bytes, so there is nothing from ${start} to ${end}`, { bytes });
}

function encode(bytes: AsyncIterable<Uint8Array>, encoding: DownloadHead['encoding']): AsyncIterable<Uint8Array> {
  if (encoding === 'identity') return bytes;
  const compressor = encoding === 'gzip' ? createGzip({ level: 6 }) : createZstdCompress();
  // The iterator of the compressor reports what fails; the callback has nothing to add.
  return pipeline(Readable.from(bytes, { objectMode: false }), compressor, () => undefined);
}
