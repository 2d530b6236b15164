import { CovistaError } from '../../protocol/errors.ts';
import { ConfigError, type Environment } from '../config.ts';
import { type Command, type Programs, readInvocation, UsageError } from './command.ts';
import { commandHelp, overview, packageVersion } from './help.ts';
import { processTerminal, type Terminal } from './terminal.ts';

export type { Programs, RunningServer, StartServer } from './command.ts';

/** THE table of commands: dispatch and help come from it alone. Each is loaded when it is wanted, so that a small one starts at once. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  demo: async () => (await import('./demo.ts')).demo,
  token: async () => (await import('./token.ts')).token,
  migrate: async () => (await import('./migrate.ts')).migrateDatabase,
  import: async () => (await import('./import.ts')).importFiles,
  load: async () => (await import('./load/load.ts')).load,
  backup: async () => (await import('./backup.ts')).backup,
  restore: async () => (await import('./restore.ts')).restore,
  verify: async () => (await import('./verify.ts')).verify,
};

/** Runs a command line and answers its exit status: 0 done, 1 failed, 2 not understood. Never rejects for what a user did. */
export async function runCommand(
  argv: readonly string[],
  environment: Environment,
  programs: Programs,
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const [name, ...args] = argv;
  if (name === '--version' || name === '-v') return print(terminal, `${packageVersion()}\n`);
  if (name === '--help' || name === '-h' || name === 'help') return print(terminal, overview(await loadAll()));
  try {
    const command = await find(name);
    if (args.includes('--help') || args.includes('-h')) return print(terminal, commandHelp(name ?? '', command));
    return await command.run(readInvocation(command, { args, environment, programs, terminal }));
  } catch (fault) {
    return report(terminal, name, fault);
  }
}

async function loadAll(): Promise<Record<string, Command>> {
  const loaded = await Promise.all(Object.entries(COMMANDS).map(async ([name, command]) => [name, await command()] as const));
  return Object.fromEntries(loaded);
}

function print(terminal: Terminal, text: string): number {
  terminal.print(text);
  return 0;
}

async function find(name: string | undefined): Promise<Command> {
  if (name === undefined) throw new UsageError('which command?');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command "${name}"`);
  return command();
}

function report(terminal: Terminal, name: string | undefined, fault: unknown): number {
  if (fault instanceof UsageError || fault instanceof ConfigError) {
    const known = name !== undefined && Object.hasOwn(COMMANDS, name);
    terminal.say(`covista: ${fault.message}\nSee: covista ${known ? `${name} --help` : '--help'}\n`);
    return 2;
  }
  terminal.say(`covista: ${explain(fault)}\n`);
  return 1;
}

/** What people expect to go wrong is told in its own words; of a fault of the program the whole trace is. */
function explain(fault: unknown): string {
  if (fault instanceof CovistaError) return `${fault.message} (${fault.code})`;
  if (fault instanceof Error && 'code' in fault) return fault.message;
  return fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
}
