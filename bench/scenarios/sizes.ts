import { createReadStream } from 'node:fs';
import type { Client } from '../../client/index.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf, summaryOf, timeRuns } from '../measurement.ts';
import { createWorkspace, type Workspace } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import { startBenchServer } from '../support/server.ts';
import { writeVersions } from '../support/versions.ts';

const AREA = 'sizes';
const READ_BYTES = 1024 * 1024;
const APPENDED_ROWS = 1_000;
const FORMATS = ['parquet', 'csv', 'ndjson', 'arrow', 'original'] as const;

/** Nothing is kept from one time to the next; digests of rows above all, which would be made while the largest versions are compared. */
const ANEW = {
  COVISTA_DIFF_RESULTS_MAX: '1',
  COVISTA_DIFF_KEY_CHECKS_MAX: '1',
  COVISTA_DIFF_DIGEST_BYTES_MAX: '0',
  COVISTA_EXPORT_CACHE_BYTES_MAX: '1',
} as const;

export const sizes: Scenario = {
  name: 'sizes',
  area: AREA,
  isCurves: true,
  about: 'how committing, appending, comparing and downloading take longer as versions have more rows',
  run: async (options) => {
    const workspace = createWorkspace();
    const server = await startBenchServer(ANEW);
    const client = await server.client('bench');
    try {
      const measurements: Measurement[] = [];
      for (const rows of sizeOf<readonly number[]>(options, [[1_000], [10_000, 50_000], [10_000, 100_000, 1_000_000]])) {
        measurements.push(...(await measure({ client, workspace, rows }, options)));
      }
      return measurements;
    } finally {
      client.close();
      await server.stop();
      workspace.remove();
    }
  },
};

interface Bench {
  readonly client: Client;
  readonly workspace: Workspace;
  readonly rows: number;
}

async function measure({ client, workspace, rows }: Bench, options: ScenarioOptions): Promise<Measurement[]> {
  options.say(`${rows.toLocaleString('en')} rows`);
  const runs = sizeOf(options, [1, 1, 3]);
  const paths = { from: workspace.path(`${rows}-from.parquet`), to: workspace.path(`${rows}-to.parquet`), more: workspace.path('more.parquet') };
  const duckdb = startDuckdb(1);
  await writeVersions(duckdb, paths, { rows, updated: rows / 200, inserted: rows / 400, deleted: rows / 400 });
  await writeVersions(
    duckdb,
    { from: paths.more, to: workspace.path('unused.parquet') },
    { rows: APPENDED_ROWS, updated: 0, inserted: 0, deleted: 0 },
    rows * 2,
  );
  await duckdb.stop();
  const body = (path: string) => createReadStream(path, { highWaterMark: READ_BYTES });
  const dataset = await client.dataset.create({ name: `Bench: ${rows} rows` });
  const { datasetId } = dataset;
  const commits = await timeRuns(runs, async (run) => {
    const made = await client.dataset.create({ name: `Bench: ${rows} rows, ${run}` });
    await client.version.commit({ datasetId: made.datasetId, branch: 'main' }, { body: body(paths.from) });
    await client.dataset.delete({ datasetId: made.datasetId });
  });
  for (const path of [paths.from, paths.to]) await client.version.commit({ datasetId, branch: 'main' }, { body: body(path) });
  const appends = await timeRuns(runs, async () => {
    await client.version.commit({ datasetId, branch: 'main', mode: 'append', message: 'more' }, { body: body(paths.more) });
  });
  let turn = 0;
  const diffs = await timeRuns(runs, async () => {
    // The server keeps one result, so the other direction is always new to it.
    const [from, to] = turn++ % 2 === 0 ? ['1', '2'] : ['2', '1'];
    await client.diff.rows({ datasetId, from, to, key: ['id'], limit: 100 });
  });
  const at = { of: 'rows', value: rows };
  const figure = (name: string, times: readonly number[]): Measurement => ({ area: AREA, name, ...summaryOf(times), unit: 'ms', at });
  const downloads: Measurement[] = [];
  for (const format of FORMATS) downloads.push(figure(`download as ${format}`, await timeRuns(runs, () => download(client, datasetId, format))));
  return [figure('commit', commits), figure(`append of ${APPENDED_ROWS} rows`, appends), figure('diff by key', diffs), ...downloads];
}

async function download(client: Client, datasetId: number, format: (typeof FORMATS)[number]): Promise<void> {
  const { bytes } = await client.version.fetch({ datasetId, versionId: 1, format });
  let received = 0;
  for await (const piece of bytes) received += piece.length;
  if (received === 0) throw new Error(`the download as ${format} is empty`);
}
