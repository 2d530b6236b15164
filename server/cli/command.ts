import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util';
import { type Config, type Environment, readConfig, separateFlags } from '../config.ts';
import type { Terminal } from './terminal.ts';

/** A server that is down is reported after so many attempts. */
export const CONNECT_ATTEMPTS_MAX = 3;

export interface RunningServer {
  /** `http://HOST:PORT`. */
  readonly url: string;
  stop(): Promise<void>;
}

export type StartServer = (config: Config) => Promise<RunningServer>;

/** What the wiring gives to commands. */
export interface Programs {
  readonly startServer: StartServer;
}

/** A flag of a command, as `parseArgs` takes it and `--help` prints it. */
export interface Flag extends ParseArgsOptionDescriptor {
  /** How the value is written in the help; absent for flags without one. */
  readonly value?: string;
  readonly prose: string;
}

export type FlagValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Invocation {
  readonly flags: FlagValues;
  readonly operands: readonly string[];
  readonly config: Config;
  /** Whether a setting was given by flag or environment rather than left at its default. */
  readonly given: (setting: 'dataDir') => boolean;
  readonly client: ClientAddress;
  readonly programs: Programs;
  readonly terminal: Terminal;
}

/** Where a client command finds its server, as the environment says. */
export interface ClientAddress {
  readonly url: string | undefined;
  readonly token: string | undefined;
}

/** A command of `covista`: everything that is known of it, in one place. */
export interface Command {
  readonly summary: string;
  /** How operands are written, such as `FILE…`; absent where there are none. */
  readonly operands?: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Answers the exit status. */
  run(invocation: Invocation): Promise<number>;
}

/** The command line makes no sense; the exit status is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface CommandLine {
  readonly args: readonly string[];
  readonly environment: Environment;
  readonly programs: Programs;
  readonly terminal: Terminal;
}

/** What of an environment says where a client finds its server, apart from the settings of a server. */
export function readAddress(environment: Environment): { readonly client: ClientAddress; readonly server: Environment } {
  const { COVISTA_URL: url, COVISTA_TOKEN: token, ...server } = environment;
  return { client: { url, token }, server };
}

/** Reads the arguments of a command; throws UsageError, or ConfigError for a setting that cannot be used. */
export function readInvocation(command: Command, { args, environment, programs, terminal }: CommandLine): Invocation {
  const { settings, others } = separateFlags(args);
  const { client, server } = readAddress(environment);
  const { values, positionals } = parse(command, others);
  if (command.operands === undefined && positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
  return {
    flags: values,
    operands: positionals,
    config: readConfig(settings, server),
    given: () => server.COVISTA_DATA_DIR !== undefined || settings.some((arg) => arg === '--data-dir' || arg.startsWith('--data-dir=')),
    client,
    programs,
    terminal,
  };
}

function parse(command: Command, args: readonly string[]): { values: FlagValues; positionals: string[] } {
  const options = Object.fromEntries(Object.entries(command.flags).map(([name, { value, prose, ...option }]) => [name, option]));
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (fault) {
    if (fault instanceof TypeError) throw new UsageError(fault.message);
    throw fault;
  }
}

/** The value of a flag that takes one. */
export function textFlag(flags: FlagValues, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

/** The values of a flag that may be repeated. */
export function listFlag(flags: FlagValues, name: string): string[] {
  const values = flags[name];
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
}
