import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { type NetworkProxy, startProxy } from '../support/proxy.ts';
import { csv } from '../support/samples.ts';
import { dropFile, explored, hasBrowser, PATIENCE_MS, picture, startWorkbench, type Workbench } from '../support/workbench.ts';

describe.skipIf(!hasBrowser)(
  'dialogs of the workbench while the server is away (needs Chromium: apt-get install chromium)',
  { timeout: PATIENCE_MS },
  () => {
    let workbench: Workbench;
    let proxy: NetworkProxy;
    let owner: Client;
    let datasetId: number;

    beforeAll(async () => {
      workbench = await startWorkbench();
      proxy = await startProxy(Number(new URL(workbench.server.url).port));
      owner = await workbench.server.client('alice');
      ({ datasetId } = await owner.dataset.create({ name: 'Orders', key: ['id'] }));
      await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,product', '1,Desk', '2,Chair') });
    }, PATIENCE_MS);

    afterEach(async () => {
      proxy.resume();
      await Promise.all(workbench.browser.contexts().map((context) => context.close()));
      expect(workbench.complaints).toEqual([]);
    });

    afterAll(async () => {
      await proxy.close();
      await workbench.stop();
    });

    async function visit(tab: string): Promise<Page> {
      const page = await workbench.blank();
      await page.goto(`${proxy.url}/#token=${await workbench.server.token('alice')}`);
      await page.locator('.shell').waitFor();
      await page.goto(`${proxy.url}/#/datasets/${datasetId}/${tab}`);
      return page;
    }

    /** What is done while the server is away, and then waits for its return. */
    async function away(page: Page, act: () => Promise<unknown>): Promise<void> {
      proxy.refuse();
      proxy.cut();
      await page.getByText('The server cannot be reached').waitFor();
      await act();
      await picture(page, 'dialog-away');
      proxy.resume();
      await page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
    }

    test('WB4 a grant that is asked for while the server is away is given once when it is back', async () => {
      const page = await visit('access');
      await page.getByRole('button', { name: 'Give access' }).click();
      const dialog = page.getByRole('dialog');
      await away(page, async () => {
        await dialog.getByRole('textbox', { name: 'Name' }).fill('bob');
        await dialog.getByLabel('They may').selectOption('write');
        await dialog.getByRole('button', { name: 'Give access' }).click();
      });
      await dialog.waitFor({ state: 'detached' });
      await page.locator('.grants').getByText('bob').waitFor();
      const { items } = await owner.grant.list({ datasetId });
      expect(items.filter(({ principal }) => principal === 'user:bob')).toMatchObject([{ permission: 'write' }]);
    });

    test('WB4 WB7 a view that is saved while the server is away is saved once, also for others', async () => {
      const page = await visit('explore');
      await explored(page);
      await page.getByRole('button', { name: 'Views', exact: true }).click();
      await page.getByRole('button', { name: 'Save this view' }).click();
      await away(page, async () => {
        await page.getByRole('textbox', { name: 'Name' }).fill('Of the outage');
        await page.getByRole('button', { name: 'Save view' }).click();
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await page.locator('.view-row', { hasText: 'Of the outage' }).waitFor();
      });
      await explored(page);
      await page.getByRole('button', { name: 'Of the outage', exact: true, pressed: true }).waitFor();
      const views = await owner.document.savedViews(datasetId);
      await expect.poll(() => views.list().map(({ name }) => name)).toEqual(['Of the outage']);
      views.close();
    });

    test('WB2 WB4 an upload that is begun while the server is away, or meets its absence, becomes one version', async () => {
      const page = await visit('history');
      await page.locator('.version').first().waitFor();
      await dropFile(page, 'more.csv', Buffer.from('id,product\n3,Lamp\n'));
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Message').fill('Written before');
      await away(page, async () => {
        await dialog.getByLabel('What it does').selectOption('append');
        await dialog.getByRole('button', { name: 'Upload' }).click();
      });
      await page.getByText('Detected as CSV').waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
      expect(await owner.version.get({ datasetId, versionId: 2 })).toMatchObject({ message: 'Written before', rows: 3 });
      await expect(owner.version.get({ datasetId, versionId: 3 })).rejects.toMatchObject({ code: 'not_found' });
      expect(await workbench.server.leftovers()).toEqual([]);
    });

    test('WB4 what is written in a dialog outlives a restart of the server, and is then sent', async () => {
      const page = await visit('history');
      await page.getByRole('button', { name: 'Actions for version 1', exact: true }).click();
      await page.getByRole('menuitem', { name: 'Tag…' }).click();
      await page.getByRole('dialog').getByLabel('Name').fill('kept');
      const offline = page.getByText('The server cannot be reached').waitFor();
      await workbench.server.restart();
      await offline;
      await page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
      expect(await page.getByRole('dialog').getByLabel('Name').inputValue()).toBe('kept');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.locator('.version', { hasText: 'kept' }).waitFor();
    });
  },
);
