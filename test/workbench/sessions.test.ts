import type { Page } from 'playwright-core';
import { afterEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { dropFile, explored, hasBrowser, PATIENCE_MS, picture, setViewer, useWorkbench, type Workbench } from '../support/workbench.ts';

describe.skipIf(!hasBrowser)('sessions of the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;

  useWorkbench(async (started) => {
    workbench = started;
    owner = await workbench.server.client('alice');
  });

  afterEach(() => {
    expect(workbench.complaints).toEqual([]);
  });

  async function dataset(name: string): Promise<number> {
    const { datasetId } = await owner.dataset.create({ name, key: ['id'] });
    await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,product', '1,Desk', '2,Chair') });
    await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
    return datasetId;
  }

  async function explore(page: Page, datasetId: number): Promise<Page> {
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/explore`);
    await explored(page);
    return page;
  }

  /** Another tab of the browser in which somebody is signed in. */
  async function secondTab(first: Page, subject: string): Promise<Page> {
    const page = await first.context().newPage();
    await page.goto(`${workbench.server.url}/#token=${await workbench.server.token(subject)}`);
    await page.locator('.shell').waitFor();
    return page;
  }

  test('WB6 WB7 two tabs of one person are one person, and each undoes what was done in it', async () => {
    const datasetId = await dataset('Two tabs');
    const [left, bob] = await Promise.all([workbench.window('alice'), workbench.window('bob')]);
    const right = await secondTab(left, 'alice');
    for (const page of [left, right, bob]) await explore(page, datasetId);
    for (const [page, name] of [
      [left, 'Of the left'],
      [right, 'Of the right'],
    ] as const) {
      if ((await page.getByRole('button', { name: 'Save this view' }).count()) === 0)
        await page.getByRole('button', { name: 'Views', exact: true }).click();
      await page.getByRole('button', { name: 'Save this view' }).click();
      await page.getByRole('textbox', { name: 'Name' }).fill(name);
      await page.getByRole('button', { name: 'Save view' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    const views = (page: Page) => page.locator('.view-row .link-button');
    for (const page of [left, right]) await expect.poll(() => views(page).allTextContents()).toEqual(['Of the left', 'Of the right']);

    const alice = bob.getByRole('group', { name: 'Others who are here' }).getByRole('button', { name: /^alice/ });
    await setViewer(right, { plugin: 'Heatmap' });
    await bob.getByRole('button', { name: /^alice looks at main as Heatmap/ }).waitFor();
    await setViewer(left, { plugin: 'Treemap' });
    await bob.getByRole('button', { name: /^alice looks at main as Treemap/ }).waitFor();
    expect(await alice.count()).toBe(1);
    await left.getByRole('button', { name: /^bob/ }).waitFor();
    expect(await left.getByRole('group', { name: 'Others who are here' }).getByRole('button').count()).toBe(1);
    await picture(bob, 'two-tabs');

    await left.getByRole('button', { name: 'Undo my last change' }).click();
    for (const page of [left, right]) await expect.poll(() => views(page).allTextContents()).toEqual(['Of the right']);
    await expect.poll(() => left.getByRole('button', { name: 'Undo my last change' }).isDisabled()).toBe(true);

    // Who signs out of one tab stays signed in in the other, with what is shown there.
    await left.getByRole('button', { name: 'Signed in as alice' }).click();
    await left.getByRole('menuitem', { name: 'Sign out' }).click();
    await left.getByLabel('Token').waitFor();
    await bob.getByRole('button', { name: /^alice looks at main as Heatmap/ }).waitFor();
    await right.getByRole('button', { name: 'Undo my last change' }).click();
    await expect.poll(() => views(right).count()).toBe(0);
    await right.reload();
    await explored(right);
    await left.reload();
    await left.getByLabel('Token').waitFor();
  });

  test('WB1 WB11 who is revoked while a page is open is told why, and nothing of what they saw stays', async () => {
    const datasetId = await dataset('Revoked');
    const admin = await workbench.server.client('root', { admin: true });
    const page = await explore(await workbench.window('bob'), datasetId);
    await page.getByRole('link', { name: 'History' }).click();
    await page.locator('.version-title button').first().click();
    await page.getByRole('region', { name: 'Columns' }).getByText('product').waitFor();
    await admin.session.revoke({ subject: 'bob', reason: 'The laptop was stolen' });
    await page.getByLabel('Token').waitFor();
    await page.getByText('You were signed out: The token was revoked: The laptop was stolen').waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await picture(page, 'signed-out');
    expect(await page.locator('body').textContent()).not.toMatch(/product|Revoked/);
    expect(await page.title()).toBe('Sign in · Covista');
    const kept = await page.evaluate(async () => [Object.keys(sessionStorage), Object.keys(localStorage), await indexedDB.databases()]);
    expect(kept).toEqual([[], [], []]);
    await page.reload();
    await page.getByLabel('Token').waitFor();
  });

  /** Begins to upload a file whose bytes do not come to an end, until the server has some of them; answers what it had before. */
  async function uploadForEver(page: Page): Promise<string[]> {
    const before = await workbench.server.leftovers();
    await page.getByText('No datasets yet').waitFor();
    await page.evaluate(() => {
      File.prototype.stream = () =>
        new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(`id\n${'1\n'.repeat(5_000_000)}`)) });
    });
    await dropFile(page, 'orders.csv', Buffer.from('id\n1\n2\n'));
    await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
    await expect.poll(() => workbench.server.leftovers()).toHaveLength(before.length + 1);
    return before;
  }

  test('WB2 a page that is left during an upload asks before, and takes back what was begun', async () => {
    const page = await workbench.window('erin');
    const mine = await workbench.server.client('erin');
    const before = await uploadForEver(page);
    const asked: string[] = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.type());
      void dialog.accept();
    });
    await page.reload();
    await page.getByText('The upload of orders.csv ended when you left the page').waitFor();
    expect(asked).toEqual(['beforeunload']);
    expect(await workbench.server.leftovers()).toEqual(before);
    expect((await mine.dataset.list({})).items).toEqual([]);
    await page.getByText('No datasets yet').waitFor();
    await picture(page, 'upload-left');
    await page.reload();
    await page.getByText('No datasets yet').waitFor();
    expect(asked).toEqual(['beforeunload']);
    expect(await page.locator('.toast').count()).toBe(0);
  });

  test('WB2 a page that is closed while its file becomes a dataset leaves the whole of it, or nothing', async () => {
    const mine = await workbench.server.client('grace');
    const before = await workbench.server.leftovers();
    for (const isHeard of [false, true]) {
      const page = await workbench.window('grace');
      const closing = Promise.withResolvers<void>();
      await page.routeWebSocket(/\/rpc/, (socket) => {
        const server = socket.connectToServer();
        socket.onMessage((message) => {
          const commits = Buffer.from(message as Buffer).includes('upload.c');
          if (isHeard || !commits) server.send(message);
          if (commits) closing.resolve(page.close());
        });
      });
      await page.reload();
      await dropFile(page, 'orders.csv', Buffer.from('id\n1\n2\n'));
      await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
      await closing.promise;
      // The upload can be taken back when the server is done with it, one way or the other; what it makes of it goes by itself.
      const uploads = (await workbench.server.leftovers()).filter((name) => !before.includes(name) && !name.includes('/staging/'));
      for (const uploadId of uploads) await mine.upload.abort({ uploadId }).catch(({ code }) => expect(code).toBe('not_found'));
      for (const { datasetId } of (await mine.dataset.list({})).items)
        expect((await mine.version.history({ datasetId })).items).toMatchObject([{ rows: 2 }]);
    }
  });

  test('WB2 a page that is closed during an upload leaves no dataset', async () => {
    const page = await workbench.window('frank');
    const mine = await workbench.server.client('frank');
    await uploadForEver(page);
    expect((await mine.dataset.list({})).items).toEqual([]);
    await page.close();
    expect((await mine.dataset.list({})).items).toEqual([]);
    const again = await workbench.window('frank');
    await dropFile(again, 'orders.csv', Buffer.from('id\n1\n2\n'));
    await again.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
    await again.getByRole('dialog').getByText('Version 1 on main: 2 rows in 1 column.').waitFor();
    expect((await mine.dataset.list({})).items).toHaveLength(1);
  });
});
