import { readdir, readFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import type { Page, Pages } from './socket/site.ts';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json; charset=utf-8',
  '.wasm': 'application/wasm',
};

/** How the build names what it compressed, best first. */
const ENCODINGS: Readonly<Record<string, string>> = { br: '.br', gzip: '.gz' };

/** From a checkout `dist` lies beside `server`; compiled, `server` lies in `dist`. */
const PLACES = ['../dist/workbench', '../workbench'].map((place) => resolve(import.meta.dirname, place));

/**
 * The files of the built workbench by path, its index at `/`. Everything below `/assets/` is named by a hash of its content.
 * Where nothing was built, `/` says how to.
 */
export async function loadWorkbench(directory: string | undefined): Promise<Pages> {
  const places = directory === undefined ? PLACES : [resolve(directory)];
  for (const place of places) {
    const names = await filesOf(place);
    if (names.has('index.html')) return readPages(place, names);
  }
  return new Map([['/', { contentType: 'text/html; charset=utf-8', content: NOT_BUILT, immutable: false }]]);
}

async function filesOf(directory: string): Promise<ReadonlySet<string>> {
  const entries = await readdir(directory, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return new Set(entries.map((entry) => entry.replaceAll('\\', '/')));
}

async function readPages(directory: string, names: ReadonlySet<string>): Promise<Pages> {
  const pages = [...names].flatMap((name) => {
    const contentType = CONTENT_TYPES[extname(name)];
    return contentType === undefined ? [] : [readPage({ directory, names, name, contentType })];
  });
  return new Map(await Promise.all(pages));
}

interface PageFile {
  readonly directory: string;
  readonly names: ReadonlySet<string>;
  readonly name: string;
  readonly contentType: string;
}

async function readPage({ directory, names, name, contentType }: PageFile): Promise<[string, Page]> {
  const encodings = Object.entries(ENCODINGS).filter(([, extension]) => names.has(name + extension));
  const [content, ...bodies] = await Promise.all(
    [name, ...encodings.map(([, extension]) => name + extension)].map((file) => readFile(join(directory, file))),
  );
  const compressed = new Map(encodings.map(([encoding], index) => [encoding, bodies[index] ?? new Uint8Array()]));
  const page = { contentType, content: content ?? new Uint8Array(), immutable: name.startsWith('assets/'), compressed };
  return [name === 'index.html' ? '/' : `/${name}`, page];
}

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Covista</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  main { max-width: 40rem; margin: 15vh auto; padding: 0 1.5rem; }
</style>
<main>
  <h1>Covista</h1>
  <p>This server is running; the workbench was not built. <code>npm run build:workbench</code> builds it, and a new start serves it.</p>
  <p><a href="/openapi.json">Every operation over REST</a>, as OpenAPI</p>
</main>
</html>
`;
