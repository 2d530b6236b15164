import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { explored, hasBrowser, PATIENCE_MS, picture, useWorkbench, viewerConfig, type Workbench } from '../support/workbench.ts';

const COLUMNS = 1_000;
const LONG = 'Orders of all regions, with everything that was ever said of them '.repeat(3).trim();

describe.skipIf(!hasBrowser)('clumsy and hostile use of the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;

  useWorkbench(async (started) => {
    workbench = started;
    owner = await workbench.server.client('alice');
  });

  async function dataset(name: string, body: Uint8Array): Promise<number> {
    const { datasetId } = await owner.dataset.create({ name, key: ['id'] });
    await owner.version.commit({ datasetId, branch: 'main' }, { body });
    return datasetId;
  }

  const visit = (page: Page, hash: string): Promise<unknown> => page.goto(`${workbench.server.url}/${hash}`);

  test('WB4 an address that leads nowhere says so, whatever is in it', async () => {
    const page = await workbench.window('alice');
    for (const hash of ['#/%E0%A4%A', '#/nonsense/%', '#/datasets/one', '#/datasets/0/../../%00']) {
      await visit(page, hash);
      await expect.poll(() => page.locator('main').textContent(), { message: hash }).toMatch(/There is nothing here|cannot be shown/);
    }
    for (const hash of ['#/datasets/999999', '#/datasets/-1', '#/datasets/1e99']) {
      await visit(page, hash);
      await expect.poll(() => page.locator('main').textContent(), { message: hash }).toMatch(/There is nothing here|cannot be shown/);
    }
    await page.getByRole('link', { name: 'All datasets', exact: true }).last().click();
    await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB5 a version without rows, one with a thousand columns, and names that are too long, are shown', async () => {
    const names = Array.from({ length: COLUMNS }, (_, index) => (index === 0 ? 'id' : index === 1 ? LONG : `column <b>${index}</b>`));
    const wide = await dataset(LONG, csv(names.join(',').replace(LONG, `"${LONG}"`), names.map((_, index) => index).join(',')));
    const empty = await dataset('<img src=x onerror=alert(1)>', csv('id,name'));
    const page = await workbench.window('alice');
    await visit(page, `#/datasets/${wide}`);
    expect(await explored(page)).toContain('1,000 columns');
    await page.locator('perspective-viewer regular-table').focus();
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => page.locator('[data-cell-voice]').textContent()).toContain('id');
    await page.keyboard.press('End');
    await expect.poll(() => page.locator('[data-cell-voice]').textContent()).toBe('column <b>999</b> · id 0: 999');
    await page.locator('perspective-viewer td.covista-place', { hasText: '999' }).waitFor();
    await picture(page, 'wide');
    for (const tab of ['History', 'Compare', 'Schedules', 'Access']) {
      await page.getByRole('link', { name: tab, exact: true }).click();
      await page.locator('#tab-body > *').waitFor();
      expect(await overflow(page), tab).toBe(0);
      await picture(page, `long-names-${tab.toLowerCase()}`);
    }
    await visit(page, `#/datasets/${empty}`);
    await page.getByText('0 rows', { exact: true }).waitFor();
    await page.locator('perspective-viewer regular-table').focus();
    await page.keyboard.press('ArrowDown');
    await visit(page, '#/');
    await page.locator('table.list time').nth(1).waitFor();
    expect(await overflow(page)).toBe(0);
    await picture(page, 'long-names');
    expect(workbench.complaints).toEqual([]);
  });

  test('WB5 back and forward lead through pages, and a reload stays where one was', async () => {
    const datasetId = await dataset('Orders', csv('id,product', '1,Desk', '2,Chair'));
    const page = await workbench.window('alice');
    await visit(page, `#/datasets/${datasetId}/explore`);
    await explored(page);
    for (const tab of ['History', 'Compare', 'Access']) await page.getByRole('link', { name: tab, exact: true }).click();
    await page.goBack();
    await page.locator('.tab[aria-current=page]', { hasText: 'Compare' }).waitFor();
    await page.goBack();
    await page.locator('.version').first().waitFor();
    await page.goBack();
    expect(await explored(page)).toContain('2 rows');
    await page.goForward();
    await page.reload();
    await page.locator('.version').first().waitFor();
    await page.goBack();
    await explored(page);
    // Again before anything has come; by the page itself, since the browser is asked only about pages that are there.
    for (let time = 0; time < 3; time += 1) {
      const begun = page.waitForEvent('framenavigated');
      await page.evaluate(() => void setTimeout(() => location.reload()));
      await begun;
    }
    expect(await explored(page)).toContain('2 rows');
    expect(await viewerConfig(page)).toMatchObject({ columns: ['id', 'product'] });
    expect(workbench.complaints).toEqual([]);
  });

  test('WB11 who is revoked while looking no longer sees anything of the dataset', async () => {
    const datasetId = await dataset('Orders', csv('id,product', '1,Desk', '2,Chair'));
    const { grantId } = await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
    const page = await workbench.window('bob');
    await visit(page, `#/datasets/${datasetId}/explore`);
    await explored(page);
    await page.getByRole('button', { name: 'Notes', exact: true }).click();
    await page.getByLabel('New note').fill('What is this?');
    await owner.grant.revoke({ datasetId, grantId });
    await page.getByRole('heading', { name: 'This dataset cannot be shown' }).waitFor();
    await page.locator('perspective-viewer').waitFor({ state: 'detached' });
    expect(await page.locator('body').textContent()).not.toContain('Desk');
    await picture(page, 'revoked');
    await page.getByRole('link', { name: 'All datasets', exact: true }).last().click();
    await page.getByRole('heading', { name: 'Datasets', exact: true }).waitFor();
    expect(workbench.complaints).toEqual([]);
  });
});

/** How far the page reaches over the edge of its window, in pixels. */
const overflow = (page: Page): Promise<number> => page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth));
