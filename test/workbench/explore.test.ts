import { readFile } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import type { Download, Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { CHART_KINDS, tagOfChart } from '../../client/workbench/explore/chart-kinds.ts';
import { csv } from '../support/samples.ts';
import { CANARIES, ORDERS } from '../support/table-world.ts';
import { explored, hasBrowser, PATIENCE_MS, picture, setViewer, useWorkbench, viewerConfig, type Workbench } from '../support/workbench.ts';

describe.skipIf(!hasBrowser)('exploring in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;
  let owner: Client;
  let datasetId: number;

  useWorkbench(async (started) => {
    workbench = started;
    owner = await workbench.server.client('alice');
    ({ datasetId } = await owner.dataset.create({ name: 'Orders', key: ['id'] }));
    await owner.version.commit({ datasetId, branch: 'main', message: 'Orders' }, { body: ORDERS });
    await owner.version.commit({ datasetId, branch: 'main', mode: 'append', message: 'More' }, { body: more() });
    await owner.version.commit({ datasetId, branch: 'slim' }, { body: new TextEncoder().encode('id,product\n1,Desk\n2,Chair\n') });
    await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: "region = 'EU'", columnMask: ['margin'] });
  });

  async function open(subject: string): Promise<Page> {
    const page = await workbench.window(subject);
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}`);
    await explored(page);
    return page;
  }

  test('WB5 another ref keeps the view where its columns allow, and says what it left out', async () => {
    const page = await open('alice');
    await setViewer(page, { columns: ['product', 'price'] });
    await page.getByRole('button', { name: 'Version: main' }).click();
    await page.getByRole('combobox', { name: 'Version: search or type a ref' }).fill('slim');
    await page.keyboard.press('Enter');
    await page.getByText('this version does not have it').waitFor();
    expect(await page.locator('.dropped').textContent()).toContain('price');
    await expect.poll(() => viewerConfig(page)).toMatchObject({ columns: ['product'] });
    await page.getByText('2 rows').first().waitFor();
    expect(page.url()).toContain('ref=slim');
  });

  test('WB5 any number of versions is shown one after the other, with the settings as open as they were', async () => {
    const page = await workbench.window('alice');
    const { datasetId: many } = await owner.dataset.create({ name: 'Many versions' });
    for (const count of [1, 2, 3, 4]) {
      const rows = Array.from({ length: count }, (_, index) => index);
      await owner.version.commit({ datasetId: many, branch: 'main' }, { body: csv('id', ...rows.map(String)) });
    }
    await page.goto(`${workbench.server.url}/#/datasets/${many}/explore?ref=1`);
    await explored(page);
    await page.getByRole('button', { name: 'Configure' }).click();
    for (const ref of [2, 3, 4, 1]) {
      await page.goto(`${workbench.server.url}/#/datasets/${many}/explore?ref=${ref}`);
      await page.locator('.explore-facts', { hasText: ref === 1 ? '1 row' : `${ref} rows` }).waitFor();
      await page.getByRole('button', { name: 'Configure', pressed: true }).waitFor();
    }
    await page.context().close();
  });

  test('WB5 the view stays while one looks at other pages of the dataset', async () => {
    const page = await open('alice');
    await setViewer(page, { columns: ['product', 'price'], sort: [['price', 'desc']] });
    await page.getByText('v2', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'History' }).click();
    await page.locator('.version').first().waitFor();
    await page.getByRole('link', { name: 'Explore' }).click();
    await explored(page);
    expect(await viewerConfig(page)).toMatchObject({ columns: ['product', 'price'], sort: [['price', 'desc']] });
  });

  test('WB5 a branch that moves on says so, and is shown as it is then', async () => {
    const { datasetId: moving } = await owner.dataset.create({ name: 'Moving', key: ['id'] });
    const page = await workbench.window('alice');
    await page.goto(`${workbench.server.url}/#/datasets/${moving}`);
    await page.getByText('Nothing to explore yet').waitFor();
    await owner.version.commit({ datasetId: moving, branch: 'main' }, { body: new TextEncoder().encode('id\n1\n') });
    await page.getByText('1 row', { exact: true }).waitFor();
    await owner.version.commit({ datasetId: moving, branch: 'main' }, { body: new TextEncoder().encode('id\n1\n2\n') });
    await page.getByRole('button', { name: 'Show it' }).click();
    await page.getByText('2 rows', { exact: true }).waitFor();
  });

  test('WB5 every kind of chart draws', async () => {
    const page = await open('alice');
    const charts: readonly (readonly [string, Record<string, unknown>])[] = [
      ['X Bar', { group_by: ['product'], columns: ['price'] }],
      ['Y Bar', { group_by: ['product'], columns: ['price'] }],
      ['Y Line', { group_by: ['day'], columns: ['price'] }],
      ['Y Area', { group_by: ['day'], columns: ['price'] }],
      ['Y Scatter', { group_by: ['product'], columns: ['price'] }],
      ['X/Y Scatter', { group_by: ['product'], columns: ['price', 'margin'] }],
      ['Heatmap', { group_by: ['product'], split_by: ['region'], columns: ['price'] }],
      ['Treemap', { group_by: ['region', 'product'], split_by: [], columns: ['price'] }],
      ['Sunburst', { group_by: ['region', 'product'], split_by: [], columns: ['price'] }],
    ];
    for (const [plugin, config] of charts) {
      await setViewer(page, { split_by: [], ...config, plugin });
      const name = plugin.toLowerCase().replaceAll(/[ /]/g, '');
      await expect.poll(() => painted(page, `perspective-viewer-d3fc-${name}`), { message: plugin }).toBeGreaterThan(0);
      await picture(page, `chart-${name}`);
    }
    for (const plugin of ['Y Area', 'Y Bar', 'X Bar', 'Y Line', 'Y Scatter']) {
      await setViewer(page, { plugin, group_by: ['product'], split_by: ['region'], columns: ['price'] });
      const name = plugin.toLowerCase().replaceAll(/[ /]/g, '');
      await expect.poll(() => coveredByLegend(page, `perspective-viewer-d3fc-${name}`), { message: plugin }).toBe('beside');
    }
    await picture(page, 'chart-legend');
    expect(workbench.complaints).toEqual([]);
  });

  test('WB5 the viewer is told of each chart what the chart says of itself', async () => {
    const page = await open('alice');
    for (const { group_rollup_modes: _modes, ...kind } of CHART_KINDS) {
      await setViewer(page, { split_by: [], group_by: ['product'], columns: ['price', 'margin'], plugin: kind.name });
      const chart = page.locator(tagOfChart(kind.name));
      await expect.poll(() => chart.evaluate((element: object) => '_chart' in element), { message: kind.name }).toBe(true);
      expect(await chart.evaluate((element: object, names) => names.map((name) => Reflect.get(element, name)), Object.keys(kind))).toEqual(
        Object.values(kind),
      );
    }
  });

  test('WB10 the view that is shown is saved as a file, with all of its rows', async () => {
    const page = await open('alice');
    await setViewer(page, { columns: ['product', 'price'], filter: [['region', '==', 'EU']] });
    await page.getByRole('button', { name: 'Export this view' }).click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'CSV', exact: true }).click()]);
    const text = await readFile(await download.path(), 'utf8');
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => line.replaceAll('"', '')),
    ).toEqual(['product,price', 'Desk,10', 'Chair,5', 'Lamp,7', 'Sofa,90']);
  });

  test('WB10 Arrow and Parquet files of a view hold its rows and columns', async () => {
    const page = await open('alice');
    await setViewer(page, { columns: ['product', 'price'], filter: [['region', '==', 'EU']], sort: [['price', 'desc']] });
    const rows = [
      { product: 'Sofa', price: 90 },
      { product: 'Desk', price: 10 },
      { product: 'Lamp', price: 7 },
      { product: 'Chair', price: 5 },
    ];
    const arrow = await exported(page, 'Arrow');
    expect(arrow.suggestedFilename()).toMatch(/\.arrow$/);
    expect(plain(tableFromIPC(await readFile(await arrow.path())).toArray())).toEqual(rows);
    const parquet = await exported(page, 'Parquet');
    expect(parquet.suggestedFilename()).toMatch(/\.parquet$/);
    expect(await parquetRows(await parquet.path())).toEqual(rows);
    // What is grouped is saved as the groups that are shown.
    await setViewer(page, { group_by: ['region'], columns: ['price'], filter: [['region', '==', 'EU']], sort: [], aggregates: { price: 'sum' } });
    const groups = await parquetRows(await (await exported(page, 'Parquet')).path());
    expect(groups.map(({ price }) => price)).toEqual([112, 112]);
    expect(workbench.complaints).toEqual([]);
  });

  test('WB11 a filtered reader meets neither hidden rows nor hidden columns on any page', async () => {
    const page = await open('bob');
    const seen: string[] = [];
    const look = async (): Promise<void> => {
      seen.push(await everything(page));
    };
    await look();
    for (const panel of ['Views', 'Notes']) {
      await page.getByRole('button', { name: panel, exact: true }).click();
      await page.getByRole('complementary', { name: panel }).waitFor();
      await look();
    }
    await page.getByRole('button', { name: 'Export this view' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'CSV', exact: true }).click()]);
    seen.push(await readFile(await file.path(), 'utf8'));
    await page.getByRole('button', { name: 'Drawn as: Grid' }).click();
    await page.getByRole('menuitem', { name: 'Bars across' }).click();
    await expect.poll(() => viewerConfig(page)).toMatchObject({ plugin: 'X Bar' });
    await look();
    await page.getByRole('link', { name: 'History' }).click();
    await page.locator('.version').first().waitFor();
    await look();
    await page.getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('region', { name: 'Columns' }).waitFor();
    await look();
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'Compare' }).click();
    await page.getByRole('region', { name: 'Changed rows' }).waitFor();
    await look();
    expect(await page.getByRole('link', { name: 'Access' }).count()).toBe(0);
    for (const canary of CANARIES.filter((text) => text !== 'US')) expect(seen.join('\n')).not.toContain(canary);
    expect(seen.join('\n')).toContain('Sofa');
  });
});

/** A row that everybody sees, and one that only those of the whole do. */
const more = (): Uint8Array =>
  new TextEncoder().encode('id,region,product,price,margin,day\n6,EU,Sofa,90,0.5,2026-03-01\n7,US,CANARY-sofa,90212,0.7736,2026-03-01\n');

/** Shapes of a chart that have a size and a colour, and dots of colour on its canvases: axes and empty frames are grey. */
function painted(page: Page, element: string): Promise<number> {
  return page.evaluate((name) => {
    const isColourful = (red = 0, green = 0, blue = 0): boolean => Math.max(red, green, blue) - Math.min(red, green, blue) > 40;
    const colourOf = (value: string): number[] => (/^rgba?\(([^)]+)\)/.exec(value)?.[1] ?? '').split(',').map(Number);
    const chart = document.querySelector(name)?.shadowRoot;
    if (chart === null || chart === undefined) return 0;
    const shapes = [...chart.querySelectorAll('path, rect, circle')].filter((shape) => {
      const { width, height } = shape.getBoundingClientRect();
      const { fill, stroke } = getComputedStyle(shape);
      return width > 2 && height > 2 && (isColourful(...colourOf(fill)) || isColourful(...colourOf(stroke)));
    });
    const dots = [...chart.querySelectorAll('canvas')].map((canvas) => {
      const pixels = canvas.width === 0 ? undefined : canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
      let count = 0;
      for (let at = 0; pixels !== undefined && at < pixels.length; at += 4) if (isColourful(pixels[at], pixels[at + 1], pixels[at + 2])) count += 1;
      return count;
    });
    return shapes.length + dots.reduce((sum, count) => sum + count, 0);
  }, element);
}

/** Whether the legend of a chart lies on what is drawn or beside it; a chart that is not there yet has none. */
function coveredByLegend(page: Page, element: string): Promise<'none' | 'on' | 'beside'> {
  return page.evaluate((name) => {
    const chart = document.querySelector(name)?.shadowRoot;
    const legend = chart?.querySelector('.legend-container')?.getBoundingClientRect();
    const plot = chart?.querySelector('d3fc-svg.plot-area')?.getBoundingClientRect();
    if (legend === undefined || plot === undefined || legend.width === 0) return 'none';
    return plot.right > legend.left ? 'on' : 'beside';
  }, element);
}

/** The file that the page saves of the view that it shows. */
async function exported(page: Page, format: string): Promise<Download> {
  await page.getByRole('button', { name: 'Export this view' }).click();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: format, exact: true }).click()]);
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  return download;
}

/** Numbers of rows as numbers, whatever width they were written with. */
const plain = (rows: readonly object[]): Record<string, unknown>[] =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value])));

async function parquetRows(path: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return plain((await connection.runAndReadAll('SELECT * FROM read_parquet($1)', [path])).getRowObjectsJS());
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** All text of the page, that of shadow trees included. */
function everything(page: Page): Promise<string> {
  return page.evaluate(() => {
    const textOf = (root: ParentNode): string =>
      [...root.querySelectorAll('*')]
        .map(
          (element) =>
            `${element.shadowRoot === null ? '' : textOf(element.shadowRoot)} ${[...element.childNodes]
              .filter((node) => node.nodeType === 3)
              .map((node) => node.textContent)
              .join(' ')} ${element.getAttribute('title') ?? ''}`,
        )
        .join(' ');
    return textOf(document);
  });
}
