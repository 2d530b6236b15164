import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Limits, resolveLimits } from '../../protocol/limits.ts';
import { createLog, type Logger } from '../../server/shared/log.ts';
import { hashSchema } from '../../server/shared/schema-hash.ts';
import type { Content, ContentFile } from '../../server/storage/content-store.ts';
import { type Broker, createBroker } from '../../server/storage/parquet/broker.ts';
import { copyToParquet } from '../../server/storage/parquet/parquet-options.ts';
import { Staging } from '../../server/storage/parquet/staging.ts';

export interface TypedColumn {
  readonly name: string;
  readonly type: string;
}

/** DuckDB with directories of its own, and versions made by SQL. */
export interface ParquetWorkshop {
  readonly broker: Broker;
  readonly limits: Limits;
  readonly log: Logger;
  readonly staging: Staging;
  /** Where statements may read and write. */
  readonly directory: string;
  /** Writes what a SELECT yields as a data file with these columns. */
  file(select: string, columns: readonly TypedColumn[]): Promise<ContentFile>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export async function openWorkshop(overrides: Parameters<typeof resolveLimits>[0] = {}): Promise<ParquetWorkshop> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-test-parquet-'));
  const limits = resolveLimits(overrides);
  const log = createLog('warn', false);
  const broker = await createBroker({ limits, log, spillDirectory: join(directory, 'spill'), readableDirectories: [directory] });
  const staging = new Staging(join(directory, 'staging'));
  await staging.open();
  const control = { signal: new AbortController().signal };
  return {
    broker,
    limits,
    log,
    staging,
    directory,
    file: async (select, columns) => {
      const path = join(directory, `${randomUUID()}.parquet`);
      const rows = await broker.run('bulk', control, (session) => session.execute(copyToParquet(select, path, columns.length)));
      const sha256 = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      return { path, rows, sha256, schemaHash: hashSchema(columns) };
    },
    rows: (sql) => broker.run('bulk', control, (session) => session.rows(sql)),
    close: async () => {
      broker.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A version of these columns that consists of these files. */
export function contentOf(columns: readonly TypedColumn[], files: readonly ContentFile[]): Content {
  return {
    schema: columns.map(({ name, type }, index) => ({ columnId: index + 1, name, type, nullable: true })),
    schemaHash: hashSchema(columns),
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    files,
  };
}
