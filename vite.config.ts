import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type HtmlTagDescriptor, type Plugin } from 'vite';
import type { CalledOperation } from './client/caller.ts';
import { operations } from './protocol/operations/index.ts';

const ROOT = import.meta.dirname;

const COMPRESSIBLE = /\.(?:html|js|css|svg|json|wasm)$/;

const REGISTRY = resolve(ROOT, 'protocol/operations/index.ts');

/**
 * A client asks with the names of the operations and knows how each is called; what may be asked and answered is for the server to
 * check. Making all of those schemas takes a browser longer than anything else that it does until the page is there.
 */
function onlyWhatIsCalled(): Plugin {
  const called = ({ kind, duration, body }: CalledOperation): CalledOperation => ({ kind, ...(duration && { duration }), ...(body && { body }) });
  const nouns = Object.entries(operations).map(([noun, verbs]) => {
    const declared: readonly [string, CalledOperation][] = Object.entries(verbs);
    return [noun, Object.fromEntries(declared.map(([verb, operation]) => [verb, called(operation)]))];
  });
  return {
    name: 'covista-only-what-is-called',
    load: (id) => (id === REGISTRY ? `export const operations = ${JSON.stringify(Object.fromEntries(nouns))};` : undefined),
  };
}

/** What the page loads next, whatever is looked at: a browser asks for it while it still reads the page. */
const NEXT = ['client/workbench/app/begin.ts', 'client/documents/hub.ts'].map((module) => resolve(ROOT, module));

const preload = (file: string, rel: string, as?: string): HtmlTagDescriptor => ({
  tag: 'link',
  attrs: { rel, ...(as && { as }), crossorigin: true, href: `/${file}` },
  injectTo: 'head',
});

function preloadNext(): Plugin {
  return {
    name: 'covista-preload-next',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: (page, { bundle = {} }) => {
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
        const next = chunks.filter(({ facadeModuleId }) => facadeModuleId !== null && NEXT.includes(facadeModuleId));
        const files = new Set(next.flatMap(({ fileName, imports }) => [fileName, ...imports]).filter((name) => !page.includes(name)));
        // The viewer's WebAssembly takes longest, and would else be asked for when half of the scripts have run.
        const wasm = Object.keys(bundle).filter((name) => name.endsWith('.wasm'));
        return [...[...files].map((file) => preload(file, 'modulepreload')), ...wasm.map((file) => preload(file, 'preload', 'fetch'))];
      },
    },
  };
}

/** The parts of a module that unpacks itself: how it is packed is told by the package `pro_self_extracting_wasm`, which Perspective is built with. */
interface Unpacker extends WebAssembly.Exports {
  readonly memory: WebAssembly.Memory;
  resize(bytes: number): number;
  compile(bytes: number, unpackedBytes: number): number;
}

/**
 * Perspective's WebAssembly comes as a module that holds the real one, packed. A browser can compile what it receives while it
 * is on its way, and keep what it compiled for the next time, only when it is served as it is; brotli makes it smaller still.
 */
function unpackWebAssembly(): Plugin {
  return {
    name: 'covista-unpack-webassembly',
    apply: 'build',
    generateBundle: async (_options, bundle) => {
      for (const [name, file] of Object.entries(bundle))
        if (file.type === 'asset' && name.endsWith('.wasm') && typeof file.source !== 'string') file.source = await unpacked(file.source);
    },
  };
}

async function unpacked(packed: Uint8Array): Promise<Uint8Array> {
  const module = await WebAssembly.compile(new Uint8Array(packed));
  const [payload] = WebAssembly.Module.customSections(module, 'psp-runtime');
  const [size] = WebAssembly.Module.customSections(module, 'psp-len');
  if (payload === undefined || size === undefined) return packed;
  const { memory, resize, compile } = (await WebAssembly.instantiate(module)).exports as Unpacker;
  const place = resize(payload.byteLength);
  new Uint8Array(memory.buffer).set(new Uint8Array(payload), place);
  const bytes = new DataView(size).getUint32(0, true);
  const start = compile(payload.byteLength, bytes);
  return new Uint8Array(memory.buffer).slice(start, start + bytes);
}

/** Writes each file compressed beside itself, once, so that the server needs not do it for every reader. */
function precompress(): Plugin {
  let directory = '';
  return {
    name: 'covista-precompress',
    apply: 'build',
    configResolved: ({ root, build }) => {
      directory = resolve(root, build.outDir);
    },
    closeBundle: () => {
      for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
        if (!COMPRESSIBLE.test(name)) continue;
        const path = join(directory, name);
        const content = readFileSync(path);
        // Of much WebAssembly the last percent takes seconds.
        const quality = name.endsWith('.wasm') ? 6 : 9;
        const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } });
        if (brotli.length >= content.length) continue;
        writeFileSync(`${path}.br`, brotli);
        writeFileSync(`${path}.gz`, gzipSync(content, { level: quality }));
      }
    },
  };
}

export default defineConfig({
  root: resolve(ROOT, 'client/workbench'),
  // Served from the root of the server's port.
  base: '/',
  publicDir: false,
  build: {
    outDir: resolve(ROOT, 'dist/workbench'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The policy of the page allows no scripts in place, and small files are cheap over one connection.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4_000,
  },
  plugins: [onlyWhatIsCalled(), preloadNext(), unpackWebAssembly(), precompress()],
});
