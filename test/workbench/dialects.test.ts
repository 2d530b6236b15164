import { afterEach, describe, expect, test } from 'vitest';
import { csv } from '../support/samples.ts';
import { explored, hasBrowser, PATIENCE_MS, picture, useWorkbench, viewerConfig, type Workbench } from '../support/workbench.ts';

const SQL = { Kind: "CASE WHEN price > 100 THEN 'dear' ELSE 'cheap' END" };
const EXPRTK = { Double: '"price" * 2' };

describe.skipIf(!hasBrowser)('saved views in either language (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let shop: Shop;

  const address = (ref: number, view?: string): string =>
    `${workbench.server.url}/#/datasets/${shop.datasetId}/explore?ref=${ref}${view === undefined ? '' : `&view=${view}`}`;

  const open = async (started: Workbench): Promise<void> => {
    workbench = started;
    shop = await openShop(started);
  };

  afterEach(() => {
    expect(workbench.complaints).toEqual([]);
  });

  describe('on a server with both engines', () => {
    // Version 1 is small, version 2 is large.
    useWorkbench(open, ['--memory-table-rows-max', '2']);

    test('WB7 a view with columns in SQL is shown on a small version too, and goes with one from version to version', async () => {
      const page = await workbench.window('alice');
      await page.goto(address(1));
      expect(await explored(page)).toContain('in memory');
      await page.getByRole('button', { name: 'Views', exact: true }).click();
      await page.getByRole('button', { name: 'SQL', exact: true }).click();
      await page.locator('perspective-viewer td', { hasText: 'dear' }).waitFor();
      expect(await explored(page)).toContain('DuckDB');
      await page.getByRole('button', { name: 'SQL', exact: true, pressed: true }).waitFor();
      await page.getByRole('button', { name: 'ExprTK', exact: true }).click();
      await page.locator('perspective-viewer td', { hasText: '240.00' }).waitFor();
      await page.goto(address(2, shop.SQL));
      await page.locator('perspective-viewer td', { hasText: 'dear' }).first().waitFor();
      await page.locator('.explore-facts', { hasText: '3 rows' }).waitFor();
      await page.goto(address(1));
      await page.locator('.explore-facts', { hasText: '2 rows' }).waitFor();
      await page.locator('perspective-viewer td', { hasText: 'dear' }).waitFor();
    });

    test.each(['SQL', 'ExprTK'] as const)('WB7 a link to a view in %s leads to it on versions of any size', async (name) => {
      const page = await workbench.window('alice');
      for (const ref of [1, 2]) {
        await page.goto(`${workbench.server.url}/#/`);
        await page.goto(address(ref, shop[name]));
        await page.locator('.explore-facts', { hasText: `${ref + 1} rows` }).waitFor();
        await page
          .locator('perspective-viewer td', { hasText: name === 'SQL' ? 'dear' : '240.00' })
          .first()
          .waitFor();
        expect(await viewerConfig(page)).toMatchObject({ expressions: name === 'SQL' ? SQL : EXPRTK });
      }
    });

    test('WB7 a view that cannot be drawn says why, and the next one is drawn all the same', async () => {
      const page = await workbench.window('alice');
      await page.goto(address(1));
      await explored(page);
      await page.getByRole('button', { name: 'Views', exact: true }).click();
      await page.getByRole('button', { name: 'Broken', exact: true }).click();
      await page.locator('.toast.failed').waitFor();
      await page.locator('perspective-viewer td', { hasText: '120' }).waitFor();
      for (const [name, shown] of Object.entries({ ExprTK: '240.00', SQL: 'dear' })) {
        await page.getByRole('button', { name, exact: true }).click();
        await page.locator('perspective-viewer td', { hasText: shown }).waitFor();
      }
    });

    test('WB9 who follows somebody sees their columns in SQL as well', async () => {
      const [alice, bob] = await Promise.all([workbench.window('alice'), workbench.window('bob')]);
      for (const page of [alice, bob]) {
        await page.goto(address(1));
        await explored(page);
      }
      await bob.getByRole('button', { name: /^alice/ }).click();
      await bob.getByRole('menuitem', { name: 'Follow alice' }).click();
      await alice.getByRole('button', { name: 'Views', exact: true }).click();
      await alice.getByRole('button', { name: 'SQL', exact: true }).click();
      for (const page of [alice, bob]) await page.locator('perspective-viewer td', { hasText: 'dear' }).waitFor();
    });
  });

  describe('on a server without an engine that reads SQL', () => {
    useWorkbench(open, ['--table-engines', 'memory']);

    test('WB7 a view with columns in SQL says why it is not shown, and what was shown stays', async () => {
      const page = await workbench.window('alice');
      await page.goto(address(1));
      await explored(page);
      await page.getByRole('button', { name: 'Views', exact: true }).click();
      await page.getByRole('button', { name: 'SQL', exact: true }).click();
      await page.locator('.toast', { hasText: 'no engine that reads SQL' }).waitFor();
      expect(await explored(page)).toContain('in memory');
      await page.getByRole('button', { name: 'ExprTK', exact: true }).click();
      await page.locator('perspective-viewer td', { hasText: '240.00' }).waitFor();
      await page.reload();
      await page.locator('perspective-viewer td', { hasText: '240.00' }).waitFor();
    });

    test('WB7 a link to such a view says so, and leads on to the rows', async () => {
      const page = await workbench.window('alice');
      await page.goto(address(1, shop.SQL));
      await page.locator('.failure', { hasText: 'no engine that reads SQL' }).waitFor();
      await picture(page, 'view-unread');
      await page.getByRole('button', { name: 'Try again' }).click();
      expect(await explored(page)).toContain('2 rows');
    });
  });
});

interface Shop extends Readonly<Record<'SQL' | 'ExprTK', string>> {
  readonly datasetId: number;
}

/** A dataset of alice and bob: a version of two rows, then one of three, and saved views whose columns are made in either language. */
async function openShop({ server }: Workbench): Promise<Shop> {
  const owner = await server.client('alice');
  const { datasetId } = await owner.dataset.create({ name: 'Shop', key: ['id'] });
  const rows = ['id,price', '1,120', '2,80', '3,300'];
  for (const count of [3, 4]) await owner.version.commit({ datasetId, branch: 'main' }, { body: csv(...rows.slice(0, count)) });
  await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
  const views = await owner.document.savedViews(datasetId);
  const save = (name: string, dialect: 'sql' | 'exprtk', expressions: Record<string, string>): string =>
    views.create({ name, dialect, config: { expressions, columns: ['id', ...Object.keys(expressions)] } }).id;
  const made = { datasetId, SQL: save('SQL', 'sql', SQL), ExprTK: save('ExprTK', 'exprtk', EXPRTK) };
  save('Broken', 'exprtk', { Half: '"price" +' });
  const document = await owner.document.open(`dataset/${datasetId}`);
  await document.whenDurable();
  document.close();
  views.close();
  return made;
}
