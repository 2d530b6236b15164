import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { launchBrowser } from './browser.ts';
import { startTestServer, type TestServer } from './server.ts';
import { builtWorkbench } from './workbench-build.ts';

export { hasBrowser } from './browser.ts';

/** Where pictures of the screens are written, to be looked at. */
export const PICTURES = join(tmpdir(), 'covista-workbench-pictures');

/** Building the page takes long where a machine has much else to do, and so does every step in a browser. */
export const PATIENCE_MS = 240_000;
const STEP_TIMEOUT_MS = 110_000;

/** A lost connection, which the browser and the viewer report, is no fault of the page, nor is a question of the viewer about a view that it has just replaced. */
const EXPECTED = /WebSocket|ERR_CONNECTION|Transport error|no such view in this session/;

export interface WindowOptions {
  readonly theme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
}

export interface Workbench {
  readonly server: TestServer;
  readonly browser: Browser;
  /** A window of its own for a person, signed in by a link. */
  window(subject: string, options?: WindowOptions): Promise<Page>;
  /** A window without anybody. */
  blank(options?: WindowOptions): Promise<Page>;
  /** What the pages complained of in their consoles. */
  readonly complaints: readonly string[];
  stop(): Promise<void>;
}

/** The page as it is now, built, served by a whole server, in a real browser. */
export async function startWorkbench(settings: readonly string[] = []): Promise<Workbench> {
  const directory = await builtWorkbench();
  await mkdir(PICTURES, { recursive: true });
  const server = await startTestServer(['--workbench-dir', directory, ...settings]);
  const browser = await launchBrowser();
  const complaints: string[] = [];
  const blank = async ({ theme = 'light', width = 1280, height = 720 }: WindowOptions = {}): Promise<Page> => {
    const context: BrowserContext = await browser.newContext({ viewport: { width, height }, colorScheme: theme, acceptDownloads: true });
    context.setDefaultTimeout(STEP_TIMEOUT_MS);
    const page = await context.newPage();
    const complain = (text: string): void => {
      if (!EXPECTED.test(text)) complaints.push(text);
    };
    page.on('pageerror', (error) => complain(String(error.stack ?? error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complain(message.text());
    });
    return page;
  };
  return {
    server,
    browser,
    blank,
    complaints,
    window: async (subject, options) => {
      const page = await blank(options);
      await page.goto(`${server.url}/#token=${await server.token(subject)}`);
      await page.locator('.shell').waitFor();
      return page;
    },
    stop: async () => {
      await browser.close();
      await server.stop();
    },
  };
}

/** A workbench for the tests around the call, told before the first of them; what windows a test opened are closed after it. */
export function useWorkbench(told: (workbench: Workbench) => void | Promise<void>, settings: readonly string[] = []): void {
  let workbench: Workbench | undefined;
  beforeAll(async () => {
    workbench = await startWorkbench(settings);
    await told(workbench);
  }, PATIENCE_MS);
  afterEach(async () => {
    await Promise.all(workbench?.browser.contexts().map((context) => context.close()) ?? []);
  });
  afterAll(async () => {
    await workbench?.stop();
  });
}

/** Waits until the viewer of a page shows its table, and answers how many rows it has. */
export async function explored(page: Page): Promise<string> {
  await page.locator('.explore-facts').waitFor();
  await page.locator('perspective-viewer regular-table td').first().waitFor();
  return (await page.locator('.explore-facts').textContent()) ?? '';
}

/** What the viewer of a page is set to. */
export function viewerConfig(page: Page): Promise<Record<string, unknown>> {
  return page.evaluate(() => (document.querySelector('perspective-viewer') as unknown as { save(): Promise<Record<string, unknown>> }).save());
}

/** Sets the viewer of a page, as somebody does with its panel. */
export async function setViewer(page: Page, config: Record<string, unknown>): Promise<void> {
  await page.evaluate(
    (next) => (document.querySelector('perspective-viewer') as unknown as { restore(config: unknown): Promise<void> }).restore(next),
    config,
  );
}

export const picture = (page: Page, name: string): Promise<Buffer> => page.screenshot({ path: join(PICTURES, `${name}.png`) });

/** Lets go of a file above the page, as a browser does. */
export async function dropFile(page: Page, name: string, content: Buffer): Promise<void> {
  // Files can be dropped once there is more than the frame of the page.
  await page.locator('h1').first().waitFor({ state: 'attached' });
  const transfer = await page.evaluateHandle(
    ([fileName, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], fileName));
      return data;
    },
    [name, content.toString('base64')] as const,
  );
  for (const type of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent('body', type, { dataTransfer: transfer });
}
