import { expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

async function withServer(
  flags: readonly string[],
  use: (client: Client, datasetId: number) => Promise<void>,
  parts: Parameters<typeof startTestServer>[1] = {},
) {
  const server: TestServer = await startTestServer(['--log-level', 'silent', ...flags], parts);
  try {
    const client = await server.client('owner');
    const { datasetId } = await client.dataset.create({ name: 'Orders' });
    expect(await client.version.commit({ datasetId, branch: 'main' }, { body: csv('a', '1', '2') })).toMatchObject({ rows: 2 });
    await use(client, datasetId);
    expect(await client.version.preview({ datasetId, versionId: 1 as never })).toMatchObject({ rows: [{ a: 1 }, { a: 2 }] });
    await client.branch.create({ datasetId, name: 'next', from: 'main' });
    await client.version.commit({ datasetId, branch: 'next' }, { body: csv('a', '1', '3') });
    expect(await client.diff.rows({ datasetId, from: 'main', to: 'next' })).toMatchObject({ counts: { added: 1, removed: 1 } });
  } finally {
    await server.stop();
  }
}

const open = (client: Client, input: Parameters<Client['table']['open']>[0]) => client.table.open(input, { perspective: false });

async function expectNoTables(client: Client, datasetId: number): Promise<void> {
  for (const engine of ['auto', 'memory', 'duckdb'] as const) {
    await expect(open(client, { datasetId, ref: 'main', engine })).rejects.toMatchObject({ code: 'unavailable' });
  }
  expect(await client.table.list({})).toEqual({ items: [] });
}

test('TB17 a server whose engines cannot start keeps versions, and says that tables are unavailable', () =>
  withServer([], expectNoTables, {
    engines: () => {
      throw new Error('this machine has no memory for engines');
    },
  }));

test('TB17 TB20 a server without engines does so too', () => withServer(['--table-engines', 'none'], expectNoTables));

test('TB20 TB19 with one engine alone, auto takes it, and what needs the other is unavailable', async () => {
  await withServer(['--table-engines', 'memory'], async (client, datasetId) => {
    expect(await open(client, { datasetId, ref: 'main' })).toMatchObject({ engine: 'memory', dialect: 'exprtk', rows: 2 });
    await expect(open(client, { datasetId, ref: 'main', engine: 'duckdb' })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(open(client, { datasetId, ref: 'main', dialect: 'sql' })).rejects.toMatchObject({
      code: 'unavailable',
      details: { dialect: 'sql' },
    });
  });
  await withServer(['--table-engines', 'duckdb'], async (client, datasetId) => {
    expect(await open(client, { datasetId, ref: 'main', dialect: 'exprtk' })).toMatchObject({ engine: 'duckdb', rows: 2 });
    await expect(open(client, { datasetId, ref: 'main', engine: 'memory' })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

test('TB17 a table whose engine fails while it loads is unavailable, on either engine, and nothing else is', () =>
  withServer(
    [],
    async (client, datasetId) => {
      for (const engine of ['memory', 'duckdb'] as const) {
        await expect(open(client, { datasetId, ref: 'main', engine })).rejects.toMatchObject({ code: 'unavailable' });
      }
    },
    { engines: () => [failing('memory', 'exprtk'), failing('duckdb', 'sql')] },
  ));

const failing = (name: 'memory' | 'duckdb', dialect: 'exprtk' | 'sql') => ({
  name,
  dialect,
  load: () => Promise.reject(new CovistaError('unavailable', 'the engine of the table ended; open the table again')),
  close: async () => undefined,
});
