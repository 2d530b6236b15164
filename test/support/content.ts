import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { resolveLimits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import {
  type Content,
  type ContentStore,
  type Control,
  type Ingested,
  type IngestSource,
  type Row,
  UNRESTRICTED,
} from '../../server/storage/content-store.ts';
import { openContentStore } from '../../server/storage/parquet/open.ts';
import type { Column } from '../../server/storage/stores.ts';

/** A content store with directories of its own. */
export interface TestContent {
  readonly store: ContentStore;
  readonly directory: string;
  /** Ingests bytes, or a file by its path. */
  ingest(source: Uint8Array | string, options?: Partial<Pick<IngestSource, 'format' | 'onto'>>, control?: Control): Promise<Ingested>;
  /** All rows of what was ingested. */
  rows(ingested: Ingested): Promise<Row[]>;
  /** Names of the files in the staging area. */
  staged(): Promise<string[]>;
  close(): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const calm = (): Control => ({ signal: new AbortController().signal });

/** `staging`: where the staging area lies, when it is not beside the rest. `readable`: where uploads may lie, too. */
export async function openTestContent(
  overrides: Parameters<typeof resolveLimits>[0] = {},
  places: { readonly staging?: string; readonly readable?: readonly string[] } = {},
): Promise<TestContent> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-test-content-'));
  const staging = places.staging ?? join(directory, 'staging');
  const directories = {
    staging,
    spill: join(directory, 'spill'),
    exports: join(directory, 'exports'),
    readable: [directory, process.cwd(), ...(places.readable ?? [])],
  };
  const store = await openContentStore({
    directories,
    lease: async () => () => undefined,
    inMemoryOnly: false,
    limits: resolveLimits(overrides),
    log: createLog('warn', false),
  });
  let uploads = 0;
  return {
    store,
    directory,
    ingest: async (source, options = {}, control = calm()) => {
      uploads += 1;
      const path = typeof source === 'string' ? source : join(directory, `upload-${uploads}`);
      if (typeof source !== 'string') await writeFile(path, source);
      const { size } = await stat(path);
      return store.ingest({ path, bytes: size, format: options.format, onto: options.onto }, control);
    },
    rows: (ingested) =>
      store.rows(unrestricted(contentOfIngested(ingested)), { startRow: 0, endRow: 1_000_000, columns: undefined, bytesMax: 1e9 }, calm()),
    staged: () => readdir(staging),
    close: async () => {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What was ingested as a version. */
export function contentOfIngested({ schema, schemaHash, file }: Ingested): Content {
  const files = file === null ? [] : [{ path: file.path, rows: file.rows, sha256: file.sha256, schemaHash: file.schemaHash }];
  return { schema: schema.map((column, index) => ({ ...column, columnId: index + 1 })), schemaHash, rows: file?.rows ?? 0, files };
}

export const unrestricted = (content: Content) => ({ content, scope: UNRESTRICTED });

export const typesOf = ({ schema }: Ingested): Record<string, string> => Object.fromEntries(schema.map(({ name, type }) => [name, type]));

/** Columns of a version, from `name: type`. */
export function columns(types: Readonly<Record<string, string>>): Column[] {
  return Object.entries(types).map(([name, type], index) => ({ columnId: index + 1, name, type, nullable: true }));
}

/** Rows as a DuckDB of its own reads them, values as text: independent of the code under test. */
export async function independentRows(sql: string): Promise<(string | null)[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const reader = await connection.runAndReadAll(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${sql})`);
    return reader.getRows() as (string | null)[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
