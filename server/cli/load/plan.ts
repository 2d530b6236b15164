import { type FlagValues, type Invocation, listFlag, textFlag, UsageError } from '../command.ts';
import { isLocal, serverUrl } from '../server-url.ts';
import { type Objective, readObjective } from './objectives.ts';
import { type Login, type LoginOf, readPeople } from './people.ts';
import { SCENARIOS } from './scenarios.ts';

/** Each has a connection, of which one machine has no more to one server. */
const PEOPLE_MAX = 50_000;
/** A week; timers of Node count 24 days. */
const SECONDS_MAX = 604_800;
/** An hour; a wait takes up to ten times its mean. */
const THINK_MS_MAX = 3_600_000;
const WHOLE_MAX = 999_999_999;

export interface Plan {
  readonly url: string;
  readonly name: string;
  readonly people: number;
  readonly durationMs: number;
  readonly rampMs: number;
  readonly thinkMs: number;
  readonly actionsMax: number;
  readonly rows: number;
  readonly seed: number;
  readonly datasetId: number | undefined;
  readonly objectives: readonly Objective[];
  readonly out: string | undefined;
  readonly loginOf: LoginOf;
  /** The people are those of a group. */
  readonly groups: boolean;
  /** They bring tokens of their own. */
  readonly hasTokens: boolean;
  /** Prepares the run and reads the server's metrics. */
  readonly ownerLogin: () => Promise<Login>;
}

export async function readPlan(invocation: Invocation): Promise<Plan> {
  const { flags, client, config } = invocation;
  assertNoContradiction(flags);
  const url = serverUrl(invocation);
  // Nobody puts another's server under load by a slip.
  if (!isLocal(url) && flags['i-own-this-server'] !== true)
    throw new UsageError(`${url.hostname} is another machine; say --i-own-this-server if you may put it under load`);
  const name = textFlag(flags, 'scenario') ?? 'co-analysis';
  if (!Object.hasOwn(SCENARIOS, name)) throw new UsageError(`there is no scenario "${name}"; there are ${Object.keys(SCENARIOS).join(', ')}`);
  const token = textFlag(flags, 'token') ?? client.token;
  const loginOf = await readPeople(flags, config, token);
  return {
    url: url.href,
    name,
    people: wholeFlag(flags, 'people', 50, PEOPLE_MAX),
    durationMs: wholeFlag(flags, 'duration', 60, SECONDS_MAX) * 1_000,
    rampMs: wholeFlag(flags, 'ramp', 10, SECONDS_MAX) * 1_000,
    thinkMs: wholeFlag(flags, 'think', 2_000, THINK_MS_MAX),
    actionsMax: wholeFlag(flags, 'actions', Number.POSITIVE_INFINITY),
    rows: wholeFlag(flags, 'rows', 100_000),
    seed: wholeFlag(flags, 'seed', 1),
    datasetId: textFlag(flags, 'dataset') === undefined ? undefined : wholeFlag(flags, 'dataset', 0),
    objectives: listFlag(flags, 'slo').map(readObjective),
    out: textFlag(flags, 'out'),
    loginOf,
    groups: flags['as-many'] === true,
    hasTokens: textFlag(flags, 'tokens') !== undefined,
    ownerLogin: async () => (token === undefined ? loginOf(0) : { token }),
  };
}

/** Pairs of flags of which the second would change nothing. */
const CONTRADICTIONS = [
  ['tokens', 'as-many'],
  ['dataset', 'rows'],
] as const;

function assertNoContradiction(flags: FlagValues): void {
  for (const [one, other] of CONTRADICTIONS) {
    if (flags[one] !== undefined && flags[other] !== undefined) throw new UsageError(`--${one} and --${other} do not go together`);
  }
}

function wholeFlag(flags: FlagValues, name: string, otherwise: number, most = WHOLE_MAX): number {
  const text = textFlag(flags, name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value === 0 || value > most) throw new UsageError(`--${name} takes a whole number from 1 to ${most}, not "${text}"`);
  return value;
}
