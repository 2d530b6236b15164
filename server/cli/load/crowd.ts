import { setTimeout as delay } from 'node:timers/promises';
import { type Client, connect } from '../../../client/index.ts';
import { present } from '../../shared/assert.ts';
import { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { AnyScenario, World } from './scenario.ts';

/** A server that is down is given up after so many attempts in a row. */
const ATTEMPTS_MAX = 10;
/** So long after the end whoever waits for an answer leaves without it: a server that hangs holds nobody up. */
const LEAVE_MS_MAX = 15_000;
/** So many of the people, evenly among them, look at what the others do. */
const WATCHERS_MAX = 10;

/** Who the people are, and how they go about it. */
export interface CrowdPlan {
  readonly url: string;
  readonly world: World;
  /** Of every person, by number from 0. */
  readonly tokens: readonly string[];
  readonly people: number;
  /** Which of them are meant: number `first`, and every `step`-th from there. */
  readonly first: number;
  readonly step: number;
  /** Over which the people arrive. */
  readonly rampMs: number;
  /** Between two actions of a person, on average. */
  readonly thinkMs: number;
  /** After which a person leaves. */
  readonly actionsMax: number;
  readonly seed: number;
}

export interface CrowdOptions {
  readonly scenario: AnyScenario;
  readonly recorder: Recorder;
  /** Ends the run. */
  readonly signal: AbortSignal;
  /** All have taken their seats, or could not. */
  readonly onSettled: () => void;
  /** How long after the end whoever waits for an answer goes on waiting. */
  readonly leaveMsMax?: number;
}

/** Lets the people arrive, work and leave; resolves when the last has left. `arrived` tells how many have taken their seats. */
export class Crowd {
  readonly #plan: CrowdPlan;
  readonly #options: CrowdOptions;
  #arrived = 0;
  /** Who is still on the way. */
  readonly #coming = new Set<number>();
  readonly #clients = new Set<Client>();
  /** Of `performance.now()`; 0 until the end. */
  #endedAtMs = 0;

  constructor(plan: CrowdPlan, options: CrowdOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  get arrived(): number {
    return this.#arrived;
  }

  async run(): Promise<void> {
    const { people, first, step } = this.#plan;
    const { signal, leaveMsMax = LEAVE_MS_MAX } = this.#options;
    for (let number = first; number < people; number += step) this.#coming.add(number);
    let leaving: NodeJS.Timeout | undefined;
    const end = (): void => {
      this.#endedAtMs = performance.now();
      leaving = setTimeout(() => this.#closeAll(), leaveMsMax);
    };
    signal.addEventListener('abort', end, { once: true });
    await Promise.all([...this.#coming].map((number) => this.#live(number).finally(() => this.#settle(number))));
    signal.removeEventListener('abort', end);
    clearTimeout(leaving);
  }

  #closeAll(): void {
    for (const client of this.#clients) client.close();
  }

  #settle(number: number): void {
    if (this.#coming.delete(number) && this.#coming.size === 0) this.#options.onSettled();
  }

  /** The watchers are as many in every thread, since they are what keeps it busy. */
  #isWatcher(number: number): boolean {
    const { people, first, step } = this.#plan;
    const watchers = Math.floor(WATCHERS_MAX / step) + (first < WATCHERS_MAX % step ? 1 : 0);
    const mine = Math.ceil((people - first) / step);
    return watchers > 0 && ((number - first) / step) % Math.ceil(mine / watchers) === 0;
  }

  async #live(number: number): Promise<void> {
    const { people, rampMs, url, tokens, world, seed } = this.#plan;
    const { signal, recorder } = this.#options;
    const dueAtMs = performance.now() + (rampMs * number) / people;
    if (!(await until(dueAtMs, signal))) return;
    const client = connect({ url, token: present(tokens[number], 'a token'), name: 'covista-load', settings: { attemptsMax: ATTEMPTS_MAX } });
    this.#clients.add(client);
    // Why a connection was refused or lost is known here only: the client goes on trying.
    client.onState((state) => state.kind === 'waiting' && recorder.fail('connection', state.reason));
    try {
      const welcomed = await recorder.measure('connect', dueAtMs, () => client.ready());
      if (welcomed === undefined || signal.aborted) return;
      const isWatching = this.#isWatcher(number);
      await this.#work({ number, isWatching, client, world, recorder, random: new Random(seed + number + 1) });
    } catch (fault) {
      recorder.fail('sit', fault);
    } finally {
      this.#clients.delete(client);
      client.close();
    }
  }

  async #work(person: Parameters<AnyScenario['open']>[0]): Promise<void> {
    const { thinkMs, actionsMax } = this.#plan;
    const { scenario, signal } = this.#options;
    const seat = await scenario.open(person);
    this.#arrived += 1;
    this.#settle(person.number);
    try {
      // The next action is due when it is due, however long this one takes.
      let dueAtMs = performance.now();
      for (let actions = 0; actions < actionsMax; actions += 1) {
        dueAtMs += person.random.waitMs(thinkMs);
        if (await until(dueAtMs, signal)) await seat.act(dueAtMs);
        // What this person was held up until after the end is charged as well, or a server that hangs at last would be charged least.
        else if (dueAtMs <= this.#endedAtMs) seat.miss(dueAtMs);
        else break;
      }
    } finally {
      await seat.leave();
    }
  }
}

/** Waits for a time of `performance.now()`; false when the run ends before. */
async function until(atMs: number, signal: AbortSignal): Promise<boolean> {
  const waitMs = atMs - performance.now();
  if (signal.aborted) return false;
  if (waitMs <= 0) return true;
  return delay(waitMs, true, { signal }).catch(() => false);
}
