import { randomBytes } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { present } from '../../shared/assert.ts';
import type { Idempotency, Landing, PendingCommit, Publication, StagedFile, VersionRecord } from '../stores.ts';
import { otherInput } from './idempotency.ts';
import { type Head, type LandingState, type NamedHead, piecesOf } from './landing-state.ts';
import type { Entry, LockedDataset, NewEvent } from './record.ts';

/** A row of `branch_log`. */
export interface Movement {
  readonly branchId: number;
  readonly name: string;
  readonly action: 'create' | 'commit';
  readonly from: number | null;
  readonly to: number;
  readonly actor: string;
  readonly message: string;
}

export interface NewFile extends StagedFile {
  readonly fileId: number;
  readonly objectKey: string;
  readonly versionId: number;
}

export interface NewVersion {
  readonly record: VersionRecord & { readonly identical: boolean };
  readonly fileIds: readonly number[];
  readonly schemaHash: string;
  readonly originalKey: string | null;
}

/**
 * Decides in memory what a batch of commits does to a dataset whose row is locked. Each commit sees what the ones before it
 * did, so a chain of commits to one branch needs no round trip in between.
 */
export class LandingPlan {
  readonly landings: Landing[] = [];
  readonly versions: NewVersion[] = [];
  readonly files: NewFile[] = [];
  readonly movements: Movement[] = [];
  readonly publications: Publication[] = [];
  readonly entries: Entry[] = [];
  readonly uploadIds: string[] = [];
  readonly #dataset: LockedDataset;
  readonly #state: LandingState;
  readonly #limits: Limits;
  readonly #branches: Map<string, NamedHead>;
  readonly #moved = new Set<string>();
  readonly #results = new Map<string, { readonly inputHash: string; readonly result: unknown }>();
  readonly #knownFiles: ReadonlySet<number>;
  #nextVersionId: number;
  #nextColumnId: number;

  constructor(dataset: LockedDataset, state: LandingState, limits: Limits) {
    this.#dataset = dataset;
    this.#state = state;
    this.#limits = limits;
    this.#branches = new Map(state.branches.map((branch) => [branch.name, branch]));
    this.#knownFiles = new Set(state.knownFileIds);
    for (const { subject, key, inputHash, result } of state.repeated) this.#results.set(commandOf(subject, key), { inputHash, result });
    this.#nextVersionId = dataset.nextVersionId;
    this.#nextColumnId = dataset.nextColumnId;
  }

  /** The dataset with the counters that it has after the batch. */
  get dataset(): LockedDataset {
    return { ...this.#dataset, nextVersionId: this.#nextVersionId, nextColumnId: this.#nextColumnId };
  }

  /** Branches that the batch created or moved, with their new heads. */
  get branches(): NamedHead[] {
    return [...this.#moved].map((name) => this.#branch(name));
  }

  add(commit: PendingCommit): void {
    this.landings.push(this.#repeat(commit) ?? this.#obstacle(commit) ?? this.#land(commit));
  }

  #branch(name: string): NamedHead {
    return present(this.#branches.get(name), `branch ${name} of the batch`);
  }

  /** The head that a commit builds on: its branch's, or main's when the branch does not exist yet. */
  #start(branch: NamedHead): Head | null {
    return branch.kind === null ? this.#branch('main').head : branch.head;
  }

  /** A command that was carried out before answers as it did then. */
  #repeat({ provenance: { actor, idempotency }, mode, original }: PendingCommit): Landing | undefined {
    const earlier = idempotency && this.#results.get(commandOf(actor, idempotency.key));
    if (!earlier) return undefined;
    const version = earlier.result as NewVersion['record'];
    // What a restore takes up depends on when it is asked for, not on bytes that come with it.
    const isSame = earlier.inputHash === idempotency.inputHash && (mode === 'restore' || original?.sha256 === version.original?.sha256);
    return isSame ? { outcome: 'landed', version } : { outcome: 'refused', error: otherInput(idempotency.key) };
  }

  #obstacle(commit: PendingCommit): Landing | undefined {
    const branch = this.#branch(commit.branch);
    const { name, head } = branch;
    if (branch.kind === 'tag') return refused('conflict', `${name} is a tag, and tags do not move`, { name });
    const { expectedHead, content } = commit;
    if (expectedHead !== undefined && expectedHead !== (head?.versionId ?? null)) return moved(head);
    if (branch.protected && !commit.mayMoveProtected) return refused('forbidden', `branch ${name} is protected`, { branch: name });
    const start = this.#start(branch);
    if (content.kind === 'rewrite' && content.base !== start?.versionId) return moved(head);
    if (content.kind === 'append' && content.ontoSchemaHash !== (start?.schemaHash ?? null)) return moved(head);
    const { uploadId } = commit;
    if (uploadId !== null && !this.#state.uploadIds.includes(uploadId)) return refused('not_found', `there is no upload ${uploadId}`, { uploadId });
    return this.#unusable(commit, start);
  }

  /** Faults of what the commit refers to. */
  #unusable(commit: PendingCommit, start: Head | null): Landing | undefined {
    const { mergedFrom } = commit;
    if (mergedFrom !== null && !this.#state.merged.some(({ versionId }) => versionId === mergedFrom)) {
      return refused('not_found', `there is no version ${mergedFrom} to merge`, { versionId: mergedFrom });
    }
    const pieces = piecesOf(commit);
    // Retention may have taken what a draft was to share: it is drafted again.
    const isGone = pieces.some((piece) => typeof piece === 'string' && !this.#knownFiles.has(Number(piece)));
    if (isGone || this.#lacksOriginal(commit)) return moved(this.#branch(commit.branch).head);
    const files = pieces.length + (commit.content.kind === 'append' ? (start?.fileIds.length ?? 0) : 0);
    if (files > this.#limits.manifestFilesMax)
      return refused('unprocessable_data', `a version has at most ${this.#limits.manifestFilesMax} files`, { files });
    return undefined;
  }

  #lacksOriginal({ original }: PendingCommit): boolean {
    return original !== null && 'objectKey' in original && !this.#state.knownOriginals.includes(original.objectKey);
  }

  #land(commit: PendingCommit): Landing {
    const branch = this.#branch(commit.branch);
    const start = this.#start(branch);
    const version = this.#version(commit, start);
    const { record } = version;
    this.versions.push(version);
    this.#move(commit, branch, start, version);
    const { provenance } = commit;
    if (commit.uploadId) this.uploadIds.push(commit.uploadId);
    if (provenance.idempotency) this.#remember(provenance.actor, provenance.idempotency, record);
    const detail = { branch: branch.name, mode: record.mode, rows: record.rows, message: record.message };
    const events = eventsOf(record, branch, start);
    this.entries.push({ provenance, datasetId: record.datasetId, versionId: record.versionId, detail, events, output: record });
    return { outcome: 'landed', version: record };
  }

  #remember(actor: string, { key, inputHash }: Idempotency, result: unknown): void {
    this.#results.set(commandOf(actor, key), { inputHash, result });
  }

  #version(commit: PendingCommit, start: Head | null): NewVersion {
    const versionId = this.#nextVersionId++ as VersionRecord['versionId'];
    const parents = start ? [start.versionId] : [];
    if (commit.mergedFrom !== null && commit.mergedFrom !== start?.versionId) parents.push(commit.mergedFrom);
    const fileIds = this.#manifest(commit, versionId, start);
    const size = sizeOf(commit, start);
    const identical = start !== null && start.schemaHash === commit.schemaHash && equal(start.fileIds, fileIds);
    const { branch, mode, message, conversion } = commit;
    const record = {
      datasetId: this.#dataset.datasetId,
      versionId,
      parents,
      generation: this.#generation(parents, start),
      branch,
      mode,
      message,
      author: commit.provenance.actor,
      createdAt: this.#dataset.at,
      ...size,
      files: fileIds.length,
      schema: this.#columns(commit, start),
      key: this.#key(commit, start),
      conversion,
      ...this.#original(commit, versionId),
      removedAt: null,
      identical,
    };
    const { originalKey, ...rest } = record;
    return { record: rest, fileIds, schemaHash: commit.schemaHash, originalKey };
  }

  #generation(parents: readonly number[], start: Head | null): number {
    const merged = this.#state.merged.filter(({ versionId }) => parents.includes(versionId)).map(({ generation }) => generation);
    return Math.max(-1, start?.generation ?? -1, ...merged) + 1;
  }

  /** A column keeps its id as long as the versions of a chain have one of its name. */
  #columns({ schema }: PendingCommit, start: Head | null): VersionRecord['schema'] {
    const ids = new Map(start?.schema.map(({ name, columnId }) => [name, columnId]));
    return schema.map(({ name, type, nullable }) => ({ columnId: ids.get(name) ?? this.#nextColumnId++, name, type, nullable }));
  }

  /** The key that the commit names; else the head's or the dataset's, if the version has its columns. */
  #key({ key, schema }: PendingCommit, start: Head | null): string[] | null {
    if (key !== null) return [...key];
    const has = (candidate: string[]): boolean => candidate.every((name) => schema.some((column) => column.name === name));
    return [start?.key ?? null, this.#dataset.key].find((candidate) => candidate !== null && has(candidate)) ?? null;
  }

  #manifest(commit: PendingCommit, versionId: number, start: Head | null): number[] {
    const kept = commit.content.kind === 'append' ? (start?.fileIds ?? []) : [];
    return [...kept, ...piecesOf(commit).map((piece) => (typeof piece === 'string' ? Number(piece) : this.#publish(piece, versionId)))];
  }

  #publish(file: StagedFile, versionId: number): number {
    const fileId = present(this.#state.newFileIds[this.files.length], 'an id for a new file');
    const objectKey = this.#objectKey(versionId, 'data', '.parquet');
    this.files.push({ ...file, fileId, objectKey, versionId });
    this.publications.push({ path: file.path, objectKey });
    return fileId;
  }

  #original({ original }: PendingCommit, versionId: number): { readonly original: VersionRecord['original']; readonly originalKey: string | null } {
    if (original === null) return { original: null, originalKey: null };
    const { fileName, format, compression, bytes, sha256 } = original;
    const described = { fileName, format, compression, bytes, sha256 };
    if ('objectKey' in original) return { original: described, originalKey: original.objectKey };
    const objectKey = this.#objectKey(versionId, 'original', '');
    this.publications.push({ path: original.path, objectKey });
    return { original: described, originalKey: objectKey };
  }

  /** The random part keeps a key from being taken by the leftovers of a transaction that failed. */
  #objectKey(versionId: number, kind: 'data' | 'original', extension: string): string {
    return `datasets/${this.#dataset.datasetId}/${versionId}/${kind}-${randomBytes(4).toString('hex')}${extension}`;
  }

  #move(commit: PendingCommit, branch: NamedHead, start: Head | null, { record, fileIds, schemaHash }: NewVersion): void {
    const { name, branchId } = branch;
    const { actor } = commit.provenance;
    const step = { branchId, name, actor, message: commit.message };
    const isNew = branch.kind === null;
    if (isNew && start) this.movements.push({ ...step, action: 'create', from: null, to: start.versionId, message: '' });
    this.movements.push({ ...step, action: start ? 'commit' : 'create', from: start?.versionId ?? null, to: record.versionId });
    const { versionId, generation, rows, bytes, schema, key } = record;
    const head = { versionId, generation, rows, bytes, fileIds, schema, schemaHash, key };
    this.#branches.set(name, { ...branch, kind: 'branch', head, createdBy: branch.createdBy ?? actor });
    this.#moved.add(name);
  }
}

/** A key of one person's command; neither part can contain a control character. */
const commandOf = (subject: string, key: string): string => `${subject}\0${key}`;

const moved = (head: Head | null): Landing => ({ outcome: 'moved', head: head?.versionId ?? null });

function refused(...fault: ConstructorParameters<typeof CovistaError>): Landing {
  return { outcome: 'refused', error: new CovistaError(...fault) };
}

const equal = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((id, index) => id === right[index]);

function sizeOf({ content }: PendingCommit, start: Head | null): { readonly rows: number; readonly bytes: number } {
  if (content.kind !== 'append') return { rows: content.rows, bytes: content.bytes };
  const sum = (of: 'rows' | 'bytes'): number => content.added.reduce((total, file) => total + file[of], start?.[of] ?? 0);
  return { rows: sum('rows'), bytes: sum('bytes') };
}

function eventsOf(record: VersionRecord, branch: NamedHead, start: Head | null): NewEvent[] {
  const { versionId, mode, message, rows, parents } = record;
  const created: NewEvent = { kind: 'version.created', data: { versionId, branch: branch.name, mode, message, rows, parents } };
  if (branch.kind === null) return [created, { kind: 'branch.created', data: { name: branch.name, versionId } }];
  return [created, { kind: 'branch.moved', data: { name: branch.name, action: 'commit', from: start?.versionId ?? null, to: versionId } }];
}
