import { writeFile } from 'node:fs/promises';
import { connect } from '../../../client/index.ts';
import { CONNECT_ATTEMPTS_MAX, type Command, type Invocation } from '../command.ts';
import { packageVersion } from '../help.ts';
import { CleanUp, deleteMade } from './clean-up.ts';
import type { CrowdThreads } from './crowd.client.ts';
import { Admission, type Guest, guestsOf, guestsOfGroup } from './guests.ts';
import { thisMachine } from './machine.ts';
import { judge } from './objectives.ts';
import { withOutFile } from './out-file.ts';
import { type Login, refusedLogin } from './people.ts';
import { type Plan, readPlan } from './plan.ts';
import { FAULTS, type Figures, nothingOf } from './recorder.ts';
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
    return withOutFile(plan.out, () => prepareAndCarryOut(plan, { invocation, signal }));
  },
};

interface Stage {
  readonly invocation: Invocation;
  readonly signal: AbortSignal;
}

async function prepareAndCarryOut(plan: Plan, stage: Stage): Promise<number> {
  const { invocation, signal } = stage;
  await assertAnswers(plan, signal);
  const owner = connect({ url: plan.url, token: (await plan.ownerLogin()).token, name: 'covista-load' });
  try {
    const world =
      plan.datasetId === undefined
        ? await makeWorld(owner, { ...plan, signal, tell: (left) => tell(invocation, left) })
        : await existingWorld(owner, plan.datasetId);
    const admission = new Admission({ owner, datasetId: world.datasetId, runMs: plan.rampMs + plan.durationMs });
    try {
      tell(invocation, await admission.admit(await guestsOfPlan(plan, world)));
      return await carryOut(plan, world, stage);
    } finally {
      const cleanUp = new CleanUp();
      tell(invocation, world.isMade ? await deleteMade(owner, world.datasetId, cleanUp) : await admission.end(cleanUp));
    }
  } finally {
    owner.close();
  }
}

function tell({ terminal }: Invocation, what: string | undefined): void {
  if (what !== undefined) terminal.say(`${what}\n`);
}

/** Who needs a grant: all whose tokens are made, and those of the given ones who have none. */
async function guestsOfPlan(plan: Plan, { datasetId }: World): Promise<readonly Guest[]> {
  const { url, people, groups, hasTokens, loginOf } = plan;
  if (hasTokens) return guestsOf(await loginsOf(plan), { url, datasetId });
  // The first of them may be who made the dataset, so that the one behind the last speaks for the group.
  return groups ? guestsOfGroup(await loginOf(people), { url, datasetId }) : [];
}

const loginsOf = ({ people, loginOf }: Plan): Promise<Login[]> => Promise.all(Array.from({ length: people }, (_, person) => loginOf(person)));

/** A client waits for a server that goes away during the run, but a run does not wait for one that was never there. */
async function assertAnswers({ url, ownerLogin }: Plan, signal: AbortSignal): Promise<void> {
  const login = await ownerLogin();
  const client = connect({ url, token: login.token, name: 'covista-load', settings: { attemptsMax: CONNECT_ATTEMPTS_MAX } });
  try {
    await client.session.whoami({}, { signal });
  } catch (fault) {
    throw refusedLogin(login, fault);
  } finally {
    client.close();
  }
}

/** Answers the exit status: 1 where an objective was missed, or nobody could come. */
async function carryOut(plan: Plan, world: World, { invocation, signal }: Stage): Promise<number> {
  const { terminal } = invocation;
  const { url, people, rampMs, thinkMs, actionsMax, seed } = plan;
  const tokens = (await loginsOf(plan)).map(({ token }) => token);
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
    version: packageVersion(),
    machine: thisMachine(),
    quick: false,
    scenario: plan.name,
    scenarios: [plan.name],
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
    targets: targetsOf(plan, objectives),
  };
  const outcome: Outcome = { ...found, measurements: measurementsOf(found) };
  printOutcome(terminal, outcome);
  if (plan.out !== undefined) await writeFile(plan.out, `${JSON.stringify(outcome, null, 2)}\n`);
  const isInVain = crowd.arrived === 0 && !signal.aborted;
  if (isInVain) terminal.say('covista: nobody could come, so that nothing was measured\n');
  return isInVain || !objectives.every(({ met }) => met) ? 1 : 0;
}

/**
 * The times are those once all were there, or of what happened only before, as when a table is opened; an error counts whenever it
 * was, and that there was none of a kind is known as well.
 */
function ofBoth(arrival: readonly Figures[], settled: readonly Figures[]): Figures[] {
  const only = arrival.filter(({ action }) => !settled.some((figures) => figures.action === action));
  const errorsBefore = (action: string): number => arrival.find((figures) => figures.action === action)?.errors ?? 0;
  const found = [...only, ...settled.map((figures) => ({ ...figures, errors: figures.errors + errorsBefore(figures.action) }))];
  return [...found, ...FAULTS.filter((fault) => !found.some(({ action }) => action === fault)).map(nothingOf)];
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
    const memory = await serverMemory(plan.url, (await plan.ownerLogin()).token);
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
