import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, Table } from '@perspective-dev/client';
import { pino } from 'pino';
import type { TableId } from '../../protocol/ids.ts';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import type { EngineSession, TableEngine, TableSource } from '../../server/services/tables/engine.ts';
import { Guard } from '../../server/services/tables/guard.ts';
import type { ContentStore } from '../../server/storage/content-store.ts';
import { DuckdbTables } from '../../server/workers/duckdb-tables.client.ts';
import { PerspectiveMemory } from '../../server/workers/perspective-memory-pool.ts';

/** Runs an engine in a directory of its own; what it stands for is removed when it closes. */
export interface EngineUnderTest {
  readonly engine: TableEngine;
  close(): Promise<void>;
}

export async function duckdbEngine(readableDirectories: readonly string[], limits: Limits = defaultLimits): Promise<EngineUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-duckdb-tables-'));
  const engine: TableEngine = new DuckdbTables({
    limits,
    log: pino({ level: 'warn' }),
    spillDirectory: join(directory, 'spill'),
    readableDirectories,
  });
  return {
    engine,
    close: async () => {
      await engine.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Perspective's own engine in threads; each test closes it. */
export function memoryEngine(content: Pick<ContentStore, 'tableArrow'>, limits: Limits = defaultLimits): PerspectiveMemory {
  return new PerspectiveMemory({ content, limits, log: pino({ level: 'silent' }) });
}

export interface OpenTable {
  readonly client: Client;
  readonly table: Table;
  readonly session: EngineSession;
  close(): Promise<void>;
}

export type GuardedTable = Pick<OpenTable, 'client' | 'table' | 'close'>;

/** A real Perspective client that speaks with an engine through bytes, about one table. */
export async function openTable(engine: TableEngine, key: string, source: TableSource): Promise<OpenTable> {
  const loaded = await engine.load(key, source, { signal: new AbortController().signal });
  const { client, session } = await connectClient(loaded);
  const table = await client.open_table(key);
  return {
    client,
    table,
    session,
    close: async () => {
      session.close();
      loaded.close();
    },
  };
}

/** As `openTable`, with the guard between the client and the engine, as between every session and its engine. */
export async function openGuarded(engine: TableEngine, tableId: TableId, source: TableSource, limits: Limits = defaultLimits): Promise<GuardedTable> {
  const { make_client } = await import('@perspective-dev/client/node');
  const loaded = await engine.load(tableId, source, { signal: new AbortController().signal });
  const guard = new Guard({
    ...{ tableId, table: loaded, dialect: engine.dialect, limits, holder: 'alice' },
    respond: (bytes) => queueMicrotask(() => void client.handle_response(bytes)),
    lost: () => undefined,
    computed: () => undefined,
  });
  const client: Client = make_client(async (request: Uint8Array) => guard.receive(request.slice()));
  return {
    client,
    table: await client.open_table(tableId),
    close: async () => {
      guard.close();
      loaded.close();
    },
  };
}

/** A Perspective client on a session of its own. */
export async function connectClient(
  loaded: Awaited<ReturnType<TableEngine['load']>>,
  holder = 'alice',
): Promise<{ client: Client; session: EngineSession }> {
  const { make_client } = await import('@perspective-dev/client/node');
  const session = loaded.connect({
    holder,
    // What one client asks while it is told something comes after that.
    respond: (bytes) => queueMicrotask(() => void client.handle_response(bytes)),
    lost: () => undefined,
  });
  const client = make_client(async (request: Uint8Array) => session.handle(request.slice()));
  return { client, session };
}
