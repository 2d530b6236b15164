import type { Client } from '../../../client/index.ts';
import type { Random } from './random.ts';
import type { ActionOptions, Recorder } from './recorder.ts';

/** What the people work on. */
export interface World {
  readonly datasetId: number;
  /** Of the head of `main`. */
  readonly versionId: number;
  readonly rows: number;
  /** Columns to pivot by, each a choice, and what is summed up of them. */
  readonly groups: readonly [readonly string[], ...(readonly string[])[]];
  readonly measures: readonly [Measure, ...Measure[]];
  /** Whether it was made for the run, so that the people may commit rows that fit it. */
  readonly isMade: boolean;
}

export interface Measure {
  readonly column: string;
  readonly aggregate: 'sum' | 'avg' | 'count';
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
export interface Action<Seat> extends ActionOptions {
  readonly name: string;
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /** Only in a world that was made for the run. */
  readonly needsMadeWorld?: true;
  run(seat: Seat): Promise<unknown>;
  /** What it leaves to do, whether or not it failed; not part of its time. */
  after?(seat: Seat): Promise<unknown>;
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
  /** Charges one thing, chosen likewise, that was due and that there was no time to begin. */
  miss(dueAtMs: number): void;
  leave(): Promise<void>;
}

export function scenario<Seat>({ about, sit, actions, leave }: Scenario<Seat>): AnyScenario {
  const chooser = ({ random, world }: Person) => {
    const possible = actions.filter(({ needsMadeWorld }) => needsMadeWorld !== true || world.isMade);
    const total = possible.reduce((sum, { weight }) => sum + weight, 0);
    return (): Action<Seat> => {
      let left = random.next() * total;
      for (const action of possible) {
        left -= action.weight;
        if (left < 0) return action;
      }
      return actions[0];
    };
  };
  return {
    about,
    open: async (person) => {
      const seat = await sit(person);
      const choose = chooser(person);
      const { recorder } = person;
      return {
        act: async (dueAtMs) => {
          const action = choose();
          await recorder.measure(action.name, dueAtMs, () => action.run(seat), action);
          await action.after?.(seat);
        },
        miss: (dueAtMs) => {
          const action = choose();
          recorder.miss(action.name, dueAtMs, action);
        },
        leave: () => leave(seat),
      };
    },
  };
}
