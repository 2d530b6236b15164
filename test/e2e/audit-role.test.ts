import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createLog } from '../../server/shared/log.ts';
import { admitServerRole, migrate } from '../../server/storage/postgres/migrate.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { comeDue, runIn, YEARLY } from '../support/schedules.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** An external database with two roles: the owner of the tables, and that of the server. */
const role = `covista_server_${randomBytes(6).toString('hex')}`;
const password = randomBytes(12).toString('hex');
let database: TestDatabase;
let restrictedUrl: string;
let server: TestServer;

beforeAll(async () => {
  database = await createEmptyDatabase();
  await query(inject('postgres').url, `CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = password;
  restrictedUrl = url.href;
});

afterAll(async () => {
  await server?.stop();
  await query(database.url, `DROP OWNED BY ${role}`);
  await database.drop();
  await query(inject('postgres').url, `DROP ROLE ${role}`);
});

async function stateOf(statement: string): Promise<string> {
  const client = new pg.Client({ connectionString: restrictedUrl });
  await client.connect();
  try {
    await client.query(statement);
    return 'done';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await client.end();
  }
}

test('AUD4 under a role that owns nothing the server works, adds to the audit, and cannot change or delete it', async () => {
  const log = createLog('silent', false);
  const another = await createEmptyDatabase();
  const toAnother = new URL(restrictedUrl);
  toAnother.pathname = new URL(another.url).pathname;
  await expect(migrate(toAnother.href, log)).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('covista migrate') });
  await another.drop();
  await migrate(database.url, log);
  await admitServerRole(database.url, role);
  server = await startTestServer(['--audit-flush-ms', '20'], { database: restrictedUrl });
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  const body = csv('id,name', '1,one');
  await alice.version.commit({ datasetId, branch: 'main', message: 'first' }, { body });
  const upload = await alice.upload.begin({});
  await alice.upload.write({ uploadId: upload.uploadId, offset: 0 }, { body });
  await alice.upload.commit({ uploadId: upload.uploadId, datasetId, branch: 'main', mode: 'append' });
  const { grantId } = await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read' });
  await alice.grant.revoke({ datasetId, grantId });
  await alice.session.ticket({});
  await (await server.client('operator', { admin: true })).session.revoke({ subject: 'mallory' });
  await expect((await server.client('stranger')).dataset.get({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
  await expect.poll(async () => (await alice.audit.list({ datasetId, outcome: 'not_found' })).items.length).toBe(1);
  const { scheduleId } = await alice.schedule.create({ datasetId, name: 'Orders', ref: 'main', refKind: 'branch', ...YEARLY });
  await comeDue(restrictedUrl, scheduleId);
  expect(await runIn(alice, { datasetId, scheduleId }, 'succeeded')).toMatchObject({ cause: 'cron', rows: 2 });
  await alice.schedule.run({ datasetId, scheduleId });
  expect(await runIn(alice, { datasetId, scheduleId }, 'succeeded')).toMatchObject({ rows: 2 });
  await alice.schedule.delete({ datasetId, scheduleId });
  await alice.dataset.delete({ datasetId });
  expect(await alice.dataset.undelete({ datasetId })).toMatchObject({ name: 'Orders' });
  await alice.dataset.delete({ datasetId });
  for (const statement of [
    'DELETE FROM audit',
    `UPDATE audit SET actor = 'nobody'`,
    'TRUNCATE audit',
    'ALTER TABLE audit DISABLE TRIGGER ALL',
    'DROP TABLE audit',
    'DROP TRIGGER audit_only_grows ON audit',
    'CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END; $$',
    'SET session_replication_role = replica',
    'DELETE FROM migrations',
    `UPDATE deployment SET id = gen_random_uuid()`,
  ]) {
    expect([statement, await stateOf(statement)]).toEqual([statement, '42501']);
  }
});

test('AUD4 a role that owns the tables or can do anything, or does not exist, is not let in', async () => {
  await migrate(database.url, createLog('silent', false));
  const { username } = new URL(database.url);
  await expect(admitServerRole(database.url, username)).rejects.toMatchObject({ code: 'conflict' });
  await expect(admitServerRole(database.url, 'nobody of this name"; DROP TABLE audit; --')).rejects.toMatchObject({ code: 'not_found' });
});
