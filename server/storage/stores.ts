import type { DatasetId, GrantId, Subject, TableId, UploadId, VersionId } from '../../protocol/ids.ts';
import type { ContentStore, Scope } from './content-store.ts';
import type { ExportFiles, JobQueue, RunStore, ScheduleStore } from './schedule-store.ts';

export type * from './schedule-store.ts';

/**
 * What the services need of storage. Records have the shapes of the protocol's outputs, with times as ISO 8601 UTC texts, so
 * that a handler returns them as they are. Each mutation is one transaction that also writes its audit row, its event and,
 * when the caller gave an idempotency key, its result. Violated constraints surface as CovistaError, told by SQLSTATE.
 */

/** Where a mutation comes from; every mutation takes one. */
export interface Provenance {
  readonly actor: Subject;
  /** `noun.verb` of the operation. */
  readonly operation: string;
  readonly requestId: string;
  readonly address: string;
  readonly idempotency?: Idempotency;
}

export interface Idempotency {
  readonly key: string;
  /** SHA-256 of operation and input: the same key with another input is a `conflict`. */
  readonly inputHash: string;
}

export interface Page {
  readonly limit: number;
}

// Datasets ----------------------------------------------------------------------------------------------------------

export interface DatasetRecord {
  readonly datasetId: DatasetId;
  readonly name: string;
  readonly description: string;
  readonly labels: string[];
  readonly key: string[] | null;
  readonly createdBy: Subject;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface NewDataset {
  readonly name: string;
  readonly description: string;
  readonly labels: readonly string[];
  readonly key: readonly string[] | null;
}

export interface DatasetFilter extends Page {
  /** Principals of the caller (`user:x`, `group:y`); null sees every dataset (server admins). */
  readonly principals: readonly string[] | null;
  readonly search?: string | undefined;
  readonly label?: string | undefined;
  /** Datasets older than this one only (ids rise with time). */
  readonly before?: DatasetId | undefined;
}

/** What encryption adds to a file: so much once, and so much for every piece of the plain bytes. */
export interface SealedSizes {
  readonly headerBytes: number;
  readonly pieceBytes: number;
  readonly extraBytes: number;
}

export interface DatasetStore {
  /** Creates the dataset and an admin grant for its creator. */
  create(dataset: NewDataset, provenance: Provenance): Promise<DatasetRecord>;
  /** Newest first; only datasets on which a principal holds a grant that is valid now. */
  list(filter: DatasetFilter): Promise<DatasetRecord[]>;
  get(datasetId: DatasetId): Promise<DatasetRecord | undefined>;
  update(datasetId: DatasetId, changes: Partial<NewDataset>, provenance: Provenance): Promise<DatasetRecord>;
  /**
   * Bytes on disk of data files and originals, condemned ones too, and of exported files: of so many datasets that have most, and of
   * all others together.
   */
  storage(
    datasetsMax: number,
    sealed: SealedSizes | null,
  ): Promise<{ readonly largest: readonly { readonly datasetId: DatasetId; readonly bytes: number }[]; readonly othersBytes: number }>;
  /** Hides the dataset, for everybody and everything but what follows here; nothing of it goes yet. */
  delete(datasetId: DatasetId, provenance: Provenance): Promise<void>;
  /** Brings a deleted dataset back; `not_found` when there is none, or when that was longer ago than the grace. */
  undelete(datasetId: DatasetId, graceMs: number, provenance: Provenance): Promise<DatasetRecord>;
  /** Deleted ones that can be brought back by one of the principals (null: by anybody), newest first. */
  listDeleted(filter: Pick<DatasetFilter, 'principals' | 'limit' | 'before'> & { readonly graceMs: number }): Promise<DeletedDataset[]>;
}

export interface DeletedDataset extends DatasetRecord {
  readonly deletedAt: string;
  readonly deletedBy: Subject;
}

// Versions ----------------------------------------------------------------------------------------------------------

export interface Column {
  readonly columnId: number;
  readonly name: string;
  /** DuckDB SQL type, as DESCRIBE prints it. */
  readonly type: string;
  readonly nullable: boolean;
}

export type FileFormat = 'csv' | 'tsv' | 'json' | 'ndjson' | 'parquet' | 'arrow';
export type Compression = 'none' | 'gzip' | 'zstd';
export type CommitMode = 'replace' | 'append' | 'upsert' | 'delete';

export interface ConversionError {
  readonly line: number | null;
  readonly column: string | null;
  readonly byte: number | null;
  readonly reason: string;
}

export interface Conversion {
  readonly status: 'complete' | 'partial' | 'failed';
  readonly errorCount: number;
  readonly errors: ConversionError[];
}

export interface Original {
  readonly fileName: string | null;
  readonly format: FileFormat;
  readonly compression: Compression;
  readonly bytes: number;
  readonly sha256: string;
}

export interface VersionRecord {
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly parents: VersionId[];
  readonly generation: number;
  readonly branch: string;
  readonly mode: CommitMode | 'restore';
  readonly message: string;
  readonly author: Subject;
  readonly createdAt: string;
  readonly rows: number;
  readonly bytes: number;
  readonly files: number;
  readonly schema: Column[];
  readonly key: string[] | null;
  readonly conversion: Conversion;
  readonly original: Original | null;
  /** When retention removed it: since then its data is not to be had. Null: it is there. */
  readonly removedAt: string | null;
}

/** A file that versions consist of. Immutable; several versions may share one. */
export interface DataFile {
  readonly fileId: string;
  readonly objectKey: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Tells files whose columns differ: SHA-256 of their names and types. */
  readonly schemaHash: string;
}

/** What a version is made of, as landing and reading need it. */
export interface Manifest {
  readonly version: VersionRecord;
  readonly files: readonly DataFile[];
  /** Object key of the original, when there is one. */
  readonly originalKey: string | null;
}

/** A file that was written, synced and hashed in the staging area and is not yet part of anything. */
export interface StagedFile {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly schemaHash: string;
}

export interface StagedOriginal extends Original {
  readonly path: string;
}

/**
 * The data of a commit. `whole` stands by itself. `append` is put behind whatever the head is when it lands, if the head's
 * schema has the hash it was made for. `rewrite` holds only if the head is still its base. In `pieces` a text is the fileId
 * of a file that another version already has.
 */
export type CommitContent =
  | { readonly kind: 'whole'; readonly pieces: readonly (string | StagedFile)[]; readonly rows: number; readonly bytes: number }
  | { readonly kind: 'append'; readonly added: readonly StagedFile[]; readonly ontoSchemaHash: string | null }
  | {
      readonly kind: 'rewrite';
      readonly base: VersionId;
      readonly pieces: readonly (string | StagedFile)[];
      readonly rows: number;
      readonly bytes: number;
    };

/** A column that is not in a version yet carries no id; landing gives it one, or that of the head's column of its name. */
export type PendingColumn = Omit<Column, 'columnId'>;

export interface PendingCommit {
  readonly branch: string;
  readonly mode: CommitMode | 'restore';
  readonly message: string;
  readonly content: CommitContent;
  readonly schema: readonly PendingColumn[];
  /** Hash of `schema`: names and types in order. */
  readonly schemaHash: string;
  readonly key: readonly string[] | null;
  readonly conversion: Conversion;
  /** A staged original, or the object key of one that another version of the dataset already has. */
  readonly original: StagedOriginal | (Original & { readonly objectKey: string }) | null;
  /** Undefined: any head will do. Null: the branch must not exist. */
  readonly expectedHead: VersionId | null | undefined;
  readonly mergedFrom: VersionId | null;
  /** Dataset admins may commit to protected branches. */
  readonly mayMoveProtected: boolean;
  /** Ends in the same transaction. */
  readonly uploadId: UploadId | null;
  readonly provenance: Provenance;
}

export type LandedVersion = VersionRecord & { readonly identical: boolean };

export type Landing =
  | { readonly outcome: 'landed'; readonly version: LandedVersion }
  /** The head is not what `expectedHead` or a rewrite's base says; nothing happened. */
  | { readonly outcome: 'moved'; readonly head: VersionId | null }
  | { readonly outcome: 'refused'; readonly error: Error };

/** A file of a commit that is about to land, with the object key it gets. */
export interface Publication {
  readonly path: string;
  readonly objectKey: string;
}

export interface HistoryPage {
  readonly versions: VersionRecord[];
  /** Versions from which the walk goes on; empty at the end. */
  readonly frontier: VersionId[];
}

export interface ColumnFormsWanted {
  readonly except: readonly string[];
  readonly beside: readonly string[];
  readonly limit: number;
}

export type ColumnForm = readonly [Column, ...Column[]];

export interface VersionStore {
  /** The record, of removed versions too. */
  get(datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord | undefined>;
  manifest(datasetId: DatasetId, versionId: VersionId): Promise<Manifest | undefined>;
  /** Ancestors by falling generation, then falling id, starting with the frontier itself. Costs what the page costs. */
  history(datasetId: DatasetId, frontier: readonly VersionId[], limit: number): Promise<HistoryPage>;
  /** The version `steps` first-parents back; undefined past the root. Logarithmic in `steps`. */
  ancestor(datasetId: DatasetId, versionId: VersionId, steps: number): Promise<VersionId | undefined>;
  /** The newest version of the dataset that was made in mode replace, with complete conversion, of a file with this hash. */
  findByOriginal(datasetId: DatasetId, sha256: string): Promise<Manifest | undefined>;
  /**
   * The columns of all versions, of removed ones too, but for those of some names: each in every form in which a version had it,
   * followed by the columns that the version had of the names `beside`. At most so many.
   */
  columnForms(datasetId: DatasetId, wanted: ColumnFormsWanted): Promise<ColumnForm[]>;
  /**
   * Lands commits of one dataset in order, in one transaction: checks heads, assigns version ids without gaps, calls
   * `publish` with the files' final object keys (`datasets/{datasetId}/{versionId}/…`) once they are known and before it
   * commits, moves branches, logs the movements, writes audit rows, events and idempotent results. A branch that does not
   * exist is created from the head of main.
   */
  land(datasetId: DatasetId, commits: readonly PendingCommit[], publish: (files: readonly Publication[]) => Promise<void>): Promise<Landing[]>;
  /**
   * Creates a dataset, as `DatasetStore.create` does, and lands its first commit, as `land` does, in one transaction: what is refused
   * leaves no dataset. A repeated command gets the version of the first.
   */
  landFirst(dataset: NewDataset, commit: PendingCommit, publish: (files: readonly Publication[]) => Promise<void>): Promise<LandedVersion>;
  /** Which of these object keys some version still refers to, or wait for their removal in good order. */
  referenced(objectKeys: readonly string[]): Promise<Set<string>>;
}

// Pointers ----------------------------------------------------------------------------------------------------------

export interface BranchRecord {
  readonly name: string;
  readonly kind: 'branch';
  readonly versionId: VersionId;
  readonly protected: boolean;
  readonly createdBy: Subject;
  readonly createdAt: string;
  readonly movedAt: string;
}

export interface TagRecord {
  readonly name: string;
  readonly kind: 'tag';
  readonly versionId: VersionId;
  readonly message: string;
  readonly createdBy: Subject;
  readonly createdAt: string;
}

export type PointerRecord = BranchRecord | TagRecord;

export interface MovementRecord {
  readonly sequence: number;
  readonly branch: string;
  readonly action: 'create' | 'commit' | 'reset' | 'rename' | 'delete';
  readonly from: VersionId | null;
  readonly to: VersionId | null;
  readonly actor: Subject;
  readonly at: string;
  readonly message: string;
}

/** How a change to a branch is guarded: the head it must have, and whether the caller may move protected branches. */
export interface BranchGuard {
  readonly expectedHead: VersionId | null | undefined;
  readonly mayMoveProtected: boolean;
}

/** Branches and tags share one namespace per dataset. A name that is taken is `conflict`, one that is absent `not_found`. */
export interface PointerStore {
  /** The version that many first parents back from a pointer, null where the history is shorter; undefined: no such pointer. */
  resolve(
    datasetId: DatasetId,
    name: string,
    steps: number,
  ): Promise<{ readonly kind: PointerRecord['kind']; readonly versionId: VersionId | null } | undefined>;
  get(datasetId: DatasetId, name: string): Promise<PointerRecord | undefined>;
  listBranches(datasetId: DatasetId, page: Page & { readonly after?: string | undefined }): Promise<BranchRecord[]>;
  listTags(datasetId: DatasetId, page: Page & { readonly after?: string | undefined }): Promise<TagRecord[]>;
  createBranch(datasetId: DatasetId, name: string, versionId: VersionId, provenance: Provenance): Promise<BranchRecord>;
  createTag(datasetId: DatasetId, name: string, versionId: VersionId, message: string, provenance: Provenance): Promise<TagRecord>;
  renameBranch(datasetId: DatasetId, name: string, newName: string, guard: BranchGuard, provenance: Provenance): Promise<BranchRecord>;
  resetBranch(datasetId: DatasetId, name: string, to: VersionId, message: string, guard: BranchGuard, provenance: Provenance): Promise<BranchRecord>;
  deleteBranch(datasetId: DatasetId, name: string, guard: BranchGuard, provenance: Provenance): Promise<void>;
  protectBranch(datasetId: DatasetId, name: string, isProtected: boolean, provenance: Provenance): Promise<BranchRecord>;
  /** Newest first, over all branches that ever had the name. */
  log(datasetId: DatasetId, name: string, page: Page & { readonly before?: number | undefined }): Promise<MovementRecord[]>;
  /** The head that the branch had at a time (ISO 8601); undefined before it existed. */
  headAt(datasetId: DatasetId, name: string, time: string): Promise<VersionId | undefined>;
}

// Access, uploads, audit, events ----------------------------------------------------------------------------------------

export interface GrantRecord {
  readonly grantId: GrantId;
  readonly datasetId: DatasetId;
  readonly principal: string;
  readonly permission: 'read' | 'write' | 'admin';
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  /** The rows it shows, as its author wrote it; null: every row. */
  readonly rowFilter: string | null;
  /** Columns that it hides; null: none. */
  readonly columnMask: string[] | null;
  readonly grantedBy: Subject;
  readonly grantedAt: string;
}

/** A grant with what the server goes by. */
export interface EffectiveGrant extends GrantRecord {
  /** What was made of the row filter. */
  readonly filter: CheckedFilter | null;
  /** With a mask: columns with this id or a higher one came after the grant, and are hidden too. */
  readonly columnIdsBelow: number | null;
}

/** A row filter whose every part was found to be on the list, and which was bound to the columns it names. */
export interface CheckedFilter {
  /** SQL as DuckDB rendered it, cut where values go: one piece more than there are parameters. */
  readonly pieces: readonly string[];
  readonly parameters: readonly FilterParameter[];
  /** The columns that it names, as they were when it was checked. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export interface FilterParameter {
  /** The claim of the caller's token that gives the value; null: the current date in UTC. */
  readonly claim: string | null;
  /** DuckDB SQL type. */
  readonly type: string;
  /** Whether any number of values may stand there: the parameter is an item of an IN list. */
  readonly isListItem: boolean;
}

/** Without a restriction it shows everything. */
export type NewGrant = Pick<GrantRecord, 'principal' | 'permission' | 'validFrom' | 'validUntil'> &
  Partial<Pick<EffectiveGrant, 'rowFilter' | 'filter' | 'columnMask'>>;

export interface GrantStore {
  /** `invalid_input` when a masked column is in no version, `conflict` when the dataset has as many grants as it may. */
  create(datasetId: DatasetId, grant: NewGrant, provenance: Provenance): Promise<GrantRecord>;
  list(datasetId: DatasetId, page: Page & { readonly after?: GrantId | undefined }): Promise<GrantRecord[]>;
  /** `conflict` when it is the last admin grant to a user that has no end. */
  revoke(datasetId: DatasetId, grantId: GrantId, provenance: Provenance): Promise<void>;
  /** All grants of a dataset, or undefined when there is no such dataset. */
  ofDataset(datasetId: DatasetId): Promise<EffectiveGrant[] | undefined>;
  /** The same of one that was deleted and can be brought back. */
  ofDeleted(datasetId: DatasetId, graceMs: number): Promise<EffectiveGrant[] | undefined>;
}

export interface UploadRecord {
  readonly uploadId: UploadId;
  readonly subject: Subject;
  readonly offset: number;
  readonly bytes: number | null;
  readonly sha256: string | null;
  readonly fileName: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface UploadStore {
  /** `rate_limited` when the subject already has `openMax` uploads. */
  begin(
    upload: Pick<UploadRecord, 'uploadId' | 'subject' | 'bytes' | 'sha256' | 'fileName'>,
    keepMs: number,
    openMax: number,
    provenance: Provenance,
  ): Promise<UploadRecord>;
  get(uploadId: UploadId): Promise<UploadRecord | undefined>;
  /** Moves the offset, which must be `from`: `conflict` otherwise; postpones the expiry. */
  advance(uploadId: UploadId, from: number, to: number, keepMs: number): Promise<UploadRecord>;
  remove(uploadId: UploadId, provenance: Provenance): Promise<void>;
  /** Removes expired uploads and returns their ids. */
  removeExpired(): Promise<UploadId[]>;
}

/** What somebody did, or tried to do. What was refused again and again is one record with a count. */
export interface AuditRecord {
  readonly sequence: number;
  /** When it happened, or happened first. */
  readonly at: string;
  /** Empty where nobody knows who it was. */
  readonly actor: Subject;
  readonly operation: string;
  readonly datasetId: DatasetId | null;
  readonly versionId: VersionId | null;
  readonly requestId: string;
  readonly address: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly detail: Record<string, unknown>;
  readonly count: number;
  readonly lastAt: string;
}

export type NewAuditRecord = Omit<AuditRecord, 'sequence'>;

export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly operation?: string | undefined;
  /** `ok`, the code of an error, or `error` for every one. */
  readonly outcome?: string | undefined;
  /** Not before, inclusive. */
  readonly from?: string | undefined;
  /** Exclusive. */
  readonly until?: string | undefined;
}

export interface AuditStore {
  /** Newest first; null: of the whole server. */
  list(datasetId: DatasetId | null, query: AuditFilter & Page & { readonly before?: number | undefined }): Promise<AuditRecord[]>;
  append(entries: readonly NewAuditRecord[]): Promise<void>;
}

export type EventKind =
  | 'dataset.updated'
  | 'dataset.deleted'
  | 'dataset.restored'
  | 'version.created'
  | 'version.removed'
  | 'version.restored'
  | 'branch.created'
  | 'branch.moved'
  | 'branch.renamed'
  | 'branch.deleted'
  | 'branch.protected'
  | 'tag.created'
  | 'grant.changed'
  | 'schedule.changed'
  | 'schedule.ran';

export interface EventRecord {
  /** Rises by one per event of the dataset, in the order in which their transactions committed. */
  readonly sequence: number;
  readonly kind: EventKind;
  readonly at: string;
  readonly actor: Subject;
  readonly data: Record<string, unknown>;
}

/** What the database tells when events were committed by this or another server. */
export type EventNotice =
  | {
      readonly kind: 'events';
      readonly datasetId: DatasetId;
      readonly sequence: number;
      readonly grantsChanged: boolean;
      /** Versions were removed or brought back. */
      readonly versionsChanged: boolean;
      /** The dataset was deleted. */
      readonly isDeleted: boolean;
    }
  /** Tokens were revoked, or a revocation was taken back. */
  | { readonly kind: 'revoked' }
  /** The listening connection was lost and is back: anything may have been missed. */
  | { readonly kind: 'gap' };

export interface EventStore {
  after(datasetId: DatasetId, sequence: number, limit: number): Promise<EventRecord[]>;
  /** Sequence of the newest event, 0 when there is none. */
  latest(datasetId: DatasetId): Promise<number>;
  /** Sequence of the oldest event that is still kept, 0 when there is none. */
  earliest(datasetId: DatasetId): Promise<number>;
  listen(onNotice: (notice: EventNotice) => void): Promise<{ close(): Promise<void> }>;
  prune(keepMs: number): Promise<void>;
}

export interface NewRevocation {
  readonly tokenId: string | null;
  readonly subject: Subject | null;
  /** Of a subject: until when its tokens were issued; null: now. */
  readonly issuedBefore: string | null;
  readonly expiresAt: string | null;
  readonly reason: string;
}

/** What a revocation is of: a token or a subject. */
export type RevocationTarget = Pick<NewRevocation, 'tokenId' | 'subject'>;

/** Either one token or the tokens of a subject that were issued until `issuedBefore`. */
export interface RevocationRecord extends NewRevocation {
  readonly revokedBy: Subject;
  readonly revokedAt: string;
}

export interface SessionStore {
  /** Revokes anew or more widely; tells every server. `conflict` when `revocationsMax` count already. */
  revoke(revocation: NewRevocation, provenance: Provenance): Promise<RevocationRecord>;
  /** Takes a revocation back, and tells every server; answers whether there was one that counted. */
  lift(target: RevocationTarget, provenance: Provenance): Promise<{ readonly lifted: boolean }>;
  /** Revocations that count and were made or taken back behind a sequence, in the order in which that was committed. */
  revokedAfter(sequence: number, limit: number): Promise<(RevocationRecord & { readonly sequence: number; readonly lifted: boolean })[]>;
  /** Revocations that count, newest first; null: of any token or subject. */
  revocations(
    target: RevocationTarget,
    page: Page & { readonly before?: number | undefined },
  ): Promise<(RevocationRecord & { readonly sequence: number })[]>;
  /** Keeps the hash of a ticket with the claims that it stands for; `rate_limited` when the subject has `ticketsPerSubjectMax`. */
  addTicket(ticket: {
    readonly hash: string;
    readonly subject: Subject;
    readonly claims: Readonly<Record<string, unknown>>;
    readonly expiresAt: string;
  }): Promise<void>;
  /** The claims of a ticket that holds, which it does no longer then; undefined: there is none. */
  takeTicket(hash: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** Forgets revocations and tickets that have ended. */
  prune(): Promise<void>;
}

// Retention -----------------------------------------------------------------------------------------------------------

/**
 * What is kept of a dataset's versions besides heads of branches and tags, which always are: the last so many of the others, and
 * those that were made, or were the head of a branch, within so many days. A version is kept if either says so.
 */
export interface RetentionPolicy {
  readonly keepLast: number | null;
  readonly keepDays: number | null;
}

export interface RetentionRecord {
  readonly policy: RetentionPolicy | null;
  readonly setBy: Subject | null;
  readonly setAt: string | null;
}

/** Versions that a policy does not keep, oldest first. */
export interface Unkept {
  readonly versionIds: VersionId[];
  /** All of them, also those beyond the limit. */
  readonly count: number;
  /** What only the listed ones have of data files and originals. */
  readonly files: number;
  readonly bytes: number;
}

/** What lies on disk of a dataset, everything counted once. */
export interface StorageUse {
  readonly versions: number;
  readonly removedVersions: number;
  /** Data files and originals that versions refer to. */
  readonly files: number;
  readonly bytes: number;
  /** Of these, what only removed versions refer to, which can be brought back. */
  readonly removedBytes: number;
  /** Files that nothing refers to any more and that somebody may be reading. */
  readonly condemnedFiles: number;
  readonly condemnedBytes: number;
}

export interface RetentionStore {
  get(datasetId: DatasetId): Promise<RetentionRecord>;
  set(datasetId: DatasetId, policy: RetentionPolicy | null, provenance: Provenance): Promise<RetentionRecord>;
  storage(datasetId: DatasetId): Promise<StorageUse>;
  unkept(datasetId: DatasetId, policy: RetentionPolicy, limit: number): Promise<Unkept>;
  /** Removes those of the versions to which no branch and no tag leads now, in one transaction; `outputOf` makes the command's result. */
  remove<Result>(
    datasetId: DatasetId,
    versionIds: readonly VersionId[],
    outputOf: (removed: VersionId[]) => Result,
    provenance: Provenance,
  ): Promise<Result>;
  /** Brings removed versions back that still have their files; null: all of them. Answers with those that came back. */
  restore(datasetId: DatasetId, versionIds: readonly VersionId[] | null, provenance: Provenance): Promise<VersionId[]>;
  /** Datasets with a policy, by rising id. */
  withPolicy(page: Page & { readonly after: DatasetId | undefined }): Promise<(RetentionRecord & { readonly datasetId: DatasetId })[]>;
}

/**
 * How files go. Versions that were removed, and datasets that were deleted, long enough ago let go of their files; those that
 * nothing refers to then are condemned. Each reader says which of the condemned ones it holds, and takes no others from then on;
 * what no reader holds is deleted. Every step is one transaction, and may be repeated.
 */
export interface DisposalStore {
  /** Lets some versions of one dataset go, or a dataset that has none left; answers what it did, null when nothing is due. */
  release(due: { readonly graceMs: number; readonly versionsMax: number; readonly condemnedMax: number }): Promise<Released | null>;
  /** Tells every reader of what was condemned. */
  announce(): Promise<void>;
  /** Takes part. A backup never acknowledges, so that nothing is deleted that was there when it joined. */
  join(readerId: string, kind: 'server' | 'backup', leaseMs: number): Promise<void>;
  /** Hands over what is condemned, and keeps what the answer says is held. False: the reader was not heard of for too long. */
  acknowledge(readerId: string, leaseMs: number, heldOf: (condemned: readonly string[]) => string[]): Promise<boolean>;
  leave(readerId: string): Promise<void>;
  /** Servers on this database that have ended for certain. */
  leaveAll(): Promise<void>;
  /** Condemned objects that no reader needs. */
  disposable(limit: number): Promise<string[]>;
  /** They are gone. */
  disposed(objectKeys: readonly string[]): Promise<void>;
}

export interface Released {
  readonly datasetId: DatasetId;
  readonly versions: number;
  readonly condemned: number;
  /** Whether that was the last of a deleted dataset. */
  readonly isPurged: boolean;
}

// Documents ----------------------------------------------------------------------------------------------------------

/** The right to write a document, for as long as nobody else took it over. */
export interface DocumentLease {
  readonly documentId: string;
  readonly fence: number;
}

export interface DocumentTarget {
  readonly name: string;
  /** Null: it belongs to a person. */
  readonly datasetId: DatasetId | null;
  /** What its readers see of the dataset; null: everything. */
  readonly scope: unknown;
}

/** A server that opens documents, and for how long without a word it keeps them. */
export interface DocumentOwner {
  readonly serverId: string;
  readonly leaseMs: number;
}

/** Whose edits those of a Yjs client id are; null: the server's own. */
export interface ClientBinding {
  readonly clientId: number;
  readonly subject: Subject | null;
}

export interface DocumentBatch {
  readonly sequence: number;
  readonly updates: readonly Uint8Array[];
}

export interface NewDocumentBatch extends DocumentBatch {
  readonly bindings: readonly ClientBinding[];
}

/** Yjs clients under which persons told presence and that are nobody's by an edit yet, of each the oldest first. */
export type StoredToldClients = readonly (readonly [Subject, readonly number[]])[];

/** A lease that is given back. */
export interface ReleasedLease extends DocumentLease {
  /** Undefined: as they are stored. */
  readonly told: StoredToldClients | undefined;
}

export interface StoredDocument {
  /** What the batches up to `sequence` come to, as one update; null: nothing was compacted yet. */
  readonly state: { readonly sequence: number; readonly update: Uint8Array } | null;
  /** Those behind the state, in order. */
  readonly batches: readonly DocumentBatch[];
  readonly bindings: readonly ClientBinding[];
  readonly told: StoredToldClients;
}

export interface BindingRecord extends ClientBinding {
  readonly boundAt: string;
}

export interface DocumentSnapshotRecord {
  readonly snapshotId: number;
  /** Null: one of those that are kept from time to time, or before another is restored. */
  readonly label: string | null;
  /** Who took it, or restored another after it; null: nobody. */
  readonly takenBy: Subject | null;
  readonly takenAt: string;
  readonly bytes: number;
}

export interface ScopedDocument {
  readonly name: string;
  readonly scope: unknown;
  readonly updatedAt: string;
}

export interface PublishedEntry {
  readonly scopeId: string;
  readonly map: 'views' | 'annotations';
  readonly id: string;
}

/** How many entries a snapshot put back, and how many had come since. */
export interface RestoredSnapshot {
  readonly snapshotId: number;
  readonly restored: number;
  readonly removed: number;
}

export interface DocumentStore {
  /**
   * Makes documents if need be and takes them over from nobody who still has them; answers for each in its place, undefined:
   * another server has it. None comes twice.
   */
  acquire(targets: readonly DocumentTarget[], owner: DocumentOwner): Promise<(DocumentLease | undefined)[]>;
  /** Keeps leases; answers with the ids of the documents that were lost to others or are gone. */
  renew(leases: readonly DocumentLease[], owner: DocumentOwner): Promise<string[]>;
  release(leases: readonly ReleasedLease[]): Promise<void>;
  /** Gives up what servers on this database held that have ended for certain. */
  releaseAll(): Promise<void>;
  load(documentId: string): Promise<StoredDocument>;
  /** What it was made of alone, without what is known of its clients. */
  updates(documentId: string): Promise<Pick<StoredDocument, 'state' | 'batches'>>;
  /** Appends a batch, durably. Where another server has the document, or it is gone, nothing is written. */
  append(lease: DocumentLease, batch: NewDocumentBatch): Promise<'written' | 'taken' | 'gone'>;
  /** Puts a state in the place of the batches that it comes from; false: nothing is written, as with `append`. */
  compact(lease: DocumentLease, state: NonNullable<StoredDocument['state']>): Promise<boolean>;
  /** Keeps a state under a label; `conflict` when the document has as many as it may, before the state is made. */
  addSnapshot(
    documentId: string,
    snapshot: { readonly label: string; readonly makeState: () => Promise<Uint8Array> },
    provenance: Provenance,
  ): Promise<DocumentSnapshotRecord>;
  /**
   * Keeps the state that was compacted last if the last one that was kept this way is older, and the newest of these only; answers in how
   * many milliseconds the next is due.
   */
  addPeriodicSnapshot(documentId: string, kept: { readonly everyMs: number; readonly keptMax: number }): Promise<number>;
  /** Keeps a state before somebody restores another, and the newest of these only. */
  addRestoreSnapshot(documentId: string, kept: { readonly state: Uint8Array; readonly restorer: Subject; readonly keptMax: number }): Promise<void>;
  /** Newest first. */
  snapshots(documentId: string, page: Page & { readonly before?: number | undefined }): Promise<DocumentSnapshotRecord[]>;
  snapshotState(documentId: string, snapshotId: number): Promise<Uint8Array | undefined>;
  /** Leaves word that a snapshot was restored. */
  recordRestored(documentId: string, restored: RestoredSnapshot, provenance: Provenance): Promise<RestoredSnapshot>;
  /** What the readers of the document of this name see of the dataset; undefined: there is none, or it is that of those who see everything. */
  scopeOf(name: string): Promise<unknown>;
  /** The documents of those who do not see everything of a dataset, by name. */
  scoped(datasetId: DatasetId, page: Page & { readonly after?: string | undefined }): Promise<ScopedDocument[]>;
  /** Leaves word of an entry that was copied to those who see less, or taken from them again. */
  recordPublished(datasetId: DatasetId, published: PublishedEntry, provenance: Provenance): Promise<PublishedEntry>;
  /** The id of the document that has this name; undefined: there is none yet. */
  find(name: string): Promise<string | undefined>;
  /** Bindings by client id. */
  bindings(documentId: string, page: Page & { readonly after?: number | undefined }): Promise<BindingRecord[]>;
}

export interface IdempotencyStore {
  /** The result of an earlier command with this key, if there was one; `conflict` when its input was another. */
  find(subject: Subject, idempotency: Idempotency): Promise<{ readonly result: unknown } | undefined>;
  prune(keepMs: number): Promise<void>;
}

/** A table as it can be made again. */
export interface SavedTable {
  readonly tableId: TableId;
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly options: { readonly columns: readonly string[] | null; readonly rowLimit: number | null; readonly engine: 'memory' | 'duckdb' };
  readonly scope: Scope;
  readonly usedAt: string;
}

export interface SavedTablesChange {
  /** What one server has open; there afterwards, whoever left it out meanwhile. */
  readonly open: readonly SavedTable[];
  /** Whether it is told anew when they were used last. */
  readonly isRenewed: boolean;
  /** What that server saved before, and has no longer. */
  readonly gone: readonly TableId[];
  /** So many are kept, those that were used last. */
  readonly most: number;
}

/** The tables that were open on any server when it saved them last. */
export interface SavedTableStore {
  save(change: SavedTablesChange): Promise<void>;
  /** Used last first. */
  list(limit: number): Promise<SavedTable[]>;
}

export interface MetadataStore {
  readonly datasets: DatasetStore;
  readonly versions: VersionStore;
  readonly pointers: PointerStore;
  readonly grants: GrantStore;
  readonly uploads: UploadStore;
  readonly audit: AuditStore;
  readonly events: EventStore;
  readonly sessions: SessionStore;
  readonly documents: DocumentStore;
  readonly retention: RetentionStore;
  readonly disposal: DisposalStore;
  readonly schedules: ScheduleStore;
  readonly runs: RunStore;
  readonly jobs: JobQueue;
  readonly idempotency: IdempotencyStore;
  readonly savedTables: SavedTableStore;
  /** What tells this database from others; it goes with a copy of it. */
  deploymentId(): Promise<string>;
  /** Answers when the database does. */
  ping(): Promise<void>;
  /** Connections to the database, and statements and transactions that wait for one. */
  pool(): { readonly busy: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
}

// Objects ------------------------------------------------------------------------------------------------------------

/** Immutable objects by key (`datasets/7/3/data-….parquet`). Keys are made by the server, never of what callers send. */
export interface ObjectStore {
  /** Gives staged files their keys; when it returns they are durable. The staged paths remain until they are discarded. A key that exists is a fault. */
  publish(files: readonly Publication[]): Promise<void>;
  /** Bytes from `start` to `end` exclusive. */
  read(objectKey: string, range?: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array>;
  /** Where the query engine finds the object, as long as a lease on that path is held. */
  localPath(objectKey: string): string;
  /**
   * Sees to it that objects lie, readable, at their local paths until the answer is called; other paths are passed over.
   * `storage_full` when there is no room for so many at once.
   */
  lease(paths: readonly string[]): Promise<() => void>;
  delete(objectKeys: readonly string[]): Promise<void>;
  /** Every key below a prefix with its age; for sweeping what crashes left behind. */
  list(prefix: string): AsyncIterable<{ readonly objectKey: string; readonly ageMs: number }>;
}

/** Objects that know who reads them. */
export interface HeldObjectStore extends ObjectStore {
  /** From now on nobody begins to read these (`not_found`), and no others are kept from anybody. Answers with those that are being read. */
  condemn(objectKeys: readonly string[]): string[];
}

/** Bytes that arrived and are not yet part of anything: bodies of commits, and resumable uploads by their id. */
export interface StagingStore {
  /** Writes a body to a new file, hashing on the way; `payload_too_large` over `bytesMax`. A failure leaves no file. */
  stage(body: AsyncIterable<Uint8Array>, options: { readonly bytesMax: number; readonly signal: AbortSignal }): Promise<StagedBytes>;
  /** Removes a staged file, if it is still there. */
  discard(path: string): Promise<void>;
  /** Writes a body into an upload from `offset` on, durably, and answers with where it ends. Bytes behind `offset` are lost. */
  write(
    uploadId: UploadId,
    offset: number,
    body: AsyncIterable<Uint8Array>,
    options: { readonly bytesMax: number; readonly signal: AbortSignal },
  ): Promise<number>;
  /** The upload as a staged file of `bytes` bytes, hashed, until it is released. The upload itself stays. */
  open(uploadId: UploadId, bytes: number, signal: AbortSignal): Promise<OpenedUpload>;
  removeUpload(uploadId: UploadId): Promise<void>;
  /** Shows other servers on the same files that this one lives, so that they do not clear its staging area away. */
  markAlive(): Promise<void>;
  /** Uploads that have bytes, with the time since their last write. */
  listUploads(): AsyncIterable<{ readonly uploadId: UploadId; readonly ageMs: number }>;
}

export interface StagedBytes {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Settles when the bytes are on disk, which goes on while they are read; nothing may land before. */
  readonly durable: Promise<void>;
}

export interface OpenedUpload extends StagedBytes {
  release(): Promise<void>;
}

export interface Stores {
  readonly metadata: MetadataStore;
  readonly objects: HeldObjectStore;
  readonly staging: StagingStore;
  readonly content: ContentStore;
  readonly exports: ExportFiles;
}
