import { readFile } from 'node:fs/promises';
import type { Config } from '../../config.ts';
import { type FlagValues, textFlag, UsageError } from '../command.ts';
import { mint } from '../token.ts';

/** Gives the token of each of the people, by number from 0. */
export type TokenOf = (person: number) => Promise<string>;

/**
 * How the people log in: `--tokens FILE` (one a line, in turn), `--as-many` (tokens made with the secret or data directory of
 * the settings, for people named `load-1`, `load-2` …), or else `--token`, which all of them share.
 */
export async function readPeople(flags: FlagValues, config: Config, shared: string | undefined): Promise<TokenOf> {
  const path = textFlag(flags, 'tokens');
  if (path !== undefined) {
    const tokens = (await readFile(path, 'utf8')).split(/\s+/).filter((token) => token !== '');
    if (tokens.length === 0) throw new UsageError(`${path} holds no token`);
    return async (person) => tokens[person % tokens.length] as string;
  }
  if (flags['as-many'] === true) return (person) => mint(config, { subject: nameOf(person), claims: { [config.jwtGroupsClaim]: [LOAD_GROUP] } });
  if (shared === undefined) throw new UsageError('load needs --token, --tokens FILE, or --as-many with the secret or data directory of the server');
  return async () => shared;
}

/** The group of the people whose tokens the harness makes; it is granted what they need. */
export const LOAD_GROUP = 'load-test';

export const nameOf = (person: number): string => `load-${person + 1}`;
