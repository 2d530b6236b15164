import { LIMITS, type LimitName, type Limits, resolveLimits } from '../protocol/limits.ts';
import { isLoopback, parseNetworks } from './shared/addresses.ts';

/**
 * One setting: how it is written, what it is without being set, and what it is for. Parsing, `--help` and the documentation
 * come from these entries alone.
 */
export interface Setting {
  /** The name in camelCase; `COVISTA_SNAKE_CASE` in the environment and `--kebab-case` as a flag follow from it. */
  readonly name: string;
  readonly type: 'text' | 'list' | 'key' | 'keys' | 'origins' | 'networks' | 'url' | 'port' | 'count' | 'flag' | readonly string[];
  readonly unit?: string;
  /** As it would be written; undefined: not set. */
  readonly fallback: string | undefined;
  readonly prose: string;
  /** Never printed, not even in an error. */
  readonly secret?: boolean;
}

export interface Config {
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly backupDir: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly jwtIssuer: string | undefined;
  readonly jwtAudience: string | undefined;
  readonly jwtClockToleranceMs: number;
  readonly jwtGroupsClaim: string;
  /** What counts as a second factor: values of `amr` and of `acr`; none of either: operations do not ask for one. */
  readonly stepUp: { readonly amr: readonly string[]; readonly acr: readonly string[] };
  readonly allowedOrigins: readonly string[];
  /** Paths of PEM files; undefined: no TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  readonly trustedProxies: readonly string[];
  /** Directory of the built workbench; undefined: where the build puts it. */
  readonly workbenchDir: string | undefined;
  /** Keys of encryption at rest, the current one first; none: it is off. */
  readonly masterKeys: readonly Uint8Array[];
  readonly logLevel: string;
  readonly logPretty: boolean;
  readonly limits: Limits;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that cannot be used; the message names the setting and never shows a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const OWN_SETTINGS: readonly Setting[] = [
  { name: 'port', type: 'port', fallback: '8080', prose: 'Port to listen on; 0 takes any free one' },
  { name: 'host', type: 'text', fallback: '127.0.0.1', prose: 'Address to listen on' },
  { name: 'dataDir', type: 'text', fallback: './data', prose: 'Directory of files, secrets and the embedded PostgreSQL' },
  { name: 'databaseUrl', type: 'url', fallback: undefined, prose: 'PostgreSQL to use; absent: the embedded one', secret: true },
  { name: 'backupDir', type: 'text', fallback: undefined, prose: 'Directory into which the server takes backups of itself; absent: none' },
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

const byVariable = new Map(SETTINGS.map((setting) => [variableOf(setting), setting]));
const byFlag = new Map(SETTINGS.map((setting) => [flagOf(setting), setting]));

interface Given {
  readonly text: string;
  /** How the caller wrote it: the variable or the flag. */
  readonly source: string;
}

/**
 * Reads the configuration: flags (`--name value`, `--name=value`, `--log-pretty`, `--no-log-pretty`) win over the
 * environment, which wins over the defaults. Throws ConfigError for unknown names and for values that make no sense.
 */
export function readConfig(flags: readonly string[], environment: Environment): Config {
  const given = new Map<Setting, Given>([...readEnvironment(environment), ...readFlags(flags)]);
  const value = (name: string): Given | undefined => {
    const setting = SETTINGS.find((candidate) => candidate.name === name) as Setting;
    const found = given.get(setting) ?? (setting.fallback === undefined ? undefined : { text: setting.fallback, source: flagOf(setting) });
    if (found !== undefined) check(setting, found);
    return found;
  };
  const text = (name: string): string => value(name)?.text ?? '';
  const list = (name: string): string[] => listOf(text(name));
  return {
    port: Number(text('port')),
    host: text('host'),
    dataDir: text('dataDir'),
    databaseUrl: value('databaseUrl')?.text,
    backupDir: value('backupDir')?.text,
    jwtSecret: value('jwtSecret')?.text,
    jwksUrl: value('jwksUrl')?.text,
    jwtIssuer: value('jwtIssuer')?.text,
    jwtAudience: value('jwtAudience')?.text,
    jwtClockToleranceMs: Number(text('jwtClockToleranceMs')),
    jwtGroupsClaim: text('jwtGroupsClaim'),
    stepUp: { amr: list('stepUpAmr'), acr: list('stepUpAcr') },
    allowedOrigins: list('allowedOrigins'),
    tls: readTls(value('tlsCert')?.text, value('tlsKey')?.text),
    trustedProxies: list('trustedProxy'),
    workbenchDir: value('workbenchDir')?.text,
    masterKeys: readMasterKeys(value('masterKey')?.text, value('masterKeyPrevious')?.text),
    logLevel: text('logLevel'),
    logPretty: value('logPretty') === undefined ? process.stderr.isTTY === true : text('logPretty') === 'true',
    limits: readLimits(given),
  };
}

/** The flags among `args` that are settings (with their values), and everything else, for commands with flags of their own. */
export function separateFlags(args: readonly string[]): { readonly settings: string[]; readonly others: string[] } {
  const settings: string[] = [];
  const others: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] as string;
    const setting = settingOfFlag(arg);
    (setting === undefined ? others : settings).push(arg);
    if (setting !== undefined && setting.type !== 'flag' && !arg.includes('=') && index + 1 < args.length) settings.push(args[++index] as string);
  }
  return { settings, others };
}

/** The table of settings as `--help` prints it. */
export function settingsHelp(): string {
  return SETTINGS.map((setting) => {
    const fallback = setting.fallback === undefined ? '' : ` [${setting.fallback}${setting.unit === undefined ? '' : ` ${setting.unit}`}]`;
    return `  ${flagOf(setting)}\n      ${setting.prose}${fallback}`;
  }).join('\n');
}

function settingOfFlag(arg: string): Setting | undefined {
  const name = arg.split('=', 1)[0] as string;
  const positive = byFlag.get(name);
  if (positive !== undefined) return positive;
  const negated = name.startsWith('--no-') ? byFlag.get(`--${name.slice(5)}`) : undefined;
  return negated?.type === 'flag' ? negated : undefined;
}

function* readFlags(args: readonly string[]): Generator<[Setting, Given]> {
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] as string;
    const setting = settingOfFlag(arg);
    const name = arg.split('=', 1)[0] as string;
    if (setting === undefined) throw new ConfigError(`there is no setting ${name}; see --help`);
    if (arg.length > name.length) yield [setting, { text: arg.slice(name.length + 1), source: name }];
    else if (setting.type === 'flag') yield [setting, { text: String(!name.startsWith('--no-')), source: name }];
    else {
      index += 1;
      const text = args[index];
      if (text === undefined) throw new ConfigError(`${name} needs a value`);
      yield [setting, { text, source: name }];
    }
  }
}

function* readEnvironment(environment: Environment): Generator<[Setting, Given]> {
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('COVISTA_') || text === undefined) continue;
    const setting = byVariable.get(variable);
    if (setting === undefined) throw new ConfigError(`there is no setting ${variable}`);
    yield [setting, { text, source: variable }];
  }
}

function check(setting: Setting, { text, source }: Given): void {
  const fault = faultOf(setting.type, text);
  if (fault === undefined) return;
  throw new ConfigError(setting.secret === true ? `${source} ${fault}` : `${source} ${fault}, not "${text.slice(0, 200)}"`);
}

function faultOf(type: Setting['type'], text: string): string | undefined {
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
  if (type === 'networks') return areNetworks(listOf(text)) ? undefined : 'must be addresses or networks such as 10.0.0.0/8';
  if (!/^\d{1,15}$/.test(text)) return 'must be a whole number of at least 0';
  return type === 'port' && Number(text) > 65_535 ? 'must be a port, at most 65535' : undefined;
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

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

function decodeKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === KEY_BYTES ? key : undefined;
}

function readMasterKeys(current: string | undefined, previous: string | undefined): Uint8Array[] {
  if (current === undefined && previous !== undefined) throw new ConfigError('--master-key-previous goes with --master-key');
  return [...(current === undefined ? [] : [current]), ...listOf(previous ?? '')].flatMap((text) => decodeKey(text) ?? []);
}

function readTls(certificate: string | undefined, key: string | undefined): Config['tls'] {
  if ((certificate === undefined) !== (key === undefined)) throw new ConfigError('--tls-cert and --tls-key go together');
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** Whether others than this machine can reach the server, be it through a proxy. */
export function isReachable({ host, trustedProxies }: Pick<Config, 'host' | 'trustedProxies'>): boolean {
  return !isLoopback(host) || trustedProxies.length > 0;
}

/** Throws ConfigError where tokens and data would travel between machines for everybody to read. */
export function assertSafeToListen({ host, tls, trustedProxies }: Pick<Config, 'host' | 'tls' | 'trustedProxies'>): void {
  if (isLoopback(host) || tls !== undefined || trustedProxies.length > 0) return;
  throw new ConfigError(
    `--host ${host} is reached from other machines, and tokens would travel unencrypted: set --tls-cert and --tls-key, or --trusted-proxy for a proxy that does TLS`,
  );
}

function readLimits(given: ReadonlyMap<Setting, Given>): Limits {
  const overrides: Partial<Record<LimitName, number>> = {};
  for (const [setting, value] of given) {
    if (!(setting.name in LIMITS)) continue;
    check(setting, value);
    overrides[setting.name as LimitName] = Number(value.text);
  }
  try {
    return resolveLimits(overrides);
  } catch (fault) {
    if (fault instanceof RangeError) throw new ConfigError(fault.message);
    throw fault;
  }
}
