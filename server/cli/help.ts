import { createRequire } from 'node:module';
import { settingsHelp } from '../settings.ts';
import type { Command, Flag } from './command.ts';

/** The version of the package, wherever the compiled files lie in it. */
export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('covista/package.json') as { readonly version: string };
  return version;
}

export function overview(commands: Readonly<Record<string, Command>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: covista COMMAND [FLAGS]\n\nCommands:\n${lines.join('\n')}\n\n  --help, --version\n\n${settings()}`;
}

export function commandHelp(name: string, { summary, operands, flags }: Command): string {
  const usage = ['covista', name, ...(operands === undefined ? [] : [operands]), '[FLAGS]'].join(' ');
  const own = Object.entries(flags).map(([flag, description]) => `  ${written(flag, description)}\n      ${description.prose}`);
  const section = own.length === 0 ? '' : `\nFlags:\n${own.join('\n')}\n`;
  return `Usage: ${usage}\n\n${summary}.\n${section}\n${settings()}`;
}

function written(flag: string, { value, multiple }: Flag): string {
  return `--${flag}${value === undefined ? '' : ` ${value}`}${multiple === true ? ' …' : ''}`;
}

function settings(): string {
  return `Settings, as flags or as environment variables (--data-dir is COVISTA_DATA_DIR):\n${settingsHelp()}\n`;
}
