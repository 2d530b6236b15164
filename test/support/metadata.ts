import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import { openMetadataStore } from '../../server/storage/postgres/open.ts';
import type {
  CommitContent,
  DatasetRecord,
  Landing,
  MetadataStore,
  PendingColumn,
  PendingCommit,
  Provenance,
  Publication,
  StagedFile,
} from '../../server/storage/stores.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** Stores and made-up commits for tests of the metadata; the files of these commits are never written. */
export interface MetadataTest {
  readonly store: MetadataStore;
  readonly url: string;
  /** Another pool on the same database, as another server has it. */
  open(limits?: Partial<Limits>): Promise<MetadataStore>;
}

/** A database for the test file, and a store on it. */
export function useMetadata(): MetadataTest {
  let database: TestDatabase;
  const stores: MetadataStore[] = [];
  const open = async (limits: Partial<Limits> = {}): Promise<MetadataStore> => {
    const store = await openMetadataStore({ url: database.url, limits: { ...defaultLimits, ...limits }, log: createLog('error', false) });
    stores.push(store);
    return store;
  };
  beforeAll(async () => {
    database = await createTestDatabase();
    await open();
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
    await database.drop();
  });
  return {
    get store() {
      return stores[0] as MetadataStore;
    },
    get url() {
      return database.url;
    },
    open,
  };
}

export const version = (id: number): VersionId => id as VersionId;

export function by(actor: string, operation = 'version.commit', idempotency?: Provenance['idempotency']): Provenance {
  return { actor, operation, requestId: randomUUID(), address: '127.0.0.1', ...(idempotency && { idempotency }) };
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const COLUMNS: readonly PendingColumn[] = [
  { name: 'id', type: 'BIGINT', nullable: false },
  { name: 'name', type: 'VARCHAR', nullable: true },
];

export const schemaHash = (columns: readonly PendingColumn[] = COLUMNS): string => sha256(JSON.stringify(columns));

export function stagedFile(rows = 10): StagedFile {
  const name = randomUUID();
  return { path: `/staging/${name}`, rows, bytes: rows * 100, sha256: sha256(name), schemaHash: schemaHash() };
}

export function whole(...pieces: (string | StagedFile)[]): CommitContent {
  const staged = pieces.filter((piece) => typeof piece !== 'string');
  const sum = (of: 'rows' | 'bytes'): number => staged.reduce((total, piece) => total + piece[of], 0);
  return { kind: 'whole', pieces, rows: sum('rows'), bytes: sum('bytes') };
}

/** A commit of a new file to main, but for what is given. */
export function commit(overrides: Partial<PendingCommit> = {}): PendingCommit {
  const schema = overrides.schema ?? COLUMNS;
  return {
    branch: 'main',
    mode: 'replace',
    message: 'a commit',
    content: whole(stagedFile()),
    schema,
    schemaHash: schemaHash(schema),
    key: null,
    conversion: { status: 'complete', errorCount: 0, errors: [] },
    original: null,
    expectedHead: undefined,
    mergedFrom: null,
    mayMoveProtected: false,
    uploadId: null,
    provenance: by('alice'),
    ...overrides,
  };
}

export const publishNothing = async (_files: readonly Publication[]): Promise<void> => {};

export function createDataset(store: MetadataStore, name = 'Orders'): Promise<DatasetRecord> {
  return store.datasets.create({ name, description: '', labels: [], key: null }, by('alice', 'dataset.create'));
}

export type Landed = Extract<Landing, { outcome: 'landed' }>['version'];

export function landed(landing: Landing | undefined): Landed {
  if (landing?.outcome !== 'landed') throw new Error(`the commit did not land: ${JSON.stringify(landing)}`);
  return landing.version;
}

/** Lands one commit. */
export async function landOne(store: MetadataStore, datasetId: DatasetId, overrides: Partial<PendingCommit> = {}): Promise<Landed> {
  const [landing] = await store.versions.land(datasetId, [commit(overrides)], publishNothing);
  return landed(landing);
}

/** A dataset with a chain of so many versions on main. */
export async function datasetWithVersions(store: MetadataStore, count: number): Promise<DatasetId> {
  const { datasetId } = await createDataset(store);
  for (let done = 0; done < count; done += 50) {
    const commits = Array.from({ length: Math.min(50, count - done) }, (_, index) => commit({ message: `commit ${done + index + 1}` }));
    await store.versions.land(datasetId, commits, publishNothing);
  }
  return datasetId;
}
