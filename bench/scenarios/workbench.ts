import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
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
const ROOT = join(import.meta.dirname, '../..');
const PAGE = join(ROOT, 'dist/workbench');
const MB = 1_000_000;

export const workbench: Scenario = {
  name: 'workbench',
  area: AREA,
  about: 'opening the address of a saved view on a large version until its pivot is painted, in a real browser',
  run: async (options) => {
    if (!existsSync(PAGE)) await promisify(execFile)('npm', ['run', '-s', 'build:workbench'], { cwd: ROOT });
    const measurements = measureBytes();
    if (hasBrowser) return [...measurements, ...(await measurePainting(options))];
    // What it would have measured is not to vanish from the results.
    if (!options.smoke) throw new Error('there is no Chromium to paint in: apt-get install chromium');
    return measurements;
  },
};

/** All that the page can come to load, as it is sent; Perspective's WASM is what it is. */
function measureBytes(): Measurement[] {
  const files = readdirSync(PAGE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.br'));
  if (files.length === 0) throw new Error('the page is not whole: npm run build:workbench');
  const bytes = files.filter((file) => !file.endsWith('.wasm.br')).reduce((sum, file) => sum + statSync(join(PAGE, file)).size, 0);
  const name = "the page with all of its parts, compressed, without Perspective's WASM";
  return [{ area: AREA, name, value: bytes / 1_024, unit: 'KiB', limit: (1.5 * MB) / 1_024, bound: 'at most' }];
}

async function measurePainting(options: ScenarioOptions): Promise<Measurement[]> {
  const rows = sizeOf(options, [10_000, 200_000, 3_000_000]);
  const runs = sizeOf(options, [1, 1, 5]);
  const server = await startBenchServer();
  const browser = await launchBrowser();
  try {
    const address = await commitFlights(server, rows);
    options.say(`${rows} rows, ${runs} times`);
    const times: Record<keyof Opened, number[]> = { fresh: [], again: [], within: [] };
    for (let run = 0; run < runs; run += 1) {
      const opened = await openByAddress({ server, browser, address });
      for (const way of ['fresh', 'again', 'within'] as const) times[way].push(opened[way]);
    }
    const name = `${rows} rows, until the pivot of a saved view is painted`;
    return (['within', 'again', 'fresh'] as const).map(
      (way): Measurement => ({ area: AREA, name: `${name}, ${WAYS[way]}`, ...summaryOf(times[way]), unit: 'ms', limit: 1_500, bound: 'at most' }),
    );
  } finally {
    await browser.close();
    await server.stop();
  }
}

/** Answers the address of a saved view on the rows, behind the hash. */
async function commitFlights(server: BenchServer, rows: number): Promise<string> {
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
  const { id } = document.savedViews().create({ name: SAVED, config });
  await document.whenDurable();
  client.close();
  workspace.remove();
  return `#/datasets/${datasetId}/explore?ref=main&view=${encodeURIComponent(id)}`;
}

interface Place {
  readonly server: BenchServer;
  readonly browser: Browser;
  readonly address: string;
}

/** How the address is opened, each in milliseconds. */
interface Opened {
  readonly fresh: number;
  readonly again: number;
  readonly within: number;
}

const WAYS: Readonly<Record<keyof Opened, string>> = {
  within: 'from the list of datasets',
  again: 'by an address, in a browser that was here before',
  fresh: 'by an address, in a browser that has nothing of the page',
};

/** As somebody who follows a link for the first time; who reloads the page; and who comes from another page of the workbench. */
async function openByAddress({ server, browser, address }: Place): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  // Signing in is no part of it: the token is there, as it is in a window that was signed in before.
  await context.addInitScript((token) => sessionStorage.setItem('covista-token', token), server.token(OWNER));
  const page = await context.newPage();
  const fresh = await painted(page, () => page.goto(`${server.url}/${address}`));
  const again = await painted(page, () => page.reload());
  await page.evaluate(() => {
    location.hash = '#/';
  });
  await page.locator('perspective-viewer').waitFor({ state: 'detached' });
  await page.locator('table.list time').first().waitFor();
  const within = await painted(page, () =>
    page.evaluate((hash) => {
      location.hash = hash;
    }, address),
  );
  await context.close();
  return { fresh, again, within };
}

/** Goes to the address, and tells when the total of its pivot was painted. */
async function painted(page: Page, go: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await go();
  await page.locator('perspective-viewer regular-table tbody th', { hasText: 'TOTAL' }).first().waitFor();
  // What is in the page now is painted with the next frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  return performance.now() - begin;
}
