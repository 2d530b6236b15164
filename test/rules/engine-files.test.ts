import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import type { EngineTable, TableEngine, TableSource } from '../../server/services/tables/engine.ts';
import { holdingTableFiles } from '../../server/services/tables/engine-files.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';

const source: TableSource = {
  source: {
    scope: UNRESTRICTED,
    content: { schema: [], schemaHash: '', rows: 1, files: ['/one', '/two'].map((path) => ({ path, rows: 1, sha256: '', schemaHash: '' })) },
  },
  columns: null,
  rowLimit: null,
};
const calm = { signal: new AbortController().signal };

/** An engine that does nothing but fail when it is told to, and the paths that are leased. */
function prepare(name: TableEngine['name'], fails = false) {
  const leased: string[] = [];
  const listeners: ((reason: CovistaError) => void)[] = [];
  const table: EngineTable = {
    rows: 1,
    bytes: 2,
    schema: new Map(),
    features: {} as EngineTable['features'],
    connect: () => ({ handle: () => undefined, close: () => undefined }),
    onLost: (listener) => {
      listeners.push(listener);
      return () => undefined;
    },
    close: () => undefined,
  };
  const load = async (): Promise<EngineTable> => {
    expect(leased).toEqual(['/one', '/two']);
    if (fails) throw new CovistaError('memory_limit', 'no room');
    return table;
  };
  const lease = async (paths: readonly string[]): Promise<() => void> => {
    leased.push(...paths);
    return () => void leased.splice(0);
  };
  const engine = holdingTableFiles({ name, dialect: 'sql', load, close: async () => undefined }, lease);
  return {
    engine,
    leased,
    lose: () => {
      for (const listener of listeners) listener(new CovistaError('unavailable', 'lost'));
    },
  };
}

test('ENC4 an engine that copies the rows holds the files while it loads them', async () => {
  const { engine, leased } = prepare('memory');
  await engine.load('key', source, calm);
  expect(leased).toEqual([]);
});

test('ENC4 an engine that reads the files holds them until its table is closed', async () => {
  const { engine, leased } = prepare('duckdb');
  const table = await engine.load('key', source, calm);
  expect([table.rows, table.bytes, leased]).toEqual([1, 2, ['/one', '/two']]);
  table.close();
  expect(leased).toEqual([]);
});

test('ENC4 the files are let go of when the table is lost or never comes to be', async () => {
  const lost = prepare('duckdb');
  await lost.engine.load('key', source, calm);
  lost.lose();
  expect(lost.leased).toEqual([]);
  const failed = prepare('duckdb', true);
  await expect(failed.engine.load('key', source, calm)).rejects.toMatchObject({ code: 'memory_limit' });
  expect(failed.leased).toEqual([]);
});
