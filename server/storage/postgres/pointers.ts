import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { BranchGuard, BranchRecord, MovementRecord, Page, PointerRecord, PointerStore, Provenance, TagRecord } from '../stores.ts';
import { headAt, readLog, writeMovement } from './branch-log.ts';
import type { Database, Executor } from './database.ts';
import { changeDataset, type LockedDataset } from './record.ts';
import { boundedSteps, fragment, sql } from './sql.ts';

const BRANCH = fragment`p.name, 'branch' AS kind, p.version_id AS "versionId", p.protected, p.created_by AS "createdBy",
  p.created_at AS "createdAt", p.moved_at AS "movedAt"`;
const TAG = fragment`p.name, 'tag' AS kind, p.version_id AS "versionId", p.message, p.created_by AS "createdBy", p.created_at AS "createdAt"`;

interface PointerRow extends Omit<BranchRecord, 'kind'>, Omit<TagRecord, 'kind'> {
  readonly kind: 'branch' | 'tag';
}

/** A branch as changes to it need it. */
interface Branch {
  readonly name: string;
  readonly branchId: number;
  readonly head: VersionId;
}

type Listing = Page & { readonly after?: string | undefined };

export class PostgresPointerStore implements PointerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  resolve(datasetId: DatasetId, name: string, steps: number): Promise<{ kind: PointerRecord['kind']; versionId: VersionId | null } | undefined> {
    const versionId = steps === 0 ? fragment`version_id` : fragment`version_ancestor(dataset_id, version_id, ${boundedSteps(steps)})`;
    return this.#database.first(sql<{ kind: PointerRecord['kind']; versionId: VersionId | null }>`
      SELECT kind, ${versionId} AS "versionId" FROM pointers WHERE dataset_id = ${datasetId} AND name = ${name}`);
  }

  async get(datasetId: DatasetId, name: string): Promise<PointerRecord | undefined> {
    const row = await this.#database.first(sql<PointerRow>`
      SELECT p.name, p.kind, p.version_id AS "versionId", p.protected, p.message, p.created_by AS "createdBy",
        p.created_at AS "createdAt", p.moved_at AS "movedAt"
      FROM pointers p WHERE p.dataset_id = ${datasetId} AND p.name = ${name}`);
    if (!row) return undefined;
    const { kind, message, protected: isProtected, movedAt, ...shared } = row;
    return kind === 'tag' ? { ...shared, kind, message } : { ...shared, kind, protected: isProtected, movedAt };
  }

  async listBranches(datasetId: DatasetId, { after = '', limit }: Listing): Promise<BranchRecord[]> {
    const rows = await this.#database.rows(sql<BranchRecord>`
      SELECT ${BRANCH} FROM pointers p
      WHERE p.dataset_id = ${datasetId} AND p.kind = 'branch' AND p.name > ${after} ORDER BY p.name LIMIT ${limit}`);
    return [...rows];
  }

  async listTags(datasetId: DatasetId, { after = '', limit }: Listing): Promise<TagRecord[]> {
    const rows = await this.#database.rows(sql<TagRecord>`
      SELECT ${TAG} FROM pointers p
      WHERE p.dataset_id = ${datasetId} AND p.kind = 'tag' AND p.name > ${after} ORDER BY p.name LIMIT ${limit}`);
    return [...rows];
  }

  createBranch(datasetId: DatasetId, name: string, versionId: VersionId, provenance: Provenance): Promise<BranchRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      await assertCreatable(transaction, dataset, name, versionId);
      const { actor } = provenance;
      const created = await transaction.one(sql<BranchRecord & { branchId: number }>`
        INSERT INTO pointers AS p (dataset_id, name, kind, branch_id, version_id, created_by, created_at, moved_at)
        VALUES (${datasetId}, ${name}, 'branch', nextval('branch_ids'), ${versionId}, ${actor}, ${dataset.at}, ${dataset.at})
        RETURNING ${BRANCH}, p.branch_id AS "branchId"`);
      const { branchId, ...result } = created;
      await writeMovement(transaction, dataset, { branchId, name, action: 'create', from: null, to: versionId, actor, message: '' });
      return { result, event: { kind: 'branch.created', data: { name, versionId } }, versionId, detail: { name, versionId } };
    });
  }

  createTag(datasetId: DatasetId, name: string, versionId: VersionId, message: string, provenance: Provenance): Promise<TagRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      await assertCreatable(transaction, dataset, name, versionId);
      const result = await transaction.one(sql<TagRecord>`
        INSERT INTO pointers AS p (dataset_id, name, kind, version_id, message, created_by, created_at, moved_at)
        VALUES (${datasetId}, ${name}, 'tag', ${versionId}, ${message}, ${provenance.actor}, ${dataset.at}, ${dataset.at})
        RETURNING ${TAG}`);
      const data = { name, versionId, message };
      return { result, event: { kind: 'tag.created', data }, versionId, detail: data };
    });
  }

  renameBranch(datasetId: DatasetId, name: string, newName: string, guard: BranchGuard, provenance: Provenance): Promise<BranchRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      refuseMain(name, 'renamed');
      const { branchId, head } = await guardedBranch(transaction, dataset, name, guard);
      if (newName !== name) await assertCreatable(transaction, dataset, newName, head);
      const result = await transaction.one(sql<BranchRecord>`
        UPDATE pointers p SET name = ${newName} WHERE p.dataset_id = ${datasetId} AND p.name = ${name} RETURNING ${BRANCH}`);
      const movement = { branchId, name: newName, action: 'rename', from: head, to: head, actor: provenance.actor, message: '' } as const;
      await writeMovement(transaction, dataset, movement);
      const data = { name: newName, from: name };
      return { result, event: { kind: 'branch.renamed', data }, detail: data };
    });
  }

  resetBranch(datasetId: DatasetId, name: string, to: VersionId, message: string, guard: BranchGuard, provenance: Provenance): Promise<BranchRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      const { branchId, head: from } = await guardedBranch(transaction, dataset, name, guard);
      await assertVersion(transaction, dataset, to);
      const result = await transaction.one(sql<BranchRecord>`
        UPDATE pointers p SET version_id = ${to}, moved_at = ${dataset.at}
        WHERE p.dataset_id = ${datasetId} AND p.name = ${name} RETURNING ${BRANCH}`);
      await writeMovement(transaction, dataset, { branchId, name, action: 'reset', from, to, actor: provenance.actor, message });
      const data = { name, action: 'reset', from, to };
      return { result, event: { kind: 'branch.moved', data }, versionId: to, detail: { ...data, message } };
    });
  }

  async deleteBranch(datasetId: DatasetId, name: string, guard: BranchGuard, provenance: Provenance): Promise<void> {
    await changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      refuseMain(name, 'deleted');
      const { branchId, head } = await guardedBranch(transaction, dataset, name, guard);
      await transaction.rows(sql`DELETE FROM pointers WHERE dataset_id = ${datasetId} AND name = ${name}`);
      await writeMovement(transaction, dataset, { branchId, name, action: 'delete', from: head, to: null, actor: provenance.actor, message: '' });
      const data = { name, from: head };
      return { result: {}, event: { kind: 'branch.deleted', data }, versionId: head, detail: data };
    });
  }

  protectBranch(datasetId: DatasetId, name: string, isProtected: boolean, provenance: Provenance): Promise<BranchRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      await guardedBranch(transaction, dataset, name, { expectedHead: undefined, mayMoveProtected: true });
      const result = await transaction.one(sql<BranchRecord>`
        UPDATE pointers p SET protected = ${isProtected} WHERE p.dataset_id = ${datasetId} AND p.name = ${name} RETURNING ${BRANCH}`);
      const data = { name, protected: isProtected };
      return { result, event: { kind: 'branch.protected', data }, detail: data };
    });
  }

  log(datasetId: DatasetId, name: string, page: Page & { readonly before?: number | undefined }): Promise<MovementRecord[]> {
    return readLog(this.#database, datasetId, name, page);
  }

  headAt(datasetId: DatasetId, name: string, time: string): Promise<VersionId | undefined> {
    return headAt(this.#database, datasetId, name, time);
  }
}

function refuseMain(name: string, deed: string): void {
  if (name === 'main') throw new CovistaError('conflict', `main cannot be ${deed}`, { branch: name });
}

interface Taken {
  readonly kind: string | null;
  readonly versionId: VersionId | null;
  readonly exists: boolean;
}

/** A new pointer needs a name that is free and a version that exists. */
async function assertCreatable(transaction: Executor, { datasetId }: LockedDataset, name: string, versionId: VersionId): Promise<void> {
  const { exists, ...taken } = await transaction.one(sql<Taken>`
    SELECT p.kind, p.version_id AS "versionId",
      EXISTS (SELECT FROM versions WHERE dataset_id = ${datasetId} AND version_id = ${versionId} AND removed_at IS NULL) AS exists
    FROM (SELECT) AS nothing LEFT JOIN pointers p ON p.dataset_id = ${datasetId} AND p.name = ${name}`);
  if (taken.kind !== null) throw new CovistaError('conflict', `there is a ${taken.kind} named ${name} already`, { name, ...taken });
  if (!exists) throw noVersion(datasetId, versionId);
}

async function assertVersion(transaction: Executor, { datasetId }: LockedDataset, versionId: VersionId): Promise<void> {
  const found = await transaction.first(sql`
    SELECT version_id FROM versions WHERE dataset_id = ${datasetId} AND version_id = ${versionId} AND removed_at IS NULL`);
  if (!found) throw noVersion(datasetId, versionId);
}

function noVersion(datasetId: DatasetId, versionId: VersionId): CovistaError {
  return new CovistaError('not_found', `dataset ${datasetId} has no version ${versionId}`, { datasetId, versionId });
}

/** The branch, if it is what the guard expects. */
async function guardedBranch(transaction: Executor, dataset: LockedDataset, name: string, guard: BranchGuard): Promise<Branch> {
  const found = await transaction.first(sql<Branch & { kind: string; protected: boolean }>`
    SELECT name, kind, branch_id AS "branchId", version_id AS head, protected
    FROM pointers WHERE dataset_id = ${dataset.datasetId} AND name = ${name}`);
  if (found?.kind !== 'branch') throw new CovistaError('not_found', `there is no branch ${name}`, { branch: name });
  const { expectedHead, mayMoveProtected } = guard;
  if (expectedHead !== undefined && expectedHead !== found.head) {
    throw new CovistaError('conflict', `the head of ${name} is version ${found.head}, not ${expectedHead}`, {
      branch: name,
      expectedHead,
      actualHead: found.head,
    });
  }
  if (found.protected && !mayMoveProtected) throw new CovistaError('forbidden', `branch ${name} is protected`, { branch: name });
  return found;
}
