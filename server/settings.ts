import { LIMITS } from '../protocol/limits.ts';
import { ENGINES } from '../protocol/operations/table.ts';
import { parseNetworks } from './shared/addresses.ts';

/**
 * One setting: how it is written, what it is without being set, and what it is for. Parsing, `--help` and the documentation
 * come from these entries alone.
 */
export interface Setting {
  /** The name in camelCase; `COVISTA_SNAKE_CASE` in the environment and `--kebab-case` as a flag follow from it. */
  readonly name: string;
  readonly type: 'text' | 'list' | 'key' | 'keys' | 'origins' | 'networks' | 'engines' | 'url' | 'port' | 'count' | 'flag' | readonly string[];
  readonly unit?: string;
  /** As it would be written; undefined: not set. */
  readonly fallback: string | undefined;
  readonly prose: string;
  /** Never printed, not even in an error. */
  readonly secret?: boolean;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const OWN_SETTINGS: readonly Setting[] = [
  { name: 'port', type: 'port', fallback: '8080', prose: 'Port to listen on; 0 takes any free one' },
  { name: 'host', type: 'text', fallback: '127.0.0.1', prose: 'Address to listen on' },
  { name: 'dataDir', type: 'text', fallback: './data', prose: 'Directory of files, secrets and the embedded PostgreSQL' },
  { name: 'databaseUrl', type: 'url', fallback: undefined, prose: 'PostgreSQL to use; absent: the embedded one', secret: true },
  { name: 'backupDir', type: 'text', fallback: undefined, prose: 'Directory into which the server takes backups of itself; absent: none' },
  { name: 'alertWebhookUrl', type: 'url', fallback: undefined, prose: 'Where alerts are posted to as JSON; absent: nowhere', secret: true },
  {
    name: 'alertWebhookSecret',
    type: 'text',
    fallback: undefined,
    prose: 'Secret with which what is posted there is signed (HMAC-SHA-256)',
    secret: true,
  },
  { name: 'jwtSecret', type: 'text', fallback: undefined, prose: 'Shared secret (HS256) of tokens; absent: made on first start', secret: true },
  { name: 'jwksUrl', type: 'url', fallback: undefined, prose: 'Where the public keys of tokens are published (JWKS)' },
  { name: 'jwtIssuer', type: 'text', fallback: undefined, prose: 'Issuer that tokens must name' },
  { name: 'jwtAudience', type: 'text', fallback: undefined, prose: 'Audience that tokens must name' },
  { name: 'jwtClockToleranceMs', type: 'count', unit: 'ms', fallback: '5000', prose: 'How far the clock of the issuer may be off' },
  { name: 'jwtGroupsClaim', type: 'text', fallback: 'groups', prose: 'Claim that lists the groups of the caller' },
  { name: 'stepUpAmr', type: 'list', fallback: undefined, prose: 'Values of the claim amr, separated by commas, that count as a second factor' },
  { name: 'stepUpAcr', type: 'list', fallback: undefined, prose: 'Values of the claim acr, separated by commas, that count as a second factor' },
  { name: 'allowedOrigins', type: 'origins', fallback: undefined, prose: 'Origins of other web pages that may use the server, separated by commas' },
  { name: 'tlsCert', type: 'text', fallback: undefined, prose: 'File of the TLS certificate with its chain (PEM); goes with the key' },
  { name: 'tlsKey', type: 'text', fallback: undefined, prose: 'File of the private key of the TLS certificate (PEM)' },
  {
    name: 'trustedProxy',
    type: 'networks',
    fallback: undefined,
    prose: 'Addresses or networks of proxies, separated by commas, that do TLS and whose X-Forwarded-For is believed',
  },
  { name: 'schedules', type: 'flag', fallback: 'true', prose: 'Whether this server runs schedules; a copy of an installation better does not' },
  {
    name: 'webhookNetworks',
    type: 'networks',
    fallback: undefined,
    prose: 'Private addresses or networks, separated by commas, that webhooks may reach; absent: public ones only',
  },
  {
    name: 'tableEngines',
    type: 'engines',
    fallback: 'memory,duckdb',
    prose: 'Engines of tables that run, separated by commas: memory, duckdb; none: there are no tables, and everything else works',
  },
  { name: 'workbenchDir', type: 'text', fallback: undefined, prose: 'Directory of the built workbench page; absent: the one that comes along' },
  {
    name: 'masterKey',
    type: 'key',
    fallback: undefined,
    prose: 'Turns encryption at rest on: 32 random bytes in base64 or as 64 hexadecimal digits; without them nothing can be read again',
    secret: true,
  },
  {
    name: 'masterKeyPrevious',
    type: 'keys',
    fallback: undefined,
    prose: 'Earlier master keys, separated by commas; the start with a new master key needs the one before',
    secret: true,
  },
  {
    name: 'traceEndpoint',
    type: 'url',
    fallback: undefined,
    prose: 'Where traces go (OpenTelemetry, OTLP over HTTP, such as http://collector:4318/v1/traces); absent: none are made',
  },
  { name: 'logLevel', type: LOG_LEVELS, fallback: 'info', prose: 'Least severe entries that are logged' },
  { name: 'logPretty', type: 'flag', fallback: undefined, prose: 'Log for people instead of JSON lines; absent: on a terminal' },
];

/** Every setting, those of `limits.ts` included. */
export const SETTINGS: readonly Setting[] = [
  ...OWN_SETTINGS,
  ...Object.entries(LIMITS).map(([name, { value, unit, why }]): Setting => ({ name, type: 'count', unit, fallback: String(value), prose: why })),
];

const words = (name: string): string[] => name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
export const variableOf = ({ name }: Setting): string => `COVISTA_${words(name).join('_').toUpperCase()}`;
export const flagOf = ({ name }: Setting): string => `--${words(name).join('-')}`;

/** The table of settings as `--help` prints it. */
export function settingsHelp(): string {
  return SETTINGS.map((setting) => {
    const fallback = setting.fallback === undefined ? '' : ` [${setting.fallback}${setting.unit === undefined ? '' : ` ${setting.unit}`}]`;
    return `  ${flagOf(setting)}\n      ${setting.prose}${fallback}`;
  }).join('\n');
}

/** The table of settings as the operator's chapter has it: Markdown. */
export function settingsTable(): string {
  const rows = SETTINGS.map((setting) => {
    const { type, unit, fallback, prose, secret } = setting;
    const value = fallback === undefined ? '' : `\`${fallback}\`${unit === undefined ? '' : ` ${unit}`}`;
    const kind = typeof type === 'object' ? type.join(', ') : type;
    return `| \`${variableOf(setting)}\` | \`${flagOf(setting)}\` | ${kind} | ${value} | ${prose.replaceAll('|', '\\|')}${secret === true ? ' (secret)' : ''} |`;
  });
  return ['| variable | flag | type | default | what for |', '| --- | --- | --- | --- | --- |', ...rows, ''].join('\n');
}

/** What is wrong with a value as it is written; undefined: nothing. */
export function faultOf(type: Setting['type'], text: string): string | undefined {
  if (text.length === 0) return 'must not be empty';
  if (typeof type === 'object') return type.includes(text) ? undefined : `must be one of ${type.join(', ')}`;
  if (type === 'flag') return text === 'true' || text === 'false' ? undefined : 'must be true or false';
  if (type === 'url') return URL.canParse(text) ? undefined : 'must be a URL';
  if (type === 'text' || type === 'list') return undefined;
  if (type === 'key' || type === 'keys') {
    const keys = type === 'key' ? [text] : listOf(text);
    return keys.every((key) => decodeKey(key) !== undefined) ? undefined : 'must be 32 bytes in base64 or as 64 hexadecimal digits';
  }
  if (type === 'origins') return listOf(text).every(isOrigin) ? undefined : 'must be origins such as https://example.org, or *';
  if (type === 'engines') return areEngines(listOf(text)) ? undefined : 'must be some of memory and duckdb, or none';
  if (type === 'networks') return areNetworks(listOf(text)) ? undefined : 'must be addresses or networks such as 10.0.0.0/8';
  if (!/^\d{1,15}$/.test(text)) return 'must be a whole number of at least 0';
  return type === 'port' && Number(text) > 65_535 ? 'must be a port, at most 65535' : undefined;
}

export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const areEngines = (names: readonly string[]): boolean =>
  names.length > 0 && (names.join() === 'none' || names.every((name) => (ENGINES as readonly string[]).includes(name)));

const isOrigin = (text: string): boolean => text === '*' || (URL.canParse(text) && new URL(text).origin === text);

function areNetworks(texts: readonly string[]): boolean {
  try {
    parseNetworks(texts);
    return true;
  } catch (fault) {
    if (fault instanceof RangeError) return false;
    throw fault;
  }
}

const KEY_BYTES = 32;

/** The bytes of a key as settings write it; undefined where it is none. */
export function decodeKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === KEY_BYTES ? key : undefined;
}
