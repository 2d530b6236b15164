import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createLog } from '../../server/shared/log.ts';
import { startEmbedded } from '../../server/storage/postgres/embedded.ts';
import { migrate } from '../../server/storage/postgres/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The PostgreSQL of this test run, and the migrated database in it that test databases are cloned from. */
    readonly postgres: { readonly url: string; readonly template: string };
  }
}

const template = 'covista_template';

/** One PostgreSQL for the whole run. It forgets what it wrote if the machine fails, which tests of durability do not use. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'covista-test-postgres-'));
  const log = createLog('warn', false);
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' };
  const embedded = await startEmbedded({ dataDir, log, settings });
  const teardown = async () => {
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await createTemplate(embedded.url);
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide('postgres', { url: embedded.url, template });
  return teardown;
}

async function createTemplate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${template}`);
  } finally {
    await client.end();
  }
  const templateUrl = new URL(url);
  templateUrl.pathname = template;
  await migrate(templateUrl.href, createLog('warn', false));
}
