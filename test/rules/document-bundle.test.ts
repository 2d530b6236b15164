import { resolve } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('LIVE14 what a program loads of the client at first holds nothing of Yjs', async () => {
  const { metafile, warnings } = await build({
    entryPoints: [resolve(import.meta.dirname, '../../client/index.ts')],
    bundle: true,
    splitting: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    outdir: 'out',
  });
  expect(warnings).toEqual([]);
  const loaded = new Set<string>();
  const load = (path: string): void => {
    const output = metafile.outputs[path];
    if (output === undefined || loaded.has(path)) return;
    loaded.add(path);
    for (const { kind, path: next } of output.imports) if (kind === 'import-statement') load(next);
  };
  load('out/index.js');
  const files = (paths: Iterable<string>): string[] => [...paths].flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}));
  const isOfYjs = (file: string): boolean => /node_modules\/(yjs|y-protocols|lib0)\//.test(file);
  expect(files(loaded)).toContain('client/client.ts');
  expect(files(loaded).filter(isOfYjs)).toEqual([]);
  expect(files(Object.keys(metafile.outputs)).filter(isOfYjs)).not.toEqual([]);
});
