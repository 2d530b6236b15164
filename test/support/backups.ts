import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CliResult, runCli } from './cli.ts';
import { createEmptyDatabase, type TestDatabase } from './database.ts';
import { query } from './inspect.ts';

/** An installation as the command line names it. */
export interface Place {
  readonly dataDir: string;
  readonly databaseUrl: string;
}

const QUIET = ['--log-level', 'error', '--no-log-pretty'];

/** Runs a command on an installation. */
export function onPlace({ dataDir, databaseUrl }: Place, ...args: readonly string[]): Promise<CliResult> {
  return runCli([...args, '--data-dir', dataDir, ...QUIET], { COVISTA_DATABASE_URL: databaseUrl });
}

/** Places that are made for a test, and removed with what was made of them. */
export class Places {
  readonly #directories: string[] = [];
  readonly #databases: TestDatabase[] = [];

  async directory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'covista-backup-'));
    this.#directories.push(directory);
    return directory;
  }

  async empty(): Promise<Place> {
    const database = await createEmptyDatabase();
    this.#databases.push(database);
    return { dataDir: await this.directory(), databaseUrl: database.url };
  }

  /** Takes directories of others' making, to remove them with its own. */
  take(...directories: readonly string[]): void {
    this.#directories.push(...directories);
  }

  async remove(): Promise<void> {
    for (const database of this.#databases) await database.drop();
    for (const directory of this.#directories) await rm(directory, { recursive: true, force: true });
  }
}

/** Every row of every table that backups have, and where every sequence stands. */
export async function everything(url: string): Promise<Record<string, unknown>> {
  const tables = await query<{ name: string }>(
    url,
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
     AND relname NOT IN ('migrations', 'uploads', 'tickets', 'condemned_objects', 'file_readers', 'object_holds') ORDER BY relname`,
  );
  const found: Record<string, unknown> = {};
  for (const { name } of tables) {
    const rows = await query<{ row: string }>(url, `SELECT row_to_json(t)::text AS row FROM ${name} AS t ORDER BY 1`);
    found[name] = rows.map(({ row }) => row);
  }
  const sequences = `SELECT sequencename, last_value::text FROM pg_sequences WHERE schemaname = 'public' AND sequencename <> 'migrations_id_seq' ORDER BY 1`;
  return { ...found, sequences: await query(url, sequences) };
}
