import { CovistaError } from '../../../protocol/errors.ts';
import { assert, present } from '../../shared/assert.ts';
import { hashSchema } from '../../shared/schema-hash.ts';
import type { IncomingContent, Ingested, Rewritten } from '../../storage/content-store.ts';
import type {
  CommitContent,
  Conversion,
  DataFile,
  Manifest,
  Original,
  PendingColumn,
  PendingCommit,
  StagedBytes,
  StagedFile,
} from '../../storage/stores.ts';
import type { CommitServices, DraftJob, FirstDraftJob } from './commits.ts';
import { contentOf } from './version-reader.ts';

/** What a commit is going to be, before it is known where it lands. */
export interface Draft {
  readonly content: CommitContent;
  readonly schema: readonly PendingColumn[];
  readonly schemaHash: string;
  readonly conversion: Conversion;
  readonly original: PendingCommit['original'];
  /** The key to record when the request names none; null: that of the head, or of the dataset. */
  readonly key: readonly string[] | null;
  /** Files of the staging area that this draft made. */
  readonly stagedPaths: readonly string[];
}

const COMPLETE: Conversion = { status: 'complete', errorCount: 0, errors: [] };

/** The content of another version of the dataset, its files shared. */
export async function draftRestore({ refs, reader }: CommitServices, { request }: DraftJob): Promise<Draft> {
  assert(request.source.kind === 'restore', 'only a restore needs no bytes');
  const { versionId } = await refs.resolve(request.datasetId, request.source.ref);
  return draftOfManifest(await reader.manifest(request.datasetId, versionId));
}

/** The same file was committed before: its version's files serve again, and nothing is converted. */
export async function draftOriginalAgain({ stores }: CommitServices, job: DraftJob): Promise<Draft | undefined> {
  const { request } = job;
  const earlier = await stores.metadata.versions.findByOriginal(request.datasetId, stagedOf(job).sha256);
  if (earlier === undefined) return undefined;
  if (request.format !== undefined && request.format !== earlier.version.original?.format) return undefined;
  const draft = draftOfManifest(earlier);
  const original = draft.original === null ? null : { ...draft.original, fileName: request.fileName ?? draft.original.fileName };
  return { ...draft, original };
}

function draftOfManifest(manifest: Manifest): Draft {
  const { version, files, originalKey } = manifest;
  return {
    content: { kind: 'whole', pieces: files.map(({ fileId }) => fileId), rows: version.rows, bytes: version.bytes },
    schema: version.schema,
    schemaHash: hashSchema(version.schema),
    conversion: version.conversion,
    original: version.original === null || originalKey === null ? null : { ...version.original, objectKey: originalKey },
    key: version.key,
    stagedPaths: [],
  };
}

export async function draftReplace(services: CommitServices, job: FirstDraftJob): Promise<Draft> {
  const ingested = await ingest(services, job, undefined);
  const { file } = ingested;
  return draftOfIngested(job, ingested, {
    kind: 'whole',
    pieces: file === null ? [] : [file],
    rows: file?.rows ?? 0,
    bytes: file?.bytes ?? 0,
  });
}

/** New rows behind the head's, whatever the head is by then. Undefined when small files have to be merged first. */
export async function draftAppend(services: CommitServices, job: DraftJob): Promise<Draft | undefined> {
  const head = await headManifest(services, job);
  if (head !== undefined && smallTail(head, services.limits).length >= services.limits.manifestSmallFilesMax) return undefined;
  const ingested = await ingestOnto(services, job, head);
  const ontoSchemaHash = head === undefined ? null : hashSchema(head.version.schema);
  if (ontoSchemaHash !== null && ontoSchemaHash !== ingested.schemaHash) return draftWidened(job, head as Manifest, ingested);
  return draftOfIngested(job, ingested, { kind: 'append', added: [ingested.file], ontoSchemaHash });
}

/** An append that brings new columns fits only the head it was made for. */
function draftWidened(job: DraftJob, head: Manifest, ingested: Readable): Draft {
  return draftOfIngested(job, ingested, rewriteOf(head, [...head.files.map(({ fileId }) => fileId), ingested.file], ingested.file));
}

function rewriteOf(head: Manifest, pieces: readonly (string | StagedFile)[], ...added: readonly StagedFile[]): CommitContent {
  const sum = (pick: (file: StagedFile) => number): number => added.reduce((total, file) => total + pick(file), 0);
  return {
    kind: 'rewrite',
    base: head.version.versionId,
    pieces,
    rows: head.version.rows + sum((f) => f.rows),
    bytes: head.version.bytes + sum((f) => f.bytes),
  };
}

/** Commits that depend on the head's rows: upsert, delete, and appends that merge small files. */
export async function draftRewrite(services: CommitServices, job: DraftJob): Promise<Draft> {
  const head = await headManifest(services, job);
  if (job.request.mode === 'append') return draftMerged(services, job, head);
  if (head === undefined && job.request.mode === 'delete')
    throw new CovistaError('unprocessable_data', `branch ${JSON.stringify(job.request.branch)} has no version to delete rows from`);
  return draftByKey(services, job, head);
}

async function draftByKey(services: CommitServices, job: DraftJob, head: Manifest | undefined): Promise<Draft> {
  const { request, control } = job;
  const key = request.key ?? head?.version.key ?? (await services.stores.metadata.datasets.get(request.datasetId))?.key ?? null;
  if (key === null)
    throw new CovistaError('unprocessable_data', `${request.mode} needs key columns: give them here or set the dataset's key`, {
      mode: request.mode,
    });
  const ingested = await ingestOnto(services, job, head);
  try {
    const base = head === undefined ? { ...asContent(ingested), rows: 0, files: [] } : contentOf(head, services.stores.objects);
    const rewritten = await services.stores.content.rewrite(base, asContent(ingested), key, request.mode === 'delete' ? 'delete' : 'upsert', control);
    const made = rewritten.pieces.filter((piece) => typeof piece !== 'number');
    const schema = request.mode === 'delete' && head !== undefined ? head.version.schema : ingested.schema;
    return {
      ...draftOfIngested(job, ingested, contentOfRewritten(head, rewritten)),
      schema,
      schemaHash: hashSchema(schema),
      key,
      stagedPaths: made.map(({ path }) => path),
    };
  } finally {
    await services.stores.staging.discard(ingested.file.path);
  }
}

/** Without a head there is nothing that could be overtaken: the rows are the branch's first. */
function contentOfRewritten(head: Manifest | undefined, { pieces, rows }: Rewritten): CommitContent {
  const made = pieces.filter((piece) => typeof piece !== 'number');
  if (head === undefined) return { kind: 'append', added: made, ontoSchemaHash: null };
  const kept = (index: number): DataFile => present(head.files[index], 'a file of the base');
  const bytes = pieces.reduce<number>((sum, piece) => sum + (typeof piece === 'number' ? kept(piece) : piece).bytes, 0);
  return {
    kind: 'rewrite',
    base: head.version.versionId,
    pieces: pieces.map((piece) => (typeof piece === 'number' ? kept(piece).fileId : piece)),
    rows,
    bytes,
  };
}

async function draftMerged(services: CommitServices, job: DraftJob, head: Manifest | undefined): Promise<Draft> {
  const ingested = await ingestOnto(services, job, head);
  if (head === undefined) return draftOfIngested(job, ingested, { kind: 'append', added: [ingested.file], ontoSchemaHash: null });
  const tail = smallTail(head, services.limits);
  if (tail.length < 2) return draftWidened(job, head, ingested);
  const content = contentOf(head, services.stores.objects);
  const small = content.files.slice(content.files.length - tail.length);
  const merged = await services.stores.content
    .merge({ ...content, files: small, rows: small.reduce((sum, { rows }) => sum + rows, 0) }, job.control)
    .catch(async (error: unknown) => {
      await services.stores.staging.discard(ingested.file.path);
      throw error;
    });
  const stay = head.files.slice(0, head.files.length - tail.length);
  const bytes = [...stay, merged, ingested.file].reduce((sum, file) => sum + file.bytes, 0);
  const rows = head.version.rows + ingested.file.rows;
  const draft = draftOfIngested(job, ingested, {
    kind: 'rewrite',
    base: head.version.versionId,
    pieces: [...stay.map(({ fileId }) => fileId), merged, ingested.file],
    rows,
    bytes,
  });
  return { ...draft, stagedPaths: [...draft.stagedPaths, merged.path] };
}

/** The small files at the end of a manifest. */
function smallTail({ files }: Manifest, limits: CommitServices['limits']): Manifest['files'] {
  let start = files.length;
  while (start > 0 && (files[start - 1]?.bytes ?? Number.POSITIVE_INFINITY) < limits.smallFileBytes) start -= 1;
  return files.slice(start);
}

/** What the branch has now, or would begin with: a branch that does not exist starts at the head of main. */
async function headManifest({ refs, reader }: CommitServices, { request }: DraftJob): Promise<Manifest | undefined> {
  const head = (await refs.head(request.datasetId, request.branch)) ?? (await refs.head(request.datasetId, 'main'));
  if (head === undefined) return undefined;
  const manifest = await reader.manifest(request.datasetId, head.versionId);
  return manifest.version.conversion.status === 'failed' ? refuseFailedBase(manifest) : manifest;
}

function refuseFailedBase({ version }: Manifest): never {
  throw new CovistaError(
    'unprocessable_data',
    `version ${version.versionId} could not be read as a table, so nothing can be added to it; commit with mode replace`,
    {
      versionId: version.versionId,
    },
  );
}

type Readable = Ingested & { readonly file: StagedFile };

/** Ingests for a mode that needs rows: a file without any readable row is refused. */
async function ingestOnto(services: CommitServices, job: DraftJob, head: Manifest | undefined): Promise<Readable> {
  const ingested = await ingest(services, job, head);
  const { file, conversion } = ingested;
  if (file === null)
    throw new CovistaError('unprocessable_data', `the file has no row that can be read, so there is nothing to ${job.request.mode}`, { conversion });
  return { ...ingested, file };
}

async function ingest({ stores }: CommitServices, job: FirstDraftJob, head: Manifest | undefined): Promise<Ingested> {
  const { request, control } = job;
  const { path, bytes } = stagedOf(job);
  const ingested = await stores.content.ingest({ path, bytes, format: request.format, onto: head?.version.schema }, control);
  if (request.strict && ingested.conversion.status !== 'complete') {
    if (ingested.file !== null) await stores.staging.discard(ingested.file.path);
    throw new CovistaError('unprocessable_data', `${ingested.conversion.errorCount} rows cannot be read, and the commit is strict`, {
      conversion: ingested.conversion,
    });
  }
  return ingested;
}

function draftOfIngested(job: FirstDraftJob, ingested: Ingested, content: CommitContent): Draft {
  return {
    content,
    schema: ingested.schema,
    schemaHash: ingested.schemaHash,
    conversion: ingested.conversion.status === 'complete' ? COMPLETE : ingested.conversion,
    original: originalOf(job, ingested),
    key: null,
    stagedPaths: ingested.file === null ? [] : [ingested.file.path],
  };
}

function originalOf(job: FirstDraftJob, { format, compression }: Ingested): Original & { readonly path: string } {
  const { path, bytes, sha256 } = stagedOf(job);
  return { path, fileName: job.request.fileName, format, compression, bytes, sha256 };
}

function stagedOf({ staged }: FirstDraftJob): StagedBytes {
  assert(staged !== undefined, 'a commit of bytes has staged them');
  return staged;
}

function asContent({ schema, schemaHash, missing, file }: Readable): IncomingContent {
  return {
    missing,
    schema: schema.map((column) => ({ ...column, columnId: 0 })),
    schemaHash,
    rows: file.rows,
    files: [{ path: file.path, rows: file.rows, sha256: file.sha256, schemaHash: file.schemaHash }],
  };
}
