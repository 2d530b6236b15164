import { readFile } from 'node:fs/promises';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Config } from '../../config.ts';
import { type FlagValues, textFlag, UsageError } from '../command.ts';
import { mint } from '../token.ts';

/** What somebody logs in with. */
export interface Login {
  readonly token: string;
  /** The line of the file that it is from. */
  readonly source?: string;
}

/** Gives what each of the people logs in with, by number from 0. */
export type LoginOf = (person: number) => Promise<Login>;

/**
 * How the people log in: `--tokens FILE` (one a line, in turn), `--as-many` (tokens made with the secret or data directory of
 * the settings, for people named `load-1`, `load-2` …), or else `--token`, which all of them share.
 */
export async function readPeople(flags: FlagValues, config: Config, shared: string | undefined): Promise<LoginOf> {
  const path = textFlag(flags, 'tokens');
  if (path !== undefined) {
    const logins = loginsOf(path, await readFile(path, 'utf8'));
    if (logins.length === 0) throw new UsageError(`${path} holds no token`);
    return async (person) => logins[person % logins.length] as Login;
  }
  if (flags['as-many'] === true)
    return async (person) => ({ token: await mint(config, { subject: nameOf(person), claims: { [config.jwtGroupsClaim]: [LOAD_GROUP] } }) });
  if (shared === undefined) throw new UsageError('load needs --token, --tokens FILE, or --as-many with the secret or data directory of the server');
  return async () => ({ token: shared });
}

const loginsOf = (path: string, text: string): Login[] =>
  text
    .split('\n')
    .map((line, index) => ({ token: line.trim(), source: `${path}, line ${index + 1}` }))
    .filter(({ token }) => token !== '');

/** Of one token among many it is told which was not taken. */
export function refusedLogin({ source }: Login, fault: unknown): unknown {
  const isRefused = source !== undefined && fault instanceof CovistaError && fault.code !== 'unavailable';
  return isRefused ? new CovistaError(fault.code, `${source}: ${fault.message}`, fault.details, fault) : fault;
}

/** The group of the people whose tokens the harness makes; it is granted what they need. */
export const LOAD_GROUP = 'load-test';

export const nameOf = (person: number): string => `load-${person + 1}`;
