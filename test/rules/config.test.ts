import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { ConfigError, readConfig, separateFlags } from '../../server/config.ts';
import { flagOf, SETTINGS, settingsHelp, variableOf } from '../../server/settings.ts';

function refusal(flags: readonly string[], environment: Record<string, string> = {}): string {
  try {
    readConfig(flags, environment);
  } catch (fault) {
    if (fault instanceof ConfigError) return fault.message;
    throw fault;
  }
  return 'accepted';
}

describe('settings', () => {
  test('SET1 without anything set, every setting has its default', () => {
    const { limits, logPretty, ...config } = readConfig([], { PATH: '/bin' });
    expect(config).toEqual({
      port: 8080,
      host: '127.0.0.1',
      dataDir: './data',
      databaseUrl: undefined,
      alertWebhookUrl: undefined,
      alertWebhookSecret: undefined,
      traceEndpoint: undefined,
      jwtSecret: undefined,
      masterKeys: [],
      jwksUrl: undefined,
      jwtIssuer: undefined,
      jwtAudience: undefined,
      jwtClockToleranceMs: 5_000,
      jwtGroupsClaim: 'groups',
      stepUp: { amr: [], acr: [] },
      allowedOrigins: [],
      tls: undefined,
      trustedProxies: [],
      schedules: true,
      webhookNetworks: [],
      tableEngines: ['memory', 'duckdb'],
      logLevel: 'info',
    });
    expect(limits).toEqual(Object.fromEntries(Object.entries(LIMITS).map(([name, { value }]) => [name, value])));
    expect(typeof logPretty).toBe('boolean');
  });

  test('SET1 the environment sets, and flags win over it', () => {
    const environment = { COVISTA_PORT: '1', COVISTA_HOST: '::1', COVISTA_FRAME_BYTES_MAX: '300000', COVISTA_LOG_PRETTY: 'true' };
    const config = readConfig(['--port', '2', '--data-dir=/tmp/x=y', '--no-log-pretty', '--request-bytes-max', '500000'], environment);
    expect(config).toMatchObject({
      port: 2,
      host: '::1',
      dataDir: '/tmp/x=y',
      logPretty: false,
      limits: { frameBytesMax: 300_000, requestBytesMax: 500_000 },
    });
    expect(readConfig(['--log-pretty'], {}).logPretty).toBe(true);
  });

  test('SET1 every setting has a variable and a flag of its own', () => {
    expect(new Set(SETTINGS.map(variableOf)).size).toBe(SETTINGS.length);
    expect(new Set(SETTINGS.map(flagOf)).size).toBe(SETTINGS.length);
    expect(variableOf({ name: 'jwtClockToleranceMs', type: 'count', fallback: undefined, prose: '' })).toBe('COVISTA_JWT_CLOCK_TOLERANCE_MS');
    expect(flagOf({ name: 'frameBytesMax', type: 'count', fallback: undefined, prose: '' })).toBe('--frame-bytes-max');
    expect(SETTINGS.filter(({ name }) => !settingsHelp().includes(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`))).toEqual(
      [],
    );
  });

  test.each([
    [['--prot', '1'], {}, '--prot'],
    [['serve'], {}, 'serve'],
    [['--port'], {}, '--port needs a value'],
    [['--port', 'x'], {}, '--port must be a whole number of at least 0, not "x"'],
    [['--port=70000'], {}, '--port must be a port, at most 65535, not "70000"'],
    [['--port', '-1'], {}, '--port'],
    [['--log-level', 'loud'], {}, '--log-level must be one of fatal, error'],
    [['--log-pretty=yes'], {}, '--log-pretty must be true or false'],
    [['--jwks-url', 'nowhere'], {}, '--jwks-url must be a URL'],
    [['--data-dir='], {}, '--data-dir must not be empty'],
    [[], { COVISTA_PROT: '1' }, 'COVISTA_PROT'],
    [[], { COVISTA_PORT: '' }, 'COVISTA_PORT must not be empty'],
    [[], { COVISTA_FRAME_BYTES_MAX: '1e6' }, 'COVISTA_FRAME_BYTES_MAX must be a whole number'],
    [[], { COVISTA_FRAME_BYTES_MAX: '10' }, 'helloBytesMax <= frameBytesMax'],
  ])('SET2 %j with %j is refused and named', (flags, environment, message) => {
    expect(refusal(flags, environment as Record<string, string>)).toContain(message);
  });

  test('SET3 secrets never appear in errors', () => {
    expect(refusal([], { COVISTA_DATABASE_URL: 'not a url with hunter2' })).toBe('COVISTA_DATABASE_URL must be a URL');
    expect(refusal(['--database-url', 'hunter2'])).toBe('--database-url must be a URL');
    expect(refusal(['--jwt-secret', ''])).toBe('--jwt-secret must not be empty');
    expect(refusal([], { COVISTA_JWT_SECRET: 'hunter2', COVISTA_PORT: 'x' })).not.toContain('hunter2');
  });

  test('SET1 flags of a command are told apart from settings', () => {
    expect(separateFlags(['a.csv', '--port', '5', '--dataset', 'x', '--log-pretty', '--data-dir=/d', '--no-log-pretty', '--port'])).toEqual({
      settings: ['--port', '5', '--log-pretty', '--data-dir=/d', '--no-log-pretty', '--port'],
      others: ['a.csv', '--dataset', 'x'],
    });
  });
});

describe('the master key', () => {
  const hex = 'a1'.repeat(32);
  const base64 = Buffer.from(hex, 'hex').toString('base64');

  test('ENC5 is 32 bytes in hexadecimal or base64, the current one first', () => {
    expect(readConfig(['--master-key', hex], {}).masterKeys).toEqual([Buffer.from(hex, 'hex')]);
    const both = readConfig([], { COVISTA_MASTER_KEY: base64, COVISTA_MASTER_KEY_PREVIOUS: `${'b2'.repeat(32)}, ${'c3'.repeat(32)}` }).masterKeys;
    expect(both.map((key) => key[0])).toEqual([0xa1, 0xb2, 0xc3]);
  });

  test.each(['short', 'a1'.repeat(31), `${hex}00`, 'x'.repeat(64)])('SET3 ENC5 %j is refused without being repeated', (text) => {
    const read = (): unknown => readConfig(['--master-key', text], {});
    expect(read).toThrow('--master-key must be 32 bytes');
    expect(read).not.toThrow(text);
  });

  test('ENC5 a previous one without a current one makes no sense', () => {
    expect(() => readConfig(['--master-key-previous', hex], {})).toThrow('goes with --master-key');
  });
});
