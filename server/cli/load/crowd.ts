import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../../client/index.ts';
import type { TokenOf } from './people.ts';
import { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { AnyScenario, World } from './scenario.ts';

/** A server that is down is given up after so many attempts in a row. */
const ATTEMPTS_MAX = 10;
/** So many of the people, evenly among them, look at what the others do. */
export const WATCHERS_MAX = 20;

export interface CrowdOptions {
  readonly url: string;
  readonly scenario: AnyScenario;
  readonly world: World;
  readonly tokenOf: TokenOf;
  readonly people: number;
  /** Over which the people arrive. */
  readonly rampMs: number;
  /** Between two actions of a person, on average. */
  readonly thinkMs: number;
  /** After which a person leaves. */
  readonly actionsMax: number;
  readonly seed: number;
  readonly recorder: Recorder;
  /** Ends the run. */
  readonly signal: AbortSignal;
}

/** Lets the people arrive, work and leave; resolves when the last has left. `arrived` tells how many are there. */
export class Crowd {
  readonly #options: CrowdOptions;
  #arrived = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  get arrived(): number {
    return this.#arrived;
  }

  async run(): Promise<void> {
    const { people } = this.#options;
    await Promise.all(Array.from({ length: people }, (_, number) => this.#live(number)));
  }

  async #live(number: number): Promise<void> {
    const { people, rampMs, signal, recorder } = this.#options;
    const dueAtMs = performance.now() + (rampMs * number) / people;
    if (!(await until(dueAtMs, signal))) return;
    const token = await this.#options.tokenOf(number);
    const client = connect({ url: this.#options.url, token, name: 'covista-load', settings: { attemptsMax: ATTEMPTS_MAX } });
    // Why a connection was refused or lost is known here only: the client goes on trying.
    client.onState((state) => state.kind === 'waiting' && recorder.fail('connection', state.reason));
    try {
      const welcomed = await recorder.measure('connect', dueAtMs, () => client.ready());
      if (welcomed === undefined) return;
      this.#arrived += 1;
      const { world, seed } = this.#options;
      const isWatching = number % Math.ceil(people / WATCHERS_MAX) === 0;
      await this.#work({ number, isWatching, client, world, recorder, random: new Random(seed + number + 1) });
    } catch (fault) {
      recorder.fail('sit', fault);
    } finally {
      client.close();
    }
  }

  async #work(person: Parameters<AnyScenario['open']>[0]): Promise<void> {
    const { scenario, thinkMs, actionsMax, signal } = this.#options;
    const seat = await scenario.open(person);
    try {
      // The next action is due when it is due, however long this one takes.
      let dueAtMs = performance.now();
      for (let actions = 0; actions < actionsMax; actions += 1) {
        dueAtMs += person.random.waitMs(thinkMs);
        if (!(await until(dueAtMs, signal))) break;
        await seat.act(dueAtMs);
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
