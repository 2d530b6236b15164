import { LIMITS, type LimitName, type Limits, resolveLimits } from '../protocol/limits.ts';
import { decodeKey, faultOf, flagOf, listOf, SETTINGS, type Setting, variableOf } from './settings.ts';
import { isLoopback } from './shared/addresses.ts';

export interface Config {
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  readonly databaseUrl: string | undefined;
  readonly backupDir: string | undefined;
  /** Where alerts are posted to, and with what they are signed; both or neither. */
  readonly alertWebhookUrl: string | undefined;
  readonly alertWebhookSecret: string | undefined;
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
  /** Whether this server runs schedules. */
  readonly schedules: boolean;
  /** Private networks that webhooks may reach. */
  readonly webhookNetworks: readonly string[];
  /** Engines of tables that run. */
  readonly tableEngines: readonly string[];
  /** Directory of the built workbench; undefined: where the build puts it. */
  readonly workbenchDir: string | undefined;
  /** Keys of encryption at rest, the current one first; none: it is off. */
  readonly masterKeys: readonly Uint8Array[];
  /** Undefined: no traces. */
  readonly traceEndpoint: string | undefined;
  readonly logLevel: string;
  readonly logPretty: boolean;
  readonly limits: Limits;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that cannot be used; the message names the setting and never shows a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

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
    ...readWebhook(value('alertWebhookUrl')?.text, value('alertWebhookSecret')?.text),
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
    schedules: text('schedules') === 'true',
    webhookNetworks: list('webhookNetworks'),
    tableEngines: list('tableEngines').filter((name) => name !== 'none'),
    workbenchDir: value('workbenchDir')?.text,
    masterKeys: readMasterKeys(value('masterKey')?.text, value('masterKeyPrevious')?.text),
    traceEndpoint: value('traceEndpoint')?.text,
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

function readMasterKeys(current: string | undefined, previous: string | undefined): Uint8Array[] {
  if (current === undefined && previous !== undefined) throw new ConfigError('--master-key-previous goes with --master-key');
  return [...(current === undefined ? [] : [current]), ...listOf(previous ?? '')].flatMap((text) => decodeKey(text) ?? []);
}

function readTls(certificate: string | undefined, key: string | undefined): Config['tls'] {
  if ((certificate === undefined) !== (key === undefined)) throw new ConfigError('--tls-cert and --tls-key go together');
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

function readWebhook(url: string | undefined, secret: string | undefined): Pick<Config, 'alertWebhookUrl' | 'alertWebhookSecret'> {
  if ((url === undefined) !== (secret === undefined)) throw new ConfigError('--alert-webhook-url and --alert-webhook-secret go together');
  return { alertWebhookUrl: url, alertWebhookSecret: secret };
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
