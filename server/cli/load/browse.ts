import { type Person, scenario } from './scenario.ts';

const PAGE_ROWS = 100;

/** People who look at versions without opening tables: what costs the server least. */
export const browse = scenario<Person>({
  about: 'Look at versions: previews, refs, history, differences, statistics',
  sit: async (person) => person,
  actions: [
    {
      name: 'version.preview',
      weight: 50,
      run: ({ client, world, random }) => {
        const startRow = random.below(Math.max(1, world.rows - PAGE_ROWS));
        return client.version.preview({ datasetId: world.datasetId, versionId: world.versionId, startRow, endRow: startRow + PAGE_ROWS });
      },
    },
    { name: 'ref.resolve', weight: 30, run: ({ client, world }) => client.ref.resolve({ datasetId: world.datasetId, ref: 'main' }) },
    { name: 'version.history', weight: 10, run: ({ client, world }) => client.version.history({ datasetId: world.datasetId, limit: 20 }) },
    { name: 'dataset.list', weight: 5, run: ({ client }) => client.dataset.list({ limit: 20 }) },
    {
      name: 'version.statistics',
      weight: 1,
      run: ({ client, world }) => client.version.statistics({ datasetId: world.datasetId, versionId: world.versionId }),
    },
  ],
  leave: async () => undefined,
});
