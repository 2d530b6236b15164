import { basename, resolve } from 'node:path';
import { type BuildResult, build } from 'esbuild';

interface Bundle {
  readonly warnings: readonly unknown[];
  /** Modules that the bundle does not hold. */
  readonly external: readonly string[];
  /** The code of every file. */
  readonly texts: readonly string[];
  /** Source files of what a page loads at once, and bytes of that; the rest comes when it is wanted. */
  readonly first: { readonly files: readonly string[]; readonly bytes: number };
  /** Source files of everything. */
  readonly files: readonly string[];
}

const ROOT = resolve(import.meta.dirname, '../..');

/** Bundles an entry of this project for browsers, in files that are loaded when they are wanted. */
export async function bundleForBrowser(entry: string): Promise<Bundle> {
  const { metafile, outputFiles, warnings } = await build({
    entryPoints: [resolve(ROOT, entry)],
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    platform: 'browser',
    format: 'esm',
    minify: true,
    write: false,
    metafile: true,
    outdir: 'out',
  });
  const { outputs } = metafile;
  const first = loadedWith(outputs, `out/${basename(entry, '.ts')}.js`);
  const filesOf = (paths: Iterable<string>): string[] => [...paths].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
  return {
    warnings,
    external: Object.values(outputs).flatMap(({ imports }) => imports.filter(({ external }) => external === true).map(({ path }) => path)),
    texts: outputFiles.map(({ text }) => text),
    first: { files: filesOf(first), bytes: [...first].reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0) },
    files: filesOf(Object.keys(outputs)),
  };
}

type Outputs = NonNullable<BuildResult['metafile']>['outputs'];

function loadedWith(outputs: Outputs, entry: string): ReadonlySet<string> {
  const loaded = new Set([entry]);
  for (const path of loaded) for (const { kind, path: next } of outputs[path]?.imports ?? []) if (kind === 'import-statement') loaded.add(next);
  return loaded;
}
