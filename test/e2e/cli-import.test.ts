import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, connect } from '../../client/index.ts';
import { startServer } from '../../server/wiring/server.ts';
import { type CliResult, runCli, startCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { samplePath } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let client: Client;
let directory: string;

beforeAll(async () => {
  server = await startTestServer();
  client = await server.client('alice');
  directory = await mkdtemp(join(tmpdir(), 'covista-import-'));
});

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

async function importFiles(...args: string[]): Promise<CliResult> {
  return runCli(['import', ...args], { COVISTA_URL: server.url, COVISTA_TOKEN: await server.token('alice') });
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

const datasetIdOf = ({ out }: CliResult): number => Number(/dataset (\d+) /.exec(out)?.[1]);

describe('import', () => {
  test('CLI4 a file becomes a dataset of its name, and again a version of it', async () => {
    const first = await importFiles(samplePath('superstore.csv'));
    const datasetId = datasetIdOf(first);
    expect(first).toEqual({ status: 0, out: `new dataset ${datasetId} "superstore": version 1 on main, 9994 rows of superstore.csv\n`, err: '' });
    const second = await importFiles(samplePath('superstore.csv'), '--message', 'The same again');
    expect(second.out).toBe(`dataset ${datasetId} "superstore": version 2 on main, 9994 rows of superstore.csv\n`);
    const { items } = await client.version.history({ datasetId });
    expect(items.map(({ message, author }) => [message, author])).toEqual([
      ['The same again', 'alice'],
      ['Import superstore.csv', 'alice'],
    ]);
  });

  test('CLI4 several files go to one dataset, to a branch, by key', async () => {
    const all = await file('counties.csv', 'id,rate\n1,5\n2,6\n3,7\n');
    const some = await file('corrections.csv.gz', gzipSync('id,rate\n2,60\n4,8\n'));
    const first = await importFiles(all, '--dataset', 'Counties by rate');
    const datasetId = datasetIdOf(first);
    const flags = ['--dataset', String(datasetId), '--branch', 'corrected', '--mode', 'upsert', '--key', 'id', '--strict'];
    const second = await importFiles(some, all, ...flags);
    expect(second.out.split('\n')).toEqual([
      `dataset ${datasetId} "Counties by rate": version 2 on corrected, 4 rows of corrections.csv.gz`,
      `dataset ${datasetId} "Counties by rate": version 3 on corrected, 4 rows of counties.csv`,
      '',
    ]);
    const { rows } = await client.version.preview({ datasetId, versionId: 2 });
    expect(rows.map(({ rate }) => Number(rate))).toEqual([5, 60, 7, 8]);
  });

  test('CLI4 a name that several datasets have is not guessed', async () => {
    const [one, two] = [await client.dataset.create({ name: 'Twins' }), await client.dataset.create({ name: 'Twins' })];
    const { status, out, err } = await importFiles(await file('twins.csv', 'n\n1\n'), '--dataset', 'Twins');
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toContain(`${two.datasetId} or ${one.datasetId}`);
  });

  test('CLI5 rows that could not be read are told', async () => {
    const path = await file('partial.csv', 'a,b\n1,2\n3,4,5,6\n7,8\n');
    const { status, out, err } = await importFiles(path);
    expect(status).toBe(0);
    expect(out).toContain('2 rows of partial.csv');
    expect(err).toMatch(/partial\.csv: 1 rows could not be read; the first in line 3: /);
    expect(await importFiles(path, '--strict')).toMatchObject({ status: 1, out: '' });
  });

  test('CLI5 what cannot be imported is status 1 with the reason, and nothing is made', async () => {
    const missing = await importFiles(join(directory, 'nowhere.csv'));
    expect(missing).toMatchObject({ status: 1, out: '' });
    expect(missing.err).toContain('nowhere.csv');
    const folder = join(directory, 'folder');
    await mkdir(folder);
    expect(await importFiles(folder)).toMatchObject({ status: 2, err: expect.stringContaining('is not a file') });
    expect((await importFiles(await file('x.csv', 'n\n1\n'), '--dataset', '2000000000')).err).toContain('not_found');
    const { items } = await client.dataset.list({ search: 'nowhere' });
    expect(items).toEqual([]);
  });

  test('CLI4 what a file is called is no number of a dataset', async () => {
    const { datasetId } = await client.dataset.create({ name: 'Not to be replaced' });
    const made = await importFiles(await file(`${datasetId}.csv`, 'n\n1\n'));
    expect(made).toMatchObject({ status: 0, out: expect.stringContaining(`"${datasetId}": version 1 on main`) });
    expect(datasetIdOf(made)).not.toBe(datasetId);
    expect((await client.branch.list({ datasetId })).items).toEqual([]);
  });

  test('CLI5 the first file that fails is named and ends the import, and no empty dataset is left of it', async () => {
    const [before, behind] = [await file('before.csv', 'n\n1\n'), await file('behind.csv', 'n\n1\n')];
    const { status, out, err } = await importFiles(before, await file('nothing.csv', ''), behind);
    expect(status).toBe(1);
    expect(out).toMatch(/^new dataset \d+ "before": version 1 on main, 1 rows of before.csv\n$/);
    expect(err).toContain('left out: 1\n');
    expect(err).toContain('nothing.csv: the upload is empty (unprocessable_data)');
    for (const search of ['nothing', 'behind']) expect((await client.dataset.list({ search })).items).toEqual([]);
  });

  test('CLI5 a dataset that was there stays when a file fails', async () => {
    await client.dataset.create({ name: 'hollow' });
    expect(await importFiles(await file('hollow.csv', ''))).toMatchObject({ status: 1 });
    expect((await client.dataset.list({ search: 'hollow' })).items).toHaveLength(1);
  });

  test('CLI5 a server that does not answer, and a token that is not accepted, are reported', async () => {
    const path = await file('y.csv', 'n\n1\n');
    const silent = await runCli(['import', path, '--url', 'http://127.0.0.1:9', '--token', 'x']);
    expect(silent).toMatchObject({ status: 1, out: '', err: expect.stringContaining('ws://127.0.0.1:9') });
    const refused = await runCli(['import', path, '--url', server.url, '--token', 'x']);
    expect(refused).toMatchObject({ status: 1, out: '', err: expect.stringContaining('unauthenticated') });
  });
});

describe('demo', () => {
  test('CLI6 it imports once however often it starts, and three people see what they may', async () => {
    const database = await createTestDatabase();
    const environment = {
      COVISTA_DATABASE_URL: database.url,
      COVISTA_DATA_DIR: join(directory, 'demo'),
      COVISTA_LOG_LEVEL: 'error',
      COVISTA_PORT: '0',
    };
    const start = async () => {
      const run = startCli(['demo'], environment, startServer);
      const [, url = ''] = await run.printed(/runs at (\S+) with/);
      const tokens = [...run.out().matchAll(/token: (\S+)/g)].map(([, token = '']) => token);
      return { run, people: tokens.map((token) => connect({ url, token })) };
    };
    const contents = async ([alice]: readonly Client[]) => {
      if (alice === undefined) return [];
      const { items } = await alice.dataset.list({ label: 'demo' });
      return Promise.all(
        items.map(async ({ datasetId, name }) => ({
          datasetId,
          name,
          branches: (await alice.branch.list({ datasetId })).items.map((branch) => [branch.name, branch.versionId]),
          tags: (await alice.tag.list({ datasetId })).items.length,
          grants: (await alice.grant.list({ datasetId })).items.map(({ principal, permission }) => `${principal} ${permission}`),
        })),
      );
    };
    try {
      const first = await start();
      const made = await contents(first.people);
      expect(made.map(({ name }) => name).sort()).toEqual(['Flights', 'Movies', 'Seattle weather', 'Superstore orders', 'Unemployment by county']);
      for (const { branches, tags, grants } of made) {
        expect(branches.length).toBeGreaterThanOrEqual(2);
        expect(tags).toBe(2);
        expect(grants).toEqual(['user:alice admin', 'user:bob write', 'user:carol read']);
      }
      const [, bob, carol] = first.people;
      const datasetId = made[0]?.datasetId ?? 0;
      expect(await bob?.tag.create({ datasetId, name: 'seen-by-bob', ref: 'main' })).toMatchObject({ createdBy: 'bob' });
      await expect(carol?.tag.create({ datasetId, name: 'seen-by-carol', ref: 'main' })).rejects.toMatchObject({ code: 'forbidden' });
      expect((await carol?.version.history({ datasetId }))?.items.length).toBeGreaterThan(0);
      // As if the first start had been interrupted before it finished this one.
      const unfinished = await first.people[0]?.dataset.create({ name: 'Movies', labels: ['demo'] });
      first.run.interrupt();
      expect(await first.run.status).toBe(0);
      for (const person of first.people) person.close();

      const second = await start();
      const again = await contents(second.people);
      expect(again.map(({ datasetId: id }) => id).sort()).toEqual(made.map(({ datasetId: id }) => id).sort());
      expect(again.map(({ datasetId: id }) => id)).not.toContain(unfinished?.datasetId);
      second.run.interrupt();
      expect(await second.run.status).toBe(0);
      for (const person of second.people) person.close();
    } finally {
      await database.drop();
    }
  });
});
