import { expect, test } from 'vitest';
import { bundleForBrowser } from '../support/bundle.ts';

test('LIVE14 what a program loads of the client at first holds nothing of Yjs', async () => {
  const { warnings, first, files } = await bundleForBrowser('client/index.ts');
  const isOfYjs = (file: string): boolean => /node_modules\/(yjs|y-protocols|lib0)\//.test(file);
  expect(warnings).toEqual([]);
  expect(first.files).toContain('client/client.ts');
  expect(first.files.filter(isOfYjs)).toEqual([]);
  expect(files.filter(isOfYjs)).not.toEqual([]);
});
