import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, UploadId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { unreachable } from '../../shared/assert.ts';
import type { Control } from '../../storage/content-store.ts';
import type {
  CommitMode,
  FileFormat,
  LandedVersion,
  Landing,
  NewDataset,
  PendingCommit,
  Provenance,
  StagedBytes,
  Stores,
  VersionRecord,
} from '../../storage/stores.ts';
import { type Draft, draftAppend, draftOriginalAgain, draftReplace, draftRestore, draftRewrite } from './commit-drafts.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { RefResolver } from './refs.ts';
import type { VersionReader } from './version-reader.ts';

export interface CommitRequest {
  readonly datasetId: DatasetId;
  readonly branch: string;
  readonly message: string;
  readonly mode: CommitMode;
  readonly key: readonly string[] | null;
  readonly expectedHead: VersionId | null | undefined;
  readonly mergedFrom: string | undefined;
  readonly format: FileFormat | undefined;
  readonly strict: boolean;
  readonly sha256: string | undefined;
  readonly fileName: string | null;
  readonly source: CommitSource;
  /** Dataset admins may commit to protected branches. */
  readonly mayMoveProtected: boolean;
  readonly provenance: Provenance;
}

/** What is asked of the first commit of a dataset that is made with it. */
export type FirstCommitRequest = Omit<CommitRequest, 'datasetId'>;

export type CommitSource =
  | { readonly kind: 'body'; readonly body: AsyncIterable<Uint8Array> }
  | { readonly kind: 'upload'; readonly uploadId: UploadId; readonly staged: StagedBytes }
  | { readonly kind: 'restore'; readonly ref: string };

/** A version that was made. */
export interface CommitReport {
  readonly version: VersionRecord;
  /** From when all bytes were there until the version was. */
  readonly creationMs: number;
  /** The same with receiving the bytes; null: none were sent along. */
  readonly uploadMs: number | null;
}

export interface CommitServices {
  readonly stores: Stores;
  readonly queue: CommitQueue;
  readonly refs: RefResolver;
  readonly reader: VersionReader;
  readonly limits: Limits;
  /** Called with every version that was made. */
  readonly onCommitted?: (report: CommitReport) => void;
  /** Called when all bytes of a version are there; returns what to call when it is made or is not going to be. */
  readonly onBegun?: (begun: { readonly datasetId: DatasetId | null; readonly fileName: string | null; readonly bytes: number | null }) => () => void;
}

export interface Commits {
  /** Makes a version and moves the branch to it; everything or nothing. */
  commit(request: CommitRequest, control: Control): Promise<LandedVersion>;
  /** Makes a dataset of an upload; the dataset and its first version, or nothing. */
  commitFirst(dataset: NewDataset, request: FirstCommitRequest, staged: StagedBytes, control: Control): Promise<LandedVersion>;
}

/** How often a commit is made anew because another server moved the branch meanwhile. */
const ATTEMPTS_MAX = 20;

export function createCommits(services: CommitServices): Commits {
  return {
    commit: async (request, control) => {
      await refuseEarly(services, request);
      const { source } = request;
      const drafted = reporting(services, request, (staged) => commitDrafted(services, request, control, staged));
      if (source.kind === 'restore') return drafted(undefined);
      if (source.kind === 'upload') return drafted(source.staged);
      const staged = await services.stores.staging.stage(source.body, { bytesMax: services.limits.uploadBytesMax, signal: control.signal });
      const [outcome] = await Promise.allSettled([drafted(staged), staged.durable]);
      await services.stores.staging.discard(staged.path);
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    },
    commitFirst: (dataset, request, staged, control) => {
      const job = { request, control, staged, mergedFrom: null };
      return reporting(services, { ...request, datasetId: null }, () => makeDataset(services, dataset, job))(staged);
    },
  };
}

type Commit = (staged: StagedBytes | undefined) => Promise<LandedVersion>;

type Reported = Pick<CommitRequest, 'source' | 'fileName'> & { readonly datasetId: DatasetId | null };

function reporting(services: CommitServices, { source, datasetId, fileName }: Reported, commit: Commit): Commit {
  const askedAtMs = performance.now();
  return async (staged) => {
    const stagedAtMs = performance.now();
    const over = services.onBegun?.({ datasetId, fileName, bytes: staged?.bytes ?? null });
    const version = await commit(staged).finally(over);
    const doneAtMs = performance.now();
    const uploadMs = source.kind === 'restore' ? null : doneAtMs - askedAtMs;
    services.onCommitted?.({ version, creationMs: doneAtMs - stagedAtMs, uploadMs });
    return version;
  };
}

/** What is wrong whatever the bytes are is said before they are read. Landing checks all of it again under the lock. */
async function refuseEarly({ refs }: CommitServices, request: CommitRequest): Promise<void> {
  const head = await refs.head(request.datasetId, request.branch);
  if (head?.protected === true && !request.mayMoveProtected) {
    throw new CovistaError('forbidden', `branch ${JSON.stringify(request.branch)} is protected: only admins of the dataset may commit to it`, {
      branch: request.branch,
    });
  }
  if (request.expectedHead !== undefined && request.expectedHead !== (head?.versionId ?? null)) throw staleHead(request, head?.versionId ?? null);
}

function staleHead(request: CommitRequest, actual: VersionId | null): CovistaError {
  const { branch, expectedHead } = request;
  const state = actual === null ? 'does not exist' : `is at version ${actual}`;
  return new CovistaError('conflict', `branch ${JSON.stringify(branch)} ${state}, not at ${expectedHead ?? 'nothing'}`, {
    branch,
    expectedHead,
    actualHead: actual,
  });
}

async function commitDrafted(
  services: CommitServices,
  request: CommitRequest,
  control: Control,
  staged: StagedBytes | undefined,
): Promise<LandedVersion> {
  checkHash(request, staged);
  const mergedFrom = request.mergedFrom === undefined ? null : (await services.refs.resolve(request.datasetId, request.mergedFrom)).versionId;
  for (let attempt = 1; ; attempt += 1) {
    const landing = await draftAndLand(services, { request, control, staged, mergedFrom });
    if (landing.outcome === 'landed') return landing.version;
    if (landing.outcome === 'refused') throw landing.error;
    if (landing.outcome !== 'moved') return unreachable(landing, 'a landing');
    // A head that is as expected means that what the draft was made for has moved: main, for a branch that does not exist yet.
    if (request.expectedHead !== undefined && request.expectedHead !== landing.head) throw staleHead(request, landing.head);
    if (attempt === ATTEMPTS_MAX)
      throw new CovistaError('unavailable', `branch ${JSON.stringify(request.branch)} moved ${attempt} times meanwhile; try again`);
  }
}

/** Nothing else can commit to a dataset that is not there yet, so its first version waits in no queue. */
async function makeDataset(services: CommitServices, dataset: NewDataset, job: FirstDraftJob): Promise<LandedVersion> {
  checkHash(job.request, job.staged);
  const { versions } = services.stores.metadata;
  const land = (commit: PendingCommit): Promise<LandedVersion> => versions.landFirst(dataset, commit, services.stores.objects.publish);
  return landDraft(services, job, await draftReplace(services, job), land);
}

function checkHash({ sha256 }: FirstCommitRequest, staged: StagedBytes | undefined): void {
  if (sha256 === undefined || staged === undefined || staged.sha256 === sha256) return;
  throw new CovistaError('unprocessable_data', 'the bytes that arrived have another hash than announced', {
    expected: sha256,
    actual: staged.sha256,
  });
}

export interface FirstDraftJob {
  readonly request: FirstCommitRequest;
  readonly control: Control;
  readonly staged: StagedBytes | undefined;
  readonly mergedFrom: VersionId | null;
}

export interface DraftJob extends FirstDraftJob {
  readonly request: CommitRequest;
}

async function draftAndLand(services: CommitServices, job: DraftJob): Promise<Landing> {
  const { request } = job;
  if (job.staged === undefined)
    return landDraft(services, job, await draftRestore(services, job), (commit) => services.queue.land(request.datasetId, commit));
  if (request.mode === 'replace') {
    const draft = (await draftOriginalAgain(services, job)) ?? (await draftReplace(services, job));
    return landDraft(services, job, draft, (commit) => services.queue.land(request.datasetId, commit));
  }
  if (request.mode === 'append') {
    const draft = await draftAppend(services, job);
    if (draft !== undefined) return landDraft(services, job, draft, (commit) => services.queue.land(request.datasetId, commit));
  }
  return services.queue.exclusive(request.datasetId, request.branch, async (land) =>
    landDraft(services, job, await draftRewrite(services, job), land),
  );
}

/** A key that the caller names is one of columns that the version has. */
function assertKeyColumns({ key, mode }: FirstCommitRequest, { schema, conversion }: Draft): void {
  const absent = (key ?? []).filter((name) => !schema.some((column) => column.name === name));
  if (absent.length === 0 || conversion.status === 'failed') return;
  throw new CovistaError('unprocessable_data', `there is no key column ${absent.map((name) => JSON.stringify(name)).join(', ')}`, {
    mode,
    columns: absent,
  });
}

/** Lands a draft; whatever it staged and landing did not take is removed. */
async function landDraft<Landed>(
  services: CommitServices,
  job: FirstDraftJob,
  draft: Draft,
  land: (commit: PendingCommit) => Promise<Landed>,
): Promise<Landed> {
  const { request, mergedFrom } = job;
  try {
    assertKeyColumns(request, draft);
    await job.staged?.durable;
    job.control.signal.throwIfAborted();
    return await land({
      branch: request.branch,
      mode: request.source.kind === 'restore' ? 'restore' : request.mode,
      message: request.message,
      content: draft.content,
      schema: draft.schema,
      schemaHash: draft.schemaHash,
      key: request.key ?? draft.key,
      conversion: draft.conversion,
      original: draft.original,
      expectedHead: request.expectedHead,
      mergedFrom,
      mayMoveProtected: request.mayMoveProtected,
      uploadId: request.source.kind === 'upload' ? request.source.uploadId : null,
      provenance: request.provenance,
    });
  } finally {
    for (const path of draft.stagedPaths) await services.stores.staging.discard(path);
  }
}
