import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pg from 'pg';
import { operationsByName } from '../../protocol/operations/index.ts';
import type { TestServer } from './server.ts';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Rows of a statement on a connection of its own. */
export async function query<Row>(url: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text, [...values])).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Everything of a server that a refused command must leave as it was. */
export interface Footprint {
  readonly rows: Readonly<Record<string, string>>;
  readonly counters: unknown;
  /** Objects, staged files, spilled files and uploads. */
  readonly files: readonly string[];
}

const TABLES = ['datasets', 'versions', 'data_files', 'pointers', 'branch_log', 'grants', 'uploads', 'events', 'idempotency'];

export async function footprint(server: Pick<TestServer, 'databaseUrl' | 'dataDir'>): Promise<Footprint> {
  const tables = TABLES.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
  // What was refused or used is audited too, and a little later.
  const later = [...operationsByName].flatMap(([name, { audit }]) => (audit === undefined ? [] : [`'${name}'`]));
  const audited = `(SELECT count(*) FROM audit WHERE outcome = 'ok' AND operation NOT IN (${later.join(', ')})) AS audit`;
  const counts = [...tables, audited].join(', ');
  const [rows = {}] = await query<Record<string, string>>(server.databaseUrl, `SELECT ${counts}`);
  const counters = await query(server.databaseUrl, 'SELECT dataset_id, next_version_id, last_event FROM datasets ORDER BY dataset_id');
  return { rows, counters, files: await filesOf(server.dataDir) };
}

/** Files of a data directory but those of the embedded PostgreSQL, secrets and the cache of exports. */
export async function filesOf(dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of ['objects', 'uploads', 'work']) found.push(...(await filesBelow(join(dataDir, directory))));
  return found
    .filter((path) => !path.includes('/exports/'))
    .map((path) => relative(dataDir, path))
    .sort();
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
