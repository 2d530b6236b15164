import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** What the recovery chapter is followed with. */
const NEEDED = ['postgres', 'initdb', 'psql', 'pg_basebackup', 'pg_verifybackup'];
/** Where systems that have several versions side by side put each of them. */
const BESIDE = [
  { root: '/usr/lib/postgresql', name: /^\d+$/ },
  { root: '/usr', name: /^pgsql-\d+$/ },
];
/** The oldest that Covista works on. */
const MAJOR_MIN = 15;

export interface PostgresPrograms {
  /** Has `bin`. */
  readonly directory: string;
  readonly major: number;
}

/**
 * The newest PostgreSQL of this machine that has its tools beside it, `pg_basebackup` among them, which takes no server that is newer than
 * itself; undefined: there is none. On Debian, `apt-get install postgresql` brings it.
 */
export function programsOfMachine(): PostgresPrograms | undefined {
  const beside = BESIDE.flatMap(({ root, name }) =>
    (existsSync(root) ? readdirSync(root).filter((entry) => name.test(entry)) : []).map((entry) => join(root, entry)),
  );
  const onPath = (process.env.PATH ?? '').split(delimiter).map((directory) => dirname(directory));
  return [...beside, ...onPath]
    .filter((directory) => NEEDED.every((program) => existsSync(join(directory, 'bin', program))))
    .map((directory) => ({ directory, major: majorOf(join(directory, 'bin', 'postgres')) }))
    .filter(({ major }) => major >= MAJOR_MIN)
    .sort((one, other) => other.major - one.major)[0];
}

const majorOf = (postgres: string): number => Number(/(\d+)/.exec(execFileSync(postgres, ['--version'], { encoding: 'utf8' }))?.[1]);
