import { describe, expect, test } from 'vitest';
import { keyValue, shownKey } from '../../client/workbench/together/selection.ts';
import { csv } from '../support/samples.ts';
import { explored, hasBrowser, PATIENCE_MS, useWorkbench, type Workbench } from '../support/workbench.ts';

test('WB8 the values of keys are written as rows have them', () => {
  expect(keyValue(Date.UTC(2024, 0, 2), 'date')).toBe('2024-01-02');
  expect(keyValue(Date.UTC(2024, 0, 2, 10), 'datetime')).toBe('2024-01-02T10:00:00Z');
  expect(keyValue(Date.UTC(2024, 0, 2, 10, 0, 0, 120), 'datetime')).toBe('2024-01-02T10:00:00.120Z');
  expect(keyValue(2 ** 53 - 1, 'integer')).toBe(2 ** 53 - 1);
  expect(keyValue(2 ** 53, 'integer')).toBeUndefined();
});

test('WB8 keys that were written elsewhere are known by what the viewer shows of them', () => {
  const types = new Map(Object.entries({ at: 'datetime', price: 'float', id: 'integer', name: 'string' }));
  const key = { at: '2024-01-02T10:00:00.123456Z', price: '12.50', id: '9007199254740993', name: '7.0' };
  expect(shownKey(key, types)).toEqual({ ...key, at: '2024-01-02T10:00:00.123Z', price: 12.5 });
  expect(shownKey({ at: '2024-01-02T10:00:00.000Z' }, types)).toEqual({ at: '2024-01-02T10:00:00Z' });
  expect(shownKey({ price: '12.5000000000000001', at: 'once' }, types)).toEqual({ price: '12.5000000000000001', at: 'once' });
});

describe.skipIf(!hasBrowser)('notes on rows (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;

  useWorkbench((started) => {
    workbench = started;
  });

  test('WB8 a note of a program about a row at a time is marked, and one of the page is found by what the row has', async () => {
    const owner = await workbench.server.client('alice');
    const { datasetId } = await owner.dataset.create({ name: 'Readings', key: ['at'] });
    const body = csv('at,amount', '2024-01-01T10:00:00Z,11', '2024-01-02T10:00:00Z,22');
    await owner.version.commit({ datasetId, branch: 'main' }, { body });
    const document = await owner.document.open(`dataset/${datasetId}`);
    document.annotations.add('Too low', { rowKey: { at: '2024-01-01T10:00:00Z' }, column: 'amount' });
    await document.whenDurable();
    const page = await workbench.window('alice');
    await page.goto(`${workbench.server.url}/#/datasets/${datasetId}/explore`);
    await explored(page);
    await page.locator('perspective-viewer td.covista-note', { hasText: '11' }).waitFor();
    await page.getByRole('button', { name: 'Notes', exact: true }).click();
    await page.locator('perspective-viewer td', { hasText: /^22$/ }).click();
    await page.getByLabel('What the note is about').locator('option', { hasText: 'On amount · at 2024' }).waitFor({ state: 'attached' });
    await page.getByLabel('New note').fill('Twice as much');
    await page.getByRole('button', { name: 'Add note' }).click();
    await expect.poll(() => document.annotations.list({ rowKey: { at: '2024-01-02T10:00:00Z' } })).toMatchObject([{ body: 'Twice as much' }]);
    expect(workbench.complaints).toEqual([]);
  });
});
