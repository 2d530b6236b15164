import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { prepareProcessServer } from '../support/process-server.ts';

const DOCKERFILE = readFileSync(resolve(import.meta.dirname, '../../server/deploy/Dockerfile'), 'utf8');

/** What the image asks of itself, in an environment. */
async function isHealthy(environment: Readonly<Record<string, string>>): Promise<boolean> {
  const [, json = ''] = /HEALTHCHECK[^[]+CMD (\[.+\])/.exec(DOCKERFILE) ?? [];
  const [, ...args] = JSON.parse(json) as string[];
  const [status] = await once(spawn(process.execPath, args, { env: environment, stdio: 'ignore' }), 'exit');
  return status === 0;
}

test('OPS13 the image tells its health, with TLS and without', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'covista-health-'));
  const [certificate, key] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const failing = createServer((_request, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
  await once(failing, 'listening');
  const plain = await prepareProcessServer();
  const tls = { COVISTA_TLS_CERT: certificate, COVISTA_TLS_KEY: key };
  const sealed = await prepareProcessServer({ environment: tls });
  try {
    await Promise.all([plain.start(), sealed.start()]);
    expect(await isHealthy({ COVISTA_PORT: String(plain.port) })).toBe(true);
    expect(await isHealthy({ COVISTA_PORT: String(sealed.port), ...tls })).toBe(true);
    const port = (failing.address() as AddressInfo).port;
    expect(await isHealthy({ COVISTA_PORT: String(port) })).toBe(false);
    expect(await isHealthy({ COVISTA_PORT: String(port), ...tls })).toBe(false);
  } finally {
    failing.close();
    await Promise.all([plain.dispose(), sealed.dispose()]);
    rmSync(directory, { recursive: true });
  }
});
