import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { hasBrowser, launchBrowser } from '../../test/support/browser.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { createWorkspace, FLIGHTS } from '../support/data.ts';
import { quoted, startDuckdb } from '../support/duckdb.ts';
import { commitOverRest } from '../support/rest.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const AREA = 'workbench';
const OWNER = 'bench';
const SAVED = 'Delays by airport';
const PAGE = join(import.meta.dirname, '../../dist/workbench');
const MB = 1_000_000;

export const workbench: Scenario = {
  name: 'workbench',
  about: 'opening a large version in the page until the pivot of a saved view is painted, in a real browser',
  run: async (options) => {
    const measurements = measureBytes();
    if (hasBrowser) return [...measurements, ...(await measurePainting(options))];
    options.say('there is no Chromium to paint in (apt-get install chromium); only the size of the page was measured');
    return measurements;
  },
};

/** All that the page can come to load, as it is sent; Perspective's WASM is what it is. */
function measureBytes(): Measurement[] {
  const files = readdirSync(PAGE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.br'));
  if (files.length === 0) throw new Error('the workbench is not built: npm run build:workbench');
  const bytes = files.filter((file) => !file.endsWith('.wasm.br')).reduce((sum, file) => sum + statSync(join(PAGE, file)).size, 0);
  const name = "the page with all of its parts, compressed, without Perspective's WASM";
  return [{ area: AREA, name, value: bytes / 1_024, unit: 'KiB', limit: (1.5 * MB) / 1_024, bound: 'at most' }];
}

async function measurePainting(options: ScenarioOptions): Promise<Measurement[]> {
  const rows = sizeOf(options, [10_000, 500_000, 3_000_000]);
  const runs = sizeOf(options, [1, 3, 7]);
  const server = await startBenchServer();
  const browser = await launchBrowser();
  try {
    const datasetId = await commitFlights(server, rows);
    options.say(`${rows} rows, ${runs} times`);
    const times = { cold: [] as number[], warm: [] as number[] };
    for (let run = 0; run < runs; run += 1) {
      const { cold, warm } = await openTwice({ server, browser, datasetId });
      times.cold.push(cold);
      times.warm.push(warm);
    }
    const name = `${rows} rows, until the pivot of a saved view is painted`;
    return [
      { area: AREA, name, ...summaryOf(times.warm), unit: 'ms', limit: 1_500, bound: 'at most' },
      { area: AREA, name: `${name}, with loading the page for the first time`, ...summaryOf(times.cold), unit: 'ms' },
    ];
  } finally {
    await browser.close();
    await server.stop();
  }
}

async function commitFlights(server: BenchServer, rows: number): Promise<number> {
  const workspace = createWorkspace();
  const duckdb = startDuckdb(1);
  const path = workspace.path('flights.parquet');
  await duckdb.run([`COPY (SELECT * FROM ${quoted(FLIGHTS)} LIMIT ${rows}) TO ${quoted(path)} (FORMAT parquet)`]);
  await duckdb.stop();
  const client = await server.client(OWNER);
  const { datasetId } = await client.dataset.create({ name: 'Flights' });
  await commitOverRest({ url: server.url, token: server.token(OWNER), datasetId, branch: 'main', path });
  const document = await client.document.open(`dataset/${datasetId}`);
  const config = { group_by: ['origin', 'destination'], columns: ['delay', 'distance'], aggregates: { delay: 'avg', distance: 'sum' } };
  document.savedViews().create({ name: SAVED, config });
  await document.whenDurable();
  client.close();
  workspace.remove();
  return datasetId;
}

interface Place {
  readonly server: BenchServer;
  readonly browser: Browser;
  readonly datasetId: number;
}

/** In a window of its own, which has nothing of the page; then again, in the way of somebody who comes back to it. */
async function openTwice({ server, browser, datasetId }: Place): Promise<{ cold: number; warm: number }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  await page.goto(`${server.url}/#token=${server.token(OWNER)}`);
  await page.locator('.shell').waitFor();
  const explore = `#/datasets/${datasetId}/explore`;
  const cold = await painted(page, () => page.goto(`${server.url}/${explore}`));
  await page.evaluate(() => {
    location.hash = '#/';
  });
  await page.locator('perspective-viewer').waitFor({ state: 'detached' });
  const warm = await painted(page, () =>
    page.evaluate((hash) => {
      location.hash = hash;
    }, explore),
  );
  await context.close();
  return { cold, warm };
}

/** Goes to a version, applies the saved view once its first rows are there, and tells when the total of its pivot was painted. */
async function painted(page: Page, go: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await go();
  await page.locator('perspective-viewer regular-table td').first().waitFor();
  const saved = page.getByRole('button', { name: SAVED, exact: true });
  if (!(await saved.isVisible())) await page.getByRole('button', { name: 'Views', exact: true }).click();
  await saved.click();
  await page.locator('perspective-viewer regular-table tbody th', { hasText: 'TOTAL' }).first().waitFor();
  // What is in the page now is painted with the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  return performance.now() - begin;
}
