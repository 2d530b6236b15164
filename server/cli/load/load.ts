import { open, writeFile } from 'node:fs/promises';
import { connect } from '../../../client/index.ts';
import { CONNECT_ATTEMPTS_MAX, type Command, type FlagValues, type Invocation, listFlag, textFlag, UsageError } from '../command.ts';
import { CleanUp, deleteMade } from './clean-up.ts';
import type { CrowdThreads } from './crowd.client.ts';
import { Admission, type Guest, guestsOf, guestsOfGroup } from './guests.ts';
import { thisMachine } from './machine.ts';
import { judge, type Objective, readObjective } from './objectives.ts';
import { readPeople, type TokenOf } from './people.ts';
import type { Figures } from './recorder.ts';
import { limitsOf, liveLine, measurementsOf, type Outcome, printOutcome, targetsOf } from './report.ts';
import type { World } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { serverMemory } from './server-memory.ts';
import { existingWorld, makeWorld } from './world.ts';

export const load: Command = {
  summary: 'Put a server under the load of many people and say how it bears it',
  flags: {
    url: { type: 'string', value: 'URL', prose: 'Server; absent: COVISTA_URL, or the host and port of the settings' },
    token: { type: 'string', value: 'TOKEN', prose: 'Token that all people share, and that prepares the run; absent: COVISTA_TOKEN' },
    tokens: { type: 'string', value: 'FILE', prose: 'Tokens of the people, one a line, used in turn' },
    'as-many': { type: 'boolean', prose: 'Make the tokens of as many people, with the secret or data directory of the settings' },
    scenario: { type: 'string', value: Object.keys(SCENARIOS).join('|'), prose: 'What the people do [co-analysis]' },
    people: { type: 'string', value: 'N', prose: 'How many there are [50]' },
    duration: { type: 'string', value: 'SECONDS', prose: 'How long they work once all are there [60]' },
    ramp: { type: 'string', value: 'SECONDS', prose: 'Over how long they arrive [10]' },
    think: { type: 'string', value: 'MS', prose: 'Between two actions of a person, on average [2000]' },
    actions: { type: 'string', value: 'N', prose: 'After how many actions a person leaves; absent: when the time is over' },
    dataset: {
      type: 'string',
      value: 'ID',
      prose: 'What they work on, leaving notes and views there; absent: a dataset made for the run, and deleted after it',
    },
    rows: { type: 'string', value: 'N', prose: 'Rows of the dataset that is made [100000]' },
    slo: {
      type: 'string',
      multiple: true,
      value: 'ACTION:MEASURE=LIMIT',
      prose: 'An objective, such as version.preview:p99=200ms or *:errors=0; missing one is exit status 1',
    },
    out: { type: 'string', value: 'FILE', prose: 'Write what was found as JSON' },
    seed: { type: 'string', value: 'N', prose: 'What the choices of the people follow from [1]' },
    'i-own-this-server': { type: 'boolean', prose: 'Allow a server that is not on this machine' },
  },
  run: async (invocation) => {
    const plan = await readPlan(invocation);
    const signal = invocation.terminal.interruption();
    // Before minutes of load, whose outcome would be lost.
    if (plan.out !== undefined) await (await open(plan.out, 'a')).close();
    await assertAnswers(plan, signal);
    const owner = connect({ url: plan.url, token: await plan.ownerToken(), name: 'covista-load' });
    try {
      const world =
        plan.datasetId === undefined
          ? await makeWorld(owner, { ...plan, signal, tell: (left) => tell(invocation, left) })
          : await existingWorld(owner, plan.datasetId);
      const admission = new Admission({ owner, datasetId: world.datasetId, runMs: plan.rampMs + plan.durationMs });
      try {
        const lacking = await admission.admit(await guestsOfPlan(plan, world));
        tell(invocation, lacking);
        return await carryOut(plan, world, { invocation, signal });
      } finally {
        const cleanUp = new CleanUp();
        tell(invocation, world.isMade ? await deleteMade(owner, world.datasetId, cleanUp) : await admission.end(cleanUp));
      }
    } finally {
      owner.close();
    }
  },
};

function tell({ terminal }: Invocation, what: string | undefined): void {
  if (what !== undefined) terminal.say(`${what}\n`);
}

/** Who needs a grant: all whose tokens are made, and those of the given ones who have none. */
async function guestsOfPlan({ url, people, groups, hasTokens, tokenOf }: Plan, { datasetId }: World): Promise<readonly Guest[]> {
  if (hasTokens) return guestsOf(await Promise.all(Array.from({ length: people }, (_, person) => tokenOf(person))), { url, datasetId });
  // The first of them may be who made the dataset, so that the one behind the last speaks for the group.
  return groups ? guestsOfGroup(await tokenOf(people), { url, datasetId }) : [];
}

interface Plan {
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
  readonly tokenOf: TokenOf;
  /** The people are those of a group. */
  readonly groups: boolean;
  /** They bring tokens of their own. */
  readonly hasTokens: boolean;
  /** Prepares the run and reads the server's metrics. */
  readonly ownerToken: () => Promise<string>;
}

async function readPlan({ flags, client, config }: Invocation): Promise<Plan> {
  const url = textFlag(flags, 'url') ?? client.url ?? `http://${config.host}:${config.port}`;
  assertOwnServer(url, flags['i-own-this-server'] === true);
  const name = textFlag(flags, 'scenario') ?? 'co-analysis';
  if (!Object.hasOwn(SCENARIOS, name)) throw new UsageError(`there is no scenario "${name}"; there are ${Object.keys(SCENARIOS).join(', ')}`);
  const token = textFlag(flags, 'token') ?? client.token;
  const tokenOf = await readPeople(flags, config, token);
  return {
    url,
    name,
    people: wholeFlag(flags, 'people', 50),
    durationMs: wholeFlag(flags, 'duration', 60) * 1_000,
    rampMs: wholeFlag(flags, 'ramp', 10) * 1_000,
    thinkMs: wholeFlag(flags, 'think', 2_000),
    actionsMax: wholeFlag(flags, 'actions', Number.POSITIVE_INFINITY),
    rows: wholeFlag(flags, 'rows', 100_000),
    seed: wholeFlag(flags, 'seed', 1),
    datasetId: textFlag(flags, 'dataset') === undefined ? undefined : wholeFlag(flags, 'dataset', 0),
    objectives: listFlag(flags, 'slo').map(readObjective),
    out: textFlag(flags, 'out'),
    tokenOf,
    groups: flags['as-many'] === true,
    hasTokens: textFlag(flags, 'tokens') !== undefined,
    ownerToken: async () => token ?? tokenOf(0),
  };
}

/** A client waits for a server that goes away during the run, but a run does not wait for one that was never there. */
async function assertAnswers({ url, ownerToken }: Plan, signal: AbortSignal): Promise<void> {
  const client = connect({ url, token: await ownerToken(), name: 'covista-load', settings: { attemptsMax: CONNECT_ATTEMPTS_MAX } });
  try {
    await client.session.whoami({}, { signal });
  } finally {
    client.close();
  }
}

/** Nobody puts another's server under load by a slip. */
function assertOwnServer(url: string, isOwn: boolean): void {
  if (!URL.canParse(url)) throw new UsageError(`--url takes a URL, not "${url}"`);
  const { hostname } = new URL(url);
  const isLocal = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
  if (!isLocal && !isOwn) throw new UsageError(`${hostname} is another machine; say --i-own-this-server if you may put it under load`);
}

function wholeFlag(flags: FlagValues, name: string, otherwise: number): number {
  const text = textFlag(flags, name);
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw new UsageError(`--${name} takes a whole number above 0, not "${text}"`);
  return Number(text);
}

interface Stage {
  readonly invocation: Invocation;
  readonly signal: AbortSignal;
}

/** Answers the exit status: 1 where an objective was missed. */
async function carryOut(plan: Plan, world: World, { invocation, signal }: Stage): Promise<number> {
  const { terminal } = invocation;
  const { url, people, rampMs, thinkMs, actionsMax, seed } = plan;
  const tokens = await Promise.all(Array.from({ length: people }, (_, person) => plan.tokenOf(person)));
  // What records the times is loaded by those only who put a server under load.
  const { CrowdThreads } = await import('./crowd.client.ts');
  const crowd = new CrowdThreads({ url, world, tokens, people, rampMs, thinkMs, actionsMax, seed }, plan.name);
  const watch = watchServer(plan, { crowd, terminal });
  const startedAtMs = performance.now();
  const elapsedSeconds = (): number => (performance.now() - startedAtMs) / 1_000;
  const seconds = await crowd
    .run(plan.durationMs, signal)
    .then(elapsedSeconds)
    .finally(() => watch.stop());
  const all = crowd.recorder('arrival', 'recorded');
  const arrival = crowd.recorder('arrival').figures();
  const settled = crowd.recorder('recorded');
  const actions = ofBoth(arrival, settled.figures());
  const objectives = judge(plan.objectives, actions);
  const found: Omit<Outcome, 'measurements'> = {
    at: new Date().toISOString(),
    machine: thisMachine(),
    scenario: plan.name,
    people: plan.people,
    arrived: crowd.arrived,
    seconds,
    seed: plan.seed,
    overall: settled.overall(),
    actions,
    arrival,
    errors: all.errors,
    serverMemoryBytes: watch.highest() ?? null,
    limitsMet: limitsOf(all.limitsMet),
    objectives,
    targets: targetsOf(plan.name, objectives),
  };
  const outcome: Outcome = { ...found, measurements: measurementsOf(found) };
  printOutcome(terminal, outcome);
  if (plan.out !== undefined) await writeFile(plan.out, `${JSON.stringify(outcome, null, 2)}\n`);
  return outcome.objectives.every(({ met }) => met) ? 0 : 1;
}

/** The times are those once all were there, or of what happened only before, as when a table is opened; an error counts whenever it was. */
function ofBoth(arrival: readonly Figures[], settled: readonly Figures[]): Figures[] {
  const only = arrival.filter(({ action }) => !settled.some((figures) => figures.action === action));
  const errorsBefore = (action: string): number => arrival.find((figures) => figures.action === action)?.errors ?? 0;
  return [...only, ...settled.map((figures) => ({ ...figures, errors: figures.errors + errorsBefore(figures.action) }))];
}

interface Watched {
  readonly crowd: CrowdThreads;
  readonly terminal: Invocation['terminal'];
}

const LOOK_EVERY_MS = 1_000;
/** Where nobody watches, so many looks make one line. */
const LOOKS_A_LINE = 10;

/** Follows the server's memory, also over a run that is short, and says how it goes. */
function watchServer(plan: Plan, { crowd, terminal }: Watched): { stop(): Promise<void>; highest(): number | undefined } {
  let highest: number | undefined;
  let isOver = false;
  let looks = 0;
  const startedAtMs = performance.now();
  const look = async (): Promise<number | undefined> => {
    const memory = await serverMemory(plan.url, await plan.ownerToken());
    if (memory !== undefined) highest = Math.max(highest ?? 0, memory);
    return memory;
  };
  const lookAndSay = async (): Promise<void> => {
    looks += 1;
    const isSaid = terminal.interactive || looks % LOOKS_A_LINE === 0;
    const memory = await look();
    if (isOver || !isSaid) return;
    const line = liveLine(crowd.recorder('recorded').overall(), {
      people: crowd.arrived,
      seconds: (performance.now() - startedAtMs) / 1_000,
      memory,
    });
    terminal.say(terminal.interactive ? `\r\x1b[K${line}` : `${line}\n`);
  };
  void look();
  const timer = setInterval(() => void lookAndSay(), LOOK_EVERY_MS);
  return {
    stop: async () => {
      isOver = true;
      clearInterval(timer);
      if (terminal.interactive) terminal.say('\r\x1b[K');
      await look();
    },
    highest: () => highest,
  };
}
