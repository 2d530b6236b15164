import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import { createLog } from '../../server/shared/log.ts';
import { migrate } from '../../server/storage/postgres/migrate.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { dumpSchema } from '../support/schema-dump.ts';

const log = createLog('error', false);
const databases: TestDatabase[] = [];

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
});

async function emptyDatabase(): Promise<string> {
  const database = await createEmptyDatabase();
  databases.push(database);
  return database.url;
}

test('DB6 the migrations make the schema that was reviewed', async () => {
  const url = await emptyDatabase();
  await migrate(url, log);
  await expect(await dumpSchema(url)).toMatchFileSnapshot('../../migrations/schema.sql');
});

test('DB5 servers that start at once migrate one database once, and all come up', async () => {
  const url = await emptyDatabase();
  const source = `
    import { migrate } from ${JSON.stringify(new URL('../../server/storage/postgres/migrate.ts', import.meta.url).href)};
    import { createLog } from ${JSON.stringify(new URL('../../server/shared/log.ts', import.meta.url).href)};
    await migrate(process.argv[1], createLog('error', false));`;
  const otherProcess = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source, url]);
  await Promise.all([otherProcess(), otherProcess(), migrate(url, log), migrate(url, log)]);
  await migrate(url, log);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations ORDER BY id');
  await client.end();
  const names = rows.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)].sort());
  expect(names.length).toBeGreaterThan(0);
});
