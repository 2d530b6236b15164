import { CovistaError } from '../../protocol/errors.ts';
import { ConfigError, type Environment } from '../config.ts';
import { backup } from './backup.ts';
import { type Command, type Programs, readInvocation, UsageError } from './command.ts';
import { demo } from './demo.ts';
import { commandHelp, overview, packageVersion } from './help.ts';
import { importFiles } from './import.ts';
import { load } from './load/load.ts';
import { migrateDatabase } from './migrate.ts';
import { restore } from './restore.ts';
import { serve } from './serve.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { token } from './token.ts';
import { verify } from './verify.ts';

export type { Programs, RunningServer, StartServer } from './command.ts';

/** THE table of commands: dispatch and help come from it alone. */
const COMMANDS: Readonly<Record<string, Command>> = {
  serve,
  demo,
  token,
  migrate: migrateDatabase,
  import: importFiles,
  load,
  backup,
  restore,
  verify,
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
  if (name === '--help' || name === '-h' || name === 'help') return print(terminal, overview(COMMANDS));
  try {
    const command = find(name);
    if (args.includes('--help') || args.includes('-h')) return print(terminal, commandHelp(name ?? '', command));
    return await command.run(readInvocation(command, { args, environment, programs, terminal }));
  } catch (fault) {
    return report(terminal, name, fault);
  }
}

function print(terminal: Terminal, text: string): number {
  terminal.print(text);
  return 0;
}

function find(name: string | undefined): Command {
  if (name === undefined) throw new UsageError('which command?');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command "${name}"`);
  return command;
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
