import type { Client } from '../../client/index.ts';
import { type Measurement, type Scenario, sizeOf, summaryOf, timeRuns } from '../measurement.ts';
import { createWorkspace, FLIGHTS } from '../support/data.ts';
import { quoted, startDuckdb } from '../support/duckdb.ts';
import { commitOverRest } from '../support/rest.ts';
import { startBenchServer } from '../support/server.ts';

const AREA = 'table open';
const OWNER = 'bench';
const WINDOW_ROWS = 100;

export const flightsOpen: Scenario = {
  name: 'flights-open',
  area: AREA,
  about: 'opening a large version as a table of the duckdb engine over the socket of the SDK, until its first rows are there',
  run: async (options) => {
    const rows = sizeOf(options, [10_000, 500_000, 3_000_000]);
    const workspace = createWorkspace();
    const duckdb = startDuckdb(1);
    const server = await startBenchServer();
    try {
      const path = workspace.path('flights.parquet');
      await duckdb.run([`COPY (SELECT * FROM ${quoted(FLIGHTS)} LIMIT ${rows}) TO ${quoted(path)} (FORMAT parquet)`]);
      const client = await server.client(OWNER);
      const { datasetId } = await client.dataset.create({ name: 'Flights' });
      await commitOverRest({ url: server.url, token: server.token(OWNER), datasetId, branch: 'main', path });
      const runs = sizeOf(options, [1, 5, 15]);
      options.say(`${rows} rows, ${runs} times`);
      // Another limit makes another table, so that each is opened for the first time; none of them leaves a row out.
      const times = await timeRuns(runs, (run) => openAndRead(client, datasetId, rows + 1 + run));
      client.close();
      return describe(rows, times);
    } finally {
      await server.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

async function openAndRead(client: Client, datasetId: number, rowLimit: number): Promise<void> {
  const { tableId, perspective } = await client.table.open({ datasetId, ref: 'main', engine: 'duckdb', rowLimit });
  const view = await (await perspective.open_table(tableId)).view();
  const columns = (await view.to_columns({ start_row: 0, end_row: WINDOW_ROWS })) as Record<string, unknown[]>;
  if (Object.values(columns).some(({ length }) => length !== WINDOW_ROWS)) throw new Error('the first rows of the flights are not there');
  await view.delete();
  await perspective.terminate();
}

function describe(rows: number, times: readonly number[]): Measurement[] {
  return [{ area: AREA, name: `duckdb, ${rows} rows, until the first window`, ...summaryOf(times), unit: 'ms', limit: 100, bound: 'at most' }];
}
