import { resolve } from 'node:path';
import { build } from 'esbuild';
import type { Client } from '../../client/index.ts';

/** What runs in a page: `covista` is the client; each function gets what the test passes. */
type Covista = typeof import('../../client/index.ts');
export interface PageScope {
  readonly covista: Covista;
  live: Awaited<ReturnType<Client['document']['open']>>;
  keeper: Awaited<ReturnType<Covista['keepDocuments']>>;
  client: Client;
  errors: string[];
}

/** The script that gives a page its `covista`. */
export async function clientScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, '../../client/index.ts')],
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'covista',
    write: false,
  });
  return `${outputFiles[0]?.text}\nglobalThis.covista = covista;`;
}
