import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { dropFile, hasBrowser, PATIENCE_MS, useWorkbench, type WindowOptions, type Workbench } from '../support/workbench.ts';

const file = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.skipIf(!hasBrowser)('versions in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;

  useWorkbench(async (started) => {
    workbench = started;
    owner = await workbench.server.client('alice');
  });

  async function stock(): Promise<number> {
    const { datasetId } = await owner.dataset.create({ name: 'Stock', key: ['id'] });
    await owner.version.commit(
      { datasetId, branch: 'main', message: 'Count in May' },
      { body: file('id,item,amount\n1,Desk,4\n2,Lamp,7\n3,Rug,1\n') },
    );
    await owner.version.commit(
      { datasetId, branch: 'main', message: 'Count in June' },
      { body: file('id,item,amount,shelf\n1,Desk,3,A\n2,Lamp,7,B\n4,Sofa,2,C\n') },
    );
    return datasetId;
  }

  async function open(subject: string, path: string, options?: WindowOptions): Promise<Page> {
    const page = await workbench.window(subject, options);
    await page.goto(`${workbench.server.url}/#/datasets/${path}`);
    return page;
  }

  const choose = async (page: Page, menu: string, entry: string): Promise<void> => {
    // A list that is drawn anew, as when something of the dataset changed, takes an open menu with it; people open it again.
    const isChosen = async (): Promise<boolean> => {
      await page.getByRole('button', { name: menu, exact: true }).click();
      const chosen = page.getByRole('menuitem', { name: entry, exact: true }).click({ timeout: 5_000 });
      return chosen.then(() => true).catch(() => false);
    };
    await expect.poll(isChosen, { timeout: 100_000 }).toBe(true);
  };

  test('WB14 the history shows every version with its names; branches and tags are made, protected and restored from it', async () => {
    const datasetId = await stock();
    const page = await open('alice', `${datasetId}/history`);
    await page.getByText('Count in June').waitFor();
    await choose(page, 'Actions for version 1', 'Tag…');
    await page.getByRole('textbox', { name: 'Name' }).fill('may');
    await page.getByRole('button', { name: 'Create tag' }).click();
    await page.locator('.version', { hasText: 'Count in May' }).getByText('may', { exact: true }).waitFor();

    await choose(page, 'Actions for version 1', 'Branch from here…');
    await page.getByRole('textbox', { name: 'Name' }).fill('recount');
    await page.getByRole('button', { name: 'Create branch' }).click();
    await page.locator('.pointer-list').getByText('recount').waitFor();

    await choose(page, 'Actions for branch main', 'Protect');
    await page.locator('.pointer-list').getByText('(protected)').waitFor({ state: 'attached' });
    expect(await owner.branch.get({ datasetId, branch: 'main' })).toMatchObject({ protected: true });

    await choose(page, 'Actions for version 1', 'Restore…');
    await page.getByRole('button', { name: 'Restore', exact: true }).click();
    await expect.poll(async () => (await owner.branch.get({ datasetId, branch: 'main' })).versionId).toBe(3);
    await page.getByText('Restore version 1').waitFor();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB14 what others commit appears by itself', async () => {
    const datasetId = await stock();
    const page = await open('alice', `${datasetId}/history`);
    await page.getByText('Count in June').waitFor();
    await owner.version.commit({ datasetId, branch: 'main', message: 'Count in July' }, { body: file('id,item,amount\n1,Desk,3\n') });
    await page.getByText('Count in July').waitFor();
  });

  test('WB14 a version is downloaded with its rows', async () => {
    const datasetId = await stock();
    const page = await open('alice', `${datasetId}/history`);
    await choose(page, 'Actions for version 1', 'Download…');
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^Original/ }).click()]);
    expect(await readFile(await download.path(), 'utf8')).toBe('id,item,amount\n1,Desk,4\n2,Lamp,7\n3,Rug,1\n');
  });

  test('WB15 two versions are compared by columns and rows, with the cells that changed', async () => {
    const datasetId = await stock();
    const page = await open('alice', `${datasetId}/compare?from=1&to=main`);
    const rows = page.getByRole('region', { name: 'Changed rows' });
    await rows.waitFor();
    expect(await page.locator('.schema-lines').textContent()).toContain('shelf');
    expect(await page.locator('.tally').textContent()).toContain('+1 added−1 removed~1 changed');
    expect(await rows.locator('tr.changed', { hasText: 'Desk' }).locator('.cell-changed').allTextContents()).toEqual(['4 3']);
    await page.getByLabel('Compare rows').selectOption('whole');
    await page.getByText('Rows are compared as a whole').waitFor();
    await page.getByRole('button', { name: 'Swap the two' }).click();
    await page.getByRole('button', { name: 'From: main' }).waitFor();
  });

  test('WB15 a dataset of one version has nothing to compare until there is a second', async () => {
    const { datasetId } = await owner.dataset.create({ name: 'Young', key: ['id'] });
    await owner.version.commit({ datasetId, branch: 'main' }, { body: file('id,item\n1,Desk\n') });
    const page = await open('alice', `${datasetId}/compare`);
    await page.getByText('Nothing to compare yet').waitFor();
    await owner.version.commit({ datasetId, branch: 'main' }, { body: file('id,item\n1,Sofa\n') });
    await page.getByRole('region', { name: 'Changed rows' }).waitFor();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB16 an admin gives access to some rows and columns, sees what somebody would see, and takes it back', async () => {
    const datasetId = await stock();
    const page = await open('alice', `${datasetId}/access`, { height: 500 });
    await page.getByRole('button', { name: 'Give access' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: 'Name' }).fill('bob');
    await dialog.getByLabel('Rows where').fill('amout > {{least}}');
    await dialog.getByRole('button', { name: 'Give access' }).click();
    const fault = dialog.getByRole('alert').filter({ hasText: 'amout' });
    await fault.waitFor();
    // The form is longer than the window, and nothing lies over what is wrong with it.
    const isInSight = fault.evaluate((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return document.elementFromPoint(x + width / 2, y + height / 2) === element;
    });
    expect(await isInSight).toBe(true);
    await dialog.getByLabel('Rows where').fill('amount > {{least}}');
    await dialog.getByLabel('shelf').check();
    await dialog.getByRole('button', { name: 'Give access' }).click();
    await page.getByText('amount > {{least}}').waitFor();

    await page.getByLabel('Person').fill('bob');
    await page.getByLabel('Their claims').fill('least=2');
    await page.getByRole('button', { name: 'Show what they see' }).click();
    await page.getByText('sees 3 columns').waitFor();
    const sample = page.getByRole('region', { name: 'Rows as bob sees them' }).locator('table');
    expect(await sample.locator('th').allTextContents()).toEqual(['id', 'item', 'amount']);
    expect(await sample.locator('tbody tr').allTextContents()).toEqual(['1Desk3', '2Lamp7']);
    await page.getByLabel('Person').fill('nobody');
    await page.getByRole('button', { name: 'Show what they see' }).click();
    await page.getByText('To nobody this dataset does not exist').waitFor();

    await page.getByRole('button', { name: 'Take back the grant of bob' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Take back' }).click();
    await page.getByRole('button', { name: 'Take back the grant of bob' }).waitFor({ state: 'detached' });
    const { items } = await owner.grant.list({ datasetId });
    expect(items.map(({ principal }) => principal)).toEqual(['user:alice']);
    expect(workbench.complaints).toEqual([]);
  });

  test('WB16 who may only read is offered nothing else', async () => {
    const datasetId = await stock();
    await owner.grant.create({ datasetId, principal: 'user:carol', permission: 'read' });
    const page = await open('carol', `${datasetId}/history`);
    await page.getByText('Count in June').waitFor();
    expect(await page.getByRole('button', { name: 'Upload version' }).count()).toBe(0);
    expect(await page.getByRole('button', { name: 'New branch' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Actions for version 1', exact: true }).click();
    expect(await page.getByRole('menuitem').filter({ visible: true }).allTextContents()).toEqual(['Explore', 'Compare with main', 'Download…']);
    await page.keyboard.press('Escape');
    await dropFile(page, 'more.csv', Buffer.from('id,item\n5,Bed\n'));
    expect(await page.locator('.drop-curtain').textContent()).toBe('You may read this dataset, and not upload to it');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/access`);
    await page.getByText('This page is for admins of the dataset').waitFor();
    expect(await page.getByRole('button', { name: 'Give access' }).count()).toBe(0);
    expect(workbench.complaints).toEqual([]);
  });
});
