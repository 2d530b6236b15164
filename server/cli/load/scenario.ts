import type { Client } from '../../../client/index.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';

/** What the people work on. */
export interface World {
  readonly datasetId: number;
  readonly rows: number;
}

/** One of the people, connected. */
export interface Person {
  readonly number: number;
  /** Whether they look at what the others do, of which everybody is sent everything. */
  readonly isWatching: boolean;
  readonly client: Client;
  readonly world: World;
  readonly random: Random;
  readonly recorder: Recorder;
}

/** Something that a person does now and then; its name is that of the figures. */
export interface Action<Seat> {
  readonly name: string;
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  run(seat: Seat): Promise<unknown>;
}

/** A way in which people work. A seat is what one person has open. */
export interface Scenario<Seat = unknown> {
  readonly about: string;
  /** Takes a seat, recording what that costs. */
  sit(person: Person): Promise<Seat>;
  readonly actions: readonly [Action<Seat>, ...Action<Seat>[]];
  leave(seat: Seat): Promise<void>;
}

/** Keeps the kind of seat to itself, so that scenarios of different kinds fit into one table. */
export interface AnyScenario {
  readonly about: string;
  open(person: Person): Promise<OpenSeat>;
}

export interface OpenSeat {
  /** Does one thing, chosen at random by weight, that was due at a time of `performance.now()`. */
  act(dueAtMs: number): Promise<void>;
  leave(): Promise<void>;
}

export function scenario<Seat>({ about, sit, actions, leave }: Scenario<Seat>): AnyScenario {
  const total = actions.reduce((sum, { weight }) => sum + weight, 0);
  const choose = (random: Random): Action<Seat> => {
    let left = random.next() * total;
    for (const action of actions) {
      left -= action.weight;
      if (left < 0) return action;
    }
    return actions[0];
  };
  return {
    about,
    open: async (person) => {
      const seat = await sit(person);
      return {
        act: async (dueAtMs) => {
          const { name, run } = choose(person.random);
          await person.recorder.measure(name, dueAtMs, () => run(seat));
        },
        leave: () => leave(seat),
      };
    },
  };
}
