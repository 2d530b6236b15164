import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { hasBrowser, launchBrowser } from '../support/browser.ts';
import { until } from '../support/documents.ts';
import { clientScript, type PageScope } from '../support/page-client.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe.skipIf(!hasBrowser)('documents kept in a browser (needs Chromium: apt-get install chromium)', () => {
  let server: TestServer;
  let browser: Browser;
  let script: string;
  let alice: Client;

  beforeAll(async () => {
    server = await startTestServer();
    alice = await server.client('alice');
    // A page that the test makes up has no address, and would not be let near a local one.
    browser = await launchBrowser('--disable-features=LocalNetworkAccessChecks');
    script = await clientScript();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A page of the server's origin, which needs no server to load. */
  async function newPage(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.route('**/kept', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>kept</title>' }));
    await page.goto(`${server.url}/kept`);
    await page.evaluate(script);
    return page;
  }

  interface Opening {
    readonly name: string;
    readonly subject: string;
    readonly bytesMax?: number;
    /** A server that is not there: nothing can be reached. */
    readonly isOffline?: boolean;
  }

  async function open(page: Page, { name, subject, bytesMax, isOffline = false }: Opening): Promise<void> {
    const asked = { name, subject, bytesMax, url: isOffline ? 'http://127.0.0.1:9' : server.url, token: await server.token(subject) };
    await page.evaluate(async ({ name, subject, bytesMax, url, token }) => {
      const scope = globalThis as unknown as PageScope;
      scope.keeper = await scope.covista.keepDocuments({ subject, ...(bytesMax === undefined ? {} : { bytesMax }) });
      scope.client = scope.covista.connect({ url, token });
      scope.live = await scope.client.document.open(name, { keeper: scope.keeper });
      scope.errors = [];
      scope.live.onError(({ code }) => scope.errors.push(code));
    }, asked);
  }

  const names = (page: Page): Promise<string[]> =>
    page.evaluate(() =>
      (globalThis as unknown as PageScope).live
        .savedViews()
        .list()
        .map(({ name }) => name),
    );

  /** Creates a view and resolves when it is kept. */
  const save = (page: Page, name: string): Promise<void> =>
    page.evaluate(async (saved) => {
      const { live: document } = globalThis as unknown as PageScope;
      document.savedViews().create({ name: saved, config: {} });
      await document.whenKept();
    }, name);

  const databases = (page: Page): Promise<string[]> => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name ?? ''));

  async function newDataset(): Promise<{ readonly datasetId: number; readonly name: string }> {
    const { datasetId } = await alice.dataset.create({ name: 'Kept' });
    await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
    return { datasetId, name: `dataset/${datasetId}` };
  }

  test('LIVE15 what is edited offline over several starts is there after them, and reaches the server once', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    const here = await alice.document.open(name);
    await here.whenSynced();
    here.savedViews().create({ name: 'of alice', config: {} });
    await here.whenDurable();
    const first = await newPage(context);
    await open(first, { name, subject: 'bob' });
    await first.evaluate(async () => (globalThis as unknown as PageScope).live.whenSynced());
    await save(first, 'online');
    await first.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    await first.close();
    for (const saved of ['offline 1', 'offline 2']) {
      const page = await newPage(context);
      await open(page, { name, subject: 'bob', isOffline: true });
      expect(await names(page)).toContain('of alice');
      await save(page, saved);
      await page.close();
    }
    const last = await newPage(context);
    await open(last, { name, subject: 'bob' });
    await last.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    const expected = ['of alice', 'offline 1', 'offline 2', 'online'];
    await until(here, () => here.savedViews().list().length === expected.length);
    expect(
      here
        .savedViews()
        .list()
        .map((view) => view.name),
    ).toEqual(expected);
    expect(await names(last)).toEqual(expected);
    here.close();
    await context.close();
  });

  test('LIVE15 two pages of one person keep one copy', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    const online = await newPage(context);
    await open(online, { name, subject: 'bob' });
    await save(online, 'online');
    await online.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    await online.close();
    const pages = await Promise.all(['one', 'two'].map(async () => newPage(context)));
    for (const page of pages) await open(page, { name, subject: 'bob', isOffline: true });
    await Promise.all(pages.map((page, index) => save(page, `offline ${index}`)));
    for (const page of pages) await page.close();
    const later = await newPage(context);
    await open(later, { name, subject: 'bob' });
    await later.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    const there = await alice.document.open(name);
    await there.whenSynced();
    expect(
      there
        .savedViews()
        .list()
        .map((view) => view.name),
    ).toEqual(['offline 0', 'offline 1', 'online']);
    expect(await names(later)).toEqual(['offline 0', 'offline 1', 'online']);
    there.close();
    await context.close();
  });

  test('LIVE15 hundreds of offline edits are joined, to no more than a message takes, and reach the server after a start', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    await open(await newPage(context), { name, subject: 'bob' });
    const offline = await newPage(context);
    await open(offline, { name, subject: 'bob', isOffline: true });
    const counts = await offline.evaluate(async () => {
      const { live: document, keeper } = globalThis as unknown as PageScope;
      for (let count = 0; count < 500; count += 1) {
        document.annotations.add('x'.repeat(3_000));
        await document.whenKept();
      }
      return (await keeper.load(document.name))?.updates.length ?? 0;
    });
    expect(counts).toBeGreaterThan(0);
    expect(counts).toBeLessThanOrEqual(201);
    await offline.close();
    const again = await newPage(context);
    await open(again, { name, subject: 'bob' });
    await again.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    const there = await alice.document.open(name);
    await there.whenSynced();
    expect(there.annotations.list().length).toBe(500);
    there.close();
    await context.close();
  });

  test('LIVE16 the least recently used go first, and what has no room is told', async () => {
    const [one, two] = [await newDataset(), await newDataset()];
    const context = await browser.newContext();
    const page = await newPage(context);
    await open(page, { name: one.name, subject: 'bob', bytesMax: 20_000 });
    const fill = (chars: number): Promise<void> =>
      page.evaluate(async (length) => {
        const { live: document } = globalThis as unknown as PageScope;
        document.savedViews().create({ name: 'large', config: { note: 'x'.repeat(length) } });
        await document.whenDurable();
        await document.whenKept().catch(() => undefined);
      }, chars);
    const kept = (): Promise<boolean[]> =>
      page.evaluate(
        async (all) => {
          const { keeper } = globalThis as unknown as PageScope;
          return Promise.all(all.map(async (name) => (await keeper.load(name)) !== undefined));
        },
        [one.name, two.name],
      );
    await fill(12_000);
    await page.evaluate(() => (globalThis as unknown as PageScope).client.close());
    await open(page, { name: two.name, subject: 'bob', bytesMax: 20_000 });
    expect(await kept()).toEqual([true, true]);
    await fill(12_000);
    expect(await kept()).toEqual([false, true]);
    await fill(12_000);
    await expect.poll(() => page.evaluate(() => (globalThis as unknown as PageScope).errors)).toEqual(['storage_full']);
    await context.close();
  });

  test('LIVE16 edits of one page stay marked as such when another page has none that the server lacks, until they are taken up', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    const page = await newPage(context);
    await open(page, { name, subject: 'bob' });
    const marks = await page.evaluate(async () => {
      const { covista, live: document, keeper: here } = globalThis as unknown as PageScope;
      const [away, later] = [await covista.keepDocuments({ subject: 'bob' }), await covista.keepDocuments({ subject: 'bob' })];
      const isUnsettled = async (keeper: PageScope['keeper']): Promise<boolean | undefined> => (await keeper.load(document.name))?.unsettled;
      await document.whenKept();
      await away.append(document.name, new Uint8Array([0, 0]), true);
      document.savedViews().create({ name: 'online', config: {} });
      await document.whenDurable();
      await document.whenKept();
      return [await isUnsettled(later), await later.settle(document.name), await isUnsettled(here)];
    });
    expect(marks).toEqual([true, undefined, false]);
    await context.close();
  });

  test('LIVE16 a quota that is used up is told as `storage_full`, and a page without IndexedDB that nothing can be kept', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    const page = await newPage(context);
    await open(page, { name, subject: 'bob' });
    const codes = await page.evaluate(async () => {
      const { covista, live: document } = globalThis as unknown as PageScope;
      const codeOf = (fault: { readonly code?: string }): string | undefined => fault.code;
      await document.whenKept();
      IDBObjectStore.prototype.add = () => {
        throw new DOMException('no room', 'QuotaExceededError');
      };
      document.savedViews().create({ name: 'one too many', config: {} });
      await document.whenDurable();
      const told = [await document.whenKept().then(() => 'kept', codeOf)];
      IDBFactory.prototype.open = () => {
        throw new DOMException('no', 'SecurityError');
      };
      told.push(await covista.keepDocuments({ subject: 'bob' }).then(() => 'kept', codeOf));
      Object.defineProperty(globalThis, 'indexedDB', { value: undefined });
      return [...told, await covista.keepDocuments({ subject: 'bob' }).then(() => 'kept', codeOf)];
    });
    expect(codes).toEqual(['storage_full', 'unavailable', 'unavailable']);
    await context.close();
  });

  test('LIVE16 data of the site that the browser clears are told of once as `unavailable`, and the document goes on', async () => {
    const { name } = await newDataset();
    const context = await browser.newContext();
    const page = await newPage(context);
    await open(page, { name, subject: 'bob' });
    await save(page, 'kept');
    const devTools = await context.newCDPSession(page);
    await devTools.send('Storage.clearDataForOrigin', { origin: server.url, storageTypes: 'indexeddb' });
    for (const saved of ['lost', 'lost too']) await expect(save(page, saved)).rejects.toThrow(/kept/);
    await page.evaluate(async () => (globalThis as unknown as PageScope).live.whenDurable());
    expect(await page.evaluate(() => (globalThis as unknown as PageScope).errors)).toEqual(['unavailable']);
    await context.close();
  });

  test('LIVE17 copies are erased with the grant, with the token and by signing out, also in other pages', async () => {
    const { datasetId, name } = await newDataset();
    const context = await browser.newContext();
    const page = await newPage(context);
    await open(page, { name, subject: 'bob' });
    await save(page, 'mine');
    const { items } = await alice.grant.list({ datasetId });
    const grant = items.find(({ principal }) => principal === 'user:bob');
    await alice.grant.revoke({ datasetId, grantId: grant?.grantId ?? 0 });
    await expect.poll(() => page.evaluate(() => (globalThis as unknown as PageScope).live.state.kind)).toBe('closed');
    const isKept = (): Promise<boolean> =>
      page.evaluate(async (asked) => (await (globalThis as unknown as PageScope).keeper.load(asked)) !== undefined, name);
    await expect.poll(isKept).toBe(false);

    const other = await newPage(context);
    await open(other, { name: 'user/bob', subject: 'bob' });
    expect(await databases(page)).toHaveLength(1);
    await page.evaluate(() => (globalThis as unknown as PageScope).keeper.erase());
    expect(await databases(page)).toEqual([]);
    await other.evaluate(async () => {
      const { live: document } = globalThis as unknown as PageScope;
      document.preferences.set('theme', 'dark');
      await document.whenDurable();
    });
    expect(await databases(page)).toEqual([]);

    const third = await newPage(context);
    await open(third, { name: 'user/bob', subject: 'bob' });
    expect(await databases(third)).toHaveLength(1);
    const root = await server.client('root', { admin: true });
    await root.session.revoke({ subject: 'bob' });
    await expect.poll(() => databases(third)).toEqual([]);
    await context.close();
  });
});
