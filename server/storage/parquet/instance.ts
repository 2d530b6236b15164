import { join, resolve } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { literal } from './quote.ts';

export interface InstanceOptions {
  readonly threads: number;
  readonly memoryBytes: number;
  readonly spillDirectory: string;
  /** 0: nothing is written. */
  readonly spillBytesMax: number;
  /** Directories whose files statements may read and write; nothing else of the machine can be reached. */
  readonly directories: readonly string[];
}

/** An in-memory instance that reaches nothing but its directories and whose configuration can no longer be changed. */
export async function createHardenedInstance(options: InstanceOptions): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${Math.floor(options.memoryBytes / 1024)}KiB`,
    // Without room to spill into, what exceeds the memory fails.
    temp_directory: options.spillBytesMax === 0 ? '' : resolve(options.spillDirectory),
    max_temp_directory_size: `${Math.floor(options.spillBytesMax / 1024)}KiB`,
    errors_as_json: 'true',
    // An instance holds nothing that a fault of the engine could have spoilt for the next statement.
    disable_database_invalidation: 'true',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_unsigned_extensions: 'false',
    allow_persistent_secrets: 'false',
    extension_directory: join(resolve(options.spillDirectory), 'extensions'),
  });
  await lock(instance, options.directories);
  return instance;
}

async function lock(instance: DuckDBInstance, directories: readonly string[]): Promise<void> {
  const connection = await instance.connect();
  const allowed = directories.map((directory) => literal(join(resolve(directory), '/'))).join(', ');
  // Times without a zone are UTC, whatever the machine's zone is.
  await connection.run("SET GLOBAL TimeZone = 'UTC'");
  await connection.run(`SET allowed_directories = [${allowed}]`);
  // Progress is a setting of each connection, so these two must stay open to it.
  await connection.run("SET allowed_configs = ['enable_progress_bar', 'enable_progress_bar_print', 'progress_bar_time']");
  await connection.run('SET enable_external_access = false');
  await connection.run('SET lock_configuration = true');
  connection.closeSync();
}
