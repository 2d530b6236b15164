import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { prepareProcessServer } from '../support/process-server.ts';

const DOCKERFILE = readFileSync(resolve(import.meta.dirname, '../../server/deploy/Dockerfile'), 'utf8');

/** What the image asks of itself, in an environment. */
function isHealthy(environment: Readonly<Record<string, string>>): boolean {
  const [, json = ''] = /HEALTHCHECK[^[]+CMD (\[.+\])/.exec(DOCKERFILE) ?? [];
  const [, ...args] = JSON.parse(json) as string[];
  return spawnSync(process.execPath, args, { env: environment }).status === 0;
}

test('OPS13 the image tells its health, with TLS and without', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'covista-health-'));
  const [certificate, key] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...made, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const plain = await prepareProcessServer();
  const tls = { COVISTA_TLS_CERT: certificate, COVISTA_TLS_KEY: key };
  const sealed = await prepareProcessServer({ environment: tls });
  try {
    const [one, other] = await Promise.all([plain.start(), sealed.start()]);
    expect(isHealthy({ COVISTA_PORT: String(plain.port) })).toBe(true);
    expect(isHealthy({ COVISTA_PORT: String(sealed.port), ...tls })).toBe(true);
    one.kill('SIGTERM');
    other.kill('SIGTERM');
    await Promise.all([one.ended, other.ended]);
    expect(isHealthy({ COVISTA_PORT: String(plain.port) })).toBe(false);
    expect(isHealthy({ COVISTA_PORT: String(sealed.port), ...tls })).toBe(false);
  } finally {
    await Promise.all([plain.dispose(), sealed.dispose()]);
    rmSync(directory, { recursive: true });
  }
});
