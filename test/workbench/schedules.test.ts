import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { csv } from '../support/samples.ts';
import { hasBrowser, picture, startWorkbench, type Workbench } from '../support/workbench.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

describe.skipIf(!hasBrowser)('schedules in the workbench (needs Chromium: apt-get install chromium)', () => {
  let workbench: Workbench;
  let datasetId: number;

  beforeAll(async () => {
    workbench = await startWorkbench();
    const owner = await workbench.server.client('alice');
    ({ datasetId } = await owner.dataset.create({ name: 'Sales', key: ['id'] }));
    await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region,price', '1,EU,10', '2,US,20', '3,EU,30') });
    await owner.tag.create({ datasetId, name: 'v1.0', ref: 'main' });
    const views = await owner.document.savedViews(datasetId);
    const removed = views.create({ name: 'Prices by region', config: { columns: ['price'], group_by: ['region'] } });
    await (await owner.document.open(`dataset/${datasetId}`)).whenDurable();
    const common = { datasetId, ref: 'v1.0', timeZone: 'Europe/Berlin', destination: { kind: 'directory', directory: 'finance/monthly' } } as const;
    const failing = { ...common, name: 'Regional summary', savedView: removed.id, cron: '0 6 1 * *', format: 'parquet' } as const;
    const { scheduleId } = await owner.schedule.create(failing);
    views.remove(removed.id);
    await (await owner.document.open(`dataset/${datasetId}`)).whenDurable();
    await owner.schedule.run({ datasetId, scheduleId });
    views.create({ name: 'Cheap ones', config: { columns: ['id', 'price'], filter: [['price', '<', 25]] } });
    await (await owner.document.open(`dataset/${datasetId}`)).whenDurable();
    const own = await owner.document.savedViews(datasetId, 'private');
    own.create({ name: 'My dear ones', config: { columns: ['id', 'price'], filter: [['price', '>', 25]] } });
    await (await owner.document.open('user/alice')).whenDurable();
    await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'read' });
    const bob = await workbench.server.client('bob');
    const webhook = { kind: 'webhook', url: 'https://example.org/hooks/sales', secret: 'a secret of some length' } as const;
    const paused = {
      ...common,
      name: 'Feed of the warehouse',
      ref: 'main',
      refKind: 'branch',
      cron: '*/15 * * * *',
      format: 'ndjson',
      destination: webhook,
    } as const;
    await bob.schedule.pause({ datasetId, scheduleId: (await bob.schedule.create(paused)).scheduleId });
  });

  afterAll(async () => {
    await workbench?.stop();
  });

  const open = async (theme: 'light' | 'dark'): Promise<Page> => {
    const page = await workbench.window('alice', { theme });
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/schedules`);
    await page.getByRole('heading', { name: 'Scheduled exports' }).waitFor();
    await page.getByText('Regional summary').first().waitFor();
    return page;
  };

  test('WB17 a schedule is made, run, downloaded, paused, resumed and deleted', async () => {
    const page = await open('light');
    const row = page.getByRole('row').filter({ hasText: 'Cheap rows' });
    await page.getByRole('button', { name: 'New schedule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Cheap rows');
    await dialog.getByLabel('What').selectOption({ label: 'Cheap ones' });
    await dialog.getByLabel('Runs').selectOption({ label: 'Every weekday' });
    await dialog.getByLabel('At', { exact: true }).fill('07:30');
    await dialog.getByLabel('Time zone').selectOption('Europe/Berlin');
    await dialog.getByText(/^Next: /).waitFor();
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await row.getByText('Every weekday at 07:30').waitFor();
    await row.getByRole('button', { name: 'Run now: Cheap rows' }).click();
    await row.getByText('Exported').waitFor();
    await row.getByRole('button', { name: 'Cheap rows', exact: true }).click();
    const runs = page.getByRole('complementary', { name: 'Runs' });
    await runs.getByText('2 rows').waitFor();
    const downloading = page.waitForEvent('download');
    await runs.getByRole('button', { name: /^Download the file/ }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(/^Cheap-rows-.*\.csv$/);
    expect((await readFile((await download.path()) ?? '', 'utf8')).trim().split('\n')).toHaveLength(3);
    // Exactly, because the menu of the row says "Pause" and "Delete…" one after the other.
    const paused = row.getByText('Paused', { exact: true });
    for (const [entry, state] of [
      ['Pause', 'visible'],
      ['Resume', 'detached'],
    ] as const) {
      await row.getByRole('button', { name: 'More for Cheap rows' }).click();
      await page.getByRole('menuitem', { name: entry }).click();
      await paused.waitFor({ state });
    }
    await row.getByRole('button', { name: 'More for Cheap rows' }).click();
    await page.getByRole('menuitem', { name: 'Delete…' }).click();
    await page.getByRole('button', { name: 'Delete schedule' }).click();
    await row.waitFor({ state: 'detached' });
    await page.context().close();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB17 a private view is scheduled, and marked as one', async () => {
    const page = await open('light');
    const row = page.getByRole('row').filter({ hasText: 'Dear rows' });
    await page.getByRole('button', { name: 'New schedule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Dear rows');
    await dialog.getByLabel('What').selectOption({ label: 'My dear ones (private)' });
    await dialog.getByRole('button', { name: 'Schedule', exact: true }).click();
    await row.getByRole('button', { name: 'Run now: Dear rows' }).click();
    await row.getByText('Exported').waitFor();
    await row.getByRole('button', { name: 'Dear rows', exact: true }).click();
    await page.getByRole('complementary', { name: 'Runs' }).getByText('· 1 row ·').waitFor();
    await page.context().close();
    expect(workbench.complaints).toEqual([]);
  });

  test.each(['light', 'dark'] as const)(
    'WB17 WB12 what failed says why, and no screen has a serious fault of accessibility, in %s colours',
    async (theme) => {
      const page = await open(theme);
      await page.getByRole('button', { name: 'Regional summary', exact: true }).click();
      await page.locator('.run-error').first().waitFor();
      expect(await page.locator('.run-error').first().textContent()).toContain('no saved view');
      await check(page, `schedules-${theme}`);
      await page.getByRole('button', { name: 'New schedule' }).click();
      await page.getByText(/^Next: /).waitFor();
      await check(page, `new-schedule-${theme}`);
      await page.getByRole('dialog').getByLabel('To', { exact: true }).selectOption('webhook');
      await page.getByLabel('Secret of the signature').waitFor();
      await check(page, `new-webhook-${theme}`);
      await page.context().close();
    },
  );

  test('WB17 everything on the page is reached by keyboard', async () => {
    const page = await open('light');
    await page.getByRole('button', { name: 'New schedule' }).focus();
    const names: string[] = [];
    for (let step = 0; step < 8; step += 1) {
      await page.keyboard.press('Tab');
      names.push(await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''));
    }
    for (const name of ['Regional summary', 'Run now: Regional summary', 'More for Regional summary']) expect(names).toContain(name);
    await page.context().close();
  });
});

async function check(page: Page, name: string): Promise<void> {
  await picture(page, name);
  await page.evaluate(await readFile(AXE, 'utf8'));
  const serious = await page.evaluate(async () => {
    type Finding = { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly failureSummary?: string }[] };
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ failureSummary }) => failureSummary).join('; ')}`);
  });
  expect(serious, name).toEqual([]);
}
