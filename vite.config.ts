import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const ROOT = import.meta.dirname;

/** What compresses well. WebAssembly of Perspective is compressed already, and nothing is gained by doing it again. */
const COMPRESSIBLE = /\.(?:html|js|css|svg|json|wasm)$/;

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
        const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
        if (brotli.length >= content.length) continue;
        writeFileSync(`${path}.br`, brotli);
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
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
  plugins: [precompress()],
});
