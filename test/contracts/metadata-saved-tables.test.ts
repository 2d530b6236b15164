import { expect, test } from 'vitest';
import type { TableId } from '../../protocol/ids.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { Maintenance } from '../../server/services/maintenance/maintenance.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import type { SavedTable } from '../../server/storage/stores.ts';
import { createDataset, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const limits = { ...resolveLimits(), savedTablesPeriodMs: 50, preloadTablesMax: 4 };

/** What a server does with tables, as far as its list is concerned: `open` are those that it has. */
function serverWith(open: Map<TableId, SavedTable>): Maintenance {
  return new Maintenance({
    store: metadata.store.savedTables,
    tables: {
      saved: () => [...open.values()],
      preload: async (table) => open.set(table.tableId, table).size > 0,
      unloadAll: () => open.clear(),
    },
    schedules: { start: async () => undefined, stop: async () => undefined },
    warm: async () => undefined,
    limits,
    clock: systemClock,
    log: createLog('error', false),
  });
}

test('OPS11 what any of several servers has open is saved, until it is closed on all of them', async () => {
  const { datasetId } = await createDataset(metadata.store);
  const usedAt = (second: number): string => new Date(Date.UTC(2026, 10, 28, 12, 0, second)).toISOString();
  const tableOf = (name: string, second: number): SavedTable => ({
    tableId: name as TableId,
    datasetId,
    versionId: version(1),
    options: { columns: null, rowLimit: null, engine: 'duckdb' },
    scope: { rowFilter: null, columns: null } as unknown as SavedTable['scope'],
    usedAt: usedAt(second),
  });
  const mapOf = (...tables: SavedTable[]): Map<TableId, SavedTable> => new Map(tables.map((table) => [table.tableId, table]));
  const [left, right] = [mapOf(tableOf('a', 1), tableOf('both', 2)), mapOf(tableOf('both', 2), tableOf('b', 3))];
  const servers = [serverWith(left), serverWith(right)];
  const saved = async (): Promise<string[]> => (await metadata.store.savedTables.list(100)).map(({ tableId }) => tableId).sort();
  await expect.poll(saved, { timeout: 30_000 }).toEqual(['a', 'b', 'both']);
  left.clear();
  left.set('c' as TableId, tableOf('c', 4));
  await expect.poll(saved, { timeout: 30_000 }).toEqual(['b', 'both', 'c']);
  // One that starts has what all had, and the list stays as it is.
  const third = new Map<TableId, SavedTable>();
  servers.push(serverWith(third));
  servers[2]?.preload();
  await expect.poll(() => [...third.keys()].sort(), { timeout: 30_000 }).toEqual(['b', 'both', 'c']);
  // Of more than are loaded again those that were used last are kept.
  third.clear();
  for (const second of [5, 6, 7, 8]) third.set(`d${second}` as TableId, tableOf(`d${second}`, second));
  right.clear();
  left.clear();
  await expect.poll(saved, { timeout: 30_000 }).toEqual(['d5', 'd6', 'd7', 'd8']);
  for (const server of servers) await server.stop();
  expect(await saved()).toEqual(['d5', 'd6', 'd7', 'd8']);
});
