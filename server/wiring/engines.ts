import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import type { TableEngine } from '../services/tables/engine.ts';
import { holdingTableFiles } from '../services/tables/engine-files.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics, Reading } from '../shared/metrics.ts';
import type { Stores } from '../storage/stores.ts';
import { DuckdbTables } from '../workers/duckdb-tables.client.ts';
import { PerspectiveMemory } from '../workers/perspective-memory-pool.ts';
import type { OpenedStores } from './stores.ts';

/** What stands in the place of a part of the server. */
export interface Parts {
  readonly engines?: (stores: Stores) => readonly TableEngine[];
}

interface Place {
  readonly stores: OpenedStores;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The engines of tables, each in threads of its own. */
export function startEngines(config: Config, { engines: others }: Parts, { stores, log, metrics }: Place): readonly TableEngine[] {
  const { limits, dataDir, tableEngines } = config;
  const { content, directories, inMemoryOnly } = stores;
  const { threads } = metrics;
  const place = { spillDirectory: join(directories.own, 'tables'), readableDirectories: [resolve(dataDir)], inMemoryOnly };
  const known: readonly (readonly [TableEngine['name'], () => TableEngine])[] = [
    ['memory', () => new PerspectiveMemory({ content, limits, log, counts: threads })],
    ['duckdb', () => new DuckdbTables({ ...place, limits, log, threads })],
  ];
  const own = known
    .filter(([name]) => tableEngines.includes(name))
    .map(([, start]) => () => [start()]);
  const starts = others === undefined ? own : [() => others(stores)];
  const engines = starts.flatMap((start) => startEngine(start, stores, log));
  const help = 'What engines of tables hold for sessions: sessions, views, results, and relations with results';
  for (const { caches } of engines) for (const [name, hits] of Object.entries(caches ?? {})) metrics.cache(name, hits);
  metrics.gauge('table_columns_kept', 'Columns of tables that are kept decoded, because views use them again and again', ['engine'], () =>
    engines.flatMap(({ name, keptColumns }) => {
      const value = keptColumns?.() ?? null;
      return value === null ? [] : [{ labels: { engine: name }, value }];
    }),
  );
  const memoryHelp = 'What engines of tables have of memory, and what of it tables and views use';
  metrics.gauge('table_engine_memory_bytes', memoryHelp, ['engine', 'kind'], () => engines.flatMap(memoryOf));
  metrics.gauge('table_engine_objects', help, ['engine', 'kind'], async () => (await Promise.all(engines.map(inventoryOf))).flat());
  return engines;
}

function memoryOf(engine: TableEngine): Reading[] {
  const memory = engine.memory?.();
  if (memory === undefined) return [];
  return Object.entries({ heap: memory.heapBytes, used: memory.usedBytes }).map(([kind, value]) => ({
    labels: { engine: engine.name, kind },
    value,
  }));
}

async function inventoryOf(engine: TableEngine): Promise<Reading[]> {
  const inventory = Object.entries((await engine.inventory?.()) ?? {}) as [string, number | null][];
  return inventory.flatMap(([kind, value]) => (value === null ? [] : [{ labels: { engine: engine.name, kind }, value }]));
}

/** An engine that cannot start is missed by its tables alone: everything else works without it. */
function startEngine(start: () => readonly TableEngine[], stores: Stores, log: Logger): readonly TableEngine[] {
  try {
    return start().map((engine) => holdingTableFiles(engine, stores.objects.lease));
  } catch (error) {
    log.error({ err: error }, 'an engine of tables cannot start; its tables are unavailable');
    return [];
  }
}
