import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const RECOVERY = readFileSync(join(import.meta.dirname, '../../server/deploy/RECOVERY.md'), 'utf8');

/** The blocks of commands below a heading of RECOVERY.md, in order. */
export function commandsBelow(heading: string): string[] {
  const [, section = ''] = RECOVERY.split(`\n## ${heading}\n`);
  return [...(section.split('\n## ')[0] ?? '').matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
}

export interface Runbook {
  /** What stands in the place of paths, people and times of the text, the longest first. */
  readonly names: Readonly<Record<string, string>>;
  /** What is done where a line begins with these words: programs that a test has no own of. Given the rest of the line. */
  readonly instead: Readonly<Record<string, (rest: string) => Promise<void>>>;
  /** Of the shell, beside that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Does what a block says, line by line, through a shell; fails with the first command that does. */
export async function follow(block: string, { names, instead, environment }: Runbook): Promise<void> {
  const texts = Object.keys(names).sort((one, other) => other.length - one.length);
  const anyName = new RegExp(texts.map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  let shell: string[] = [];
  const flush = async (): Promise<void> => {
    if (shell.length > 0) await run('sh', ['-euc', shell.join('\n')], { env: { ...process.env, ...environment } });
    shell = [];
  };
  for (const line of block.split('\n')) {
    const named = line.replaceAll(anyName, (name) => names[name] ?? name);
    const words = Object.keys(instead).find((begin) => named.startsWith(begin));
    if (words === undefined) {
      shell.push(named);
      continue;
    }
    await flush();
    await instead[words]?.(named.slice(words.length).replace(/#.*/, '').trim());
  }
  await flush();
}
