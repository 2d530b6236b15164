import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'vite';

const ROOT = resolve(import.meta.dirname, '../..');
const BUILDS = join(ROOT, 'node_modules/.cache/covista-workbench');
/** What the page is made of. */
const SOURCES = ['client', 'protocol', 'vite.config.ts', 'package-lock.json'];
/** Older ones are of sources that have changed since. */
const BUILDS_KEPT = 3;

/** The directory of the page built as its sources are now; who comes first builds it for all test files. */
export async function builtWorkbench(): Promise<string> {
  const directory = join(BUILDS, await fingerprintOf(SOURCES));
  if (existsSync(directory)) return directory;
  await mkdir(BUILDS, { recursive: true });
  const making = await mkdtemp(join(BUILDS, 'making-'));
  await build({
    root: join(ROOT, 'client/workbench'),
    configFile: join(ROOT, 'vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: making, emptyOutDir: true },
  });
  try {
    await rename(making, directory);
  } catch (error) {
    // Another test file was faster, with the same.
    if (!existsSync(directory)) throw error;
    await rm(making, { recursive: true });
  }
  await forgetOldBuilds();
  return directory;
}

async function fingerprintOf(places: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const place of places) {
    const path = join(ROOT, place);
    const isDirectory = (await stat(path)).isDirectory();
    const names = isDirectory ? (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()) : [];
    const files = isDirectory ? names.map((entry) => join(entry.parentPath, entry.name)).sort() : [path];
    for (const file of files) hash.update(file).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}

async function forgetOldBuilds(): Promise<void> {
  const names = (await readdir(BUILDS)).filter((name) => !name.startsWith('making-'));
  const dated = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(BUILDS, name))).mtimeMs })));
  const old = dated.sort((one, other) => other.at - one.at).slice(BUILDS_KEPT);
  await Promise.all(old.map(({ name }) => rm(join(BUILDS, name), { recursive: true, force: true })));
}
