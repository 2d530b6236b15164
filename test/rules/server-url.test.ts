import { expect, test } from 'vitest';
import { isLocal, serverUrl } from '../../server/cli/server-url.ts';
import { runCli } from '../support/cli.ts';
import { freePort } from '../support/process-server.ts';

const SETTINGS = { host: '127.0.0.1', port: 8080, tls: undefined };
const TLS = { certificate: 'a', key: 'b' };
const found = (flag: string | undefined, config: Partial<Parameters<typeof serverUrl>[0]['config']> = {}, url?: string): URL =>
  serverUrl({ flags: { url: flag }, client: { url }, config: { ...SETTINGS, ...config } });

test.each([
  [{}, 'http://127.0.0.1:8080/'],
  [{ host: '::1' }, 'http://[::1]:8080/'],
  [{ host: '0.0.0.0', tls: TLS }, 'https://127.0.0.1:8080/'],
  [{ host: '::', tls: TLS }, 'https://[::1]:8080/'],
])('CLI11 settings of %j are reached at %s', (config, href) => {
  const url = found(undefined, config);
  expect(url.href).toBe(href);
  expect(isLocal(url)).toBe(true);
});

test.each([
  ['ws://localhost:9000', 'http://localhost:9000/', true],
  ['wss://example.com/covista', 'https://example.com/covista', false],
  ['http://0.0.0.0:9000', 'http://127.0.0.1:9000/', true],
  ['http://[::ffff:127.0.0.1]', 'http://[::ffff:7f00:1]/', true],
  ['http://127.evil.example', 'http://127.evil.example/', false],
])('CLI10 CLI11 %s is %s', (text, href, local) => {
  expect(found(text, {}, 'http://example.org').href).toBe(href);
  expect(found(undefined, {}, text).href).toBe(href);
  expect(isLocal(found(text))).toBe(local);
});

test.each(['localhost:8080', 'ftp://localhost', 'nonsense', ''])('CLI10 "%s" is no address of a server', (text) => {
  expect(() => found(text)).toThrow(`not "${text}"`);
});

test.each(['::1', '0.0.0.0'])('CLI10 CLI11 load and import look for the server of the settings at host %s', async (host) => {
  const flags = ['--token', 'x', '--host', host, '--port', String(await freePort())];
  for (const command of [['load'], ['import', import.meta.filename]]) {
    expect(await runCli([...command, ...flags])).toMatchObject({ status: 1, err: expect.stringContaining('(unavailable)') });
  }
});
