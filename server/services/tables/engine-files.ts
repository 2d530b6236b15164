import type { ObjectStore } from '../../storage/stores.ts';
import type { EngineTable, TableEngine } from './engine.ts';

/**
 * An engine that finds the files of its tables where they are read: while it loads one, and of an engine that goes on reading
 * them, as long as the table is there.
 */
export function holdingTableFiles(engine: TableEngine, lease: ObjectStore['lease']): TableEngine {
  return {
    name: engine.name,
    dialect: engine.dialect,
    ...(engine.inventory && { inventory: engine.inventory.bind(engine) }),
    ...(engine.memory && { memory: engine.memory.bind(engine) }),
    ...(engine.caches && { caches: engine.caches }),
    ...(engine.keptColumns && { keptColumns: engine.keptColumns.bind(engine) }),
    close: () => engine.close(),
    load: async (key, source, control) => {
      const release = await lease(source.source.content.files.map(({ path }) => path));
      try {
        const table = await engine.load(key, source, control);
        if (engine.name === 'duckdb') return releasing(table, release);
        release();
        return table;
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

function releasing(table: EngineTable, release: () => void): EngineTable {
  table.onLost(release);
  return {
    rows: table.rows,
    schema: table.schema,
    features: table.features,
    hasDecimals: table.hasDecimals === true,
    get bytes() {
      return table.bytes;
    },
    connect: (peer) => table.connect(peer),
    onLost: (listener) => table.onLost(listener),
    close: () => {
      table.close();
      release();
    },
  };
}
