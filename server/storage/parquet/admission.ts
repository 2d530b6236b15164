import { CovistaError } from '../../../protocol/errors.ts';
import type { Interruption } from './interruption.ts';

/**
 * `interactive`: someone waits for it and it is short. `bulk`: it may take minutes. `background`: bulk work that nobody waits for.
 * `removal`: short as well, and never refused, because what it takes away would stay.
 */
export type QueryKind = 'interactive' | 'bulk' | 'background' | 'removal';

export interface QueryLoad {
  readonly running: number;
  /** Without background work and removals. */
  readonly waiting: number;
}

interface Waiting {
  readonly admit: () => void;
}

/**
 * Decides which queries run. Interactive ones go first, but where there are two places or more, neither kind ever takes the
 * last one from the other: bulk work always leaves a place free, and a place without bulk work goes to bulk work that waits.
 * Background work starts where no bulk work runs and nothing waits; once it runs, it is bulk work like any other.
 */
export class Admission {
  readonly #runningMax: number;
  readonly #queueMax: number;
  readonly #running = { interactive: 0, bulk: 0 };
  readonly #waiting: Record<QueryKind, Set<Waiting>> = { interactive: new Set(), bulk: new Set(), background: new Set(), removal: new Set() };

  constructor(runningMax: number, queueMax: number) {
    this.#runningMax = runningMax;
    this.#queueMax = queueMax;
  }

  /** Queries that run, and that wait. */
  get load(): QueryLoad {
    const { interactive, bulk } = this.#waiting;
    return { running: this.#running.interactive + this.#running.bulk, waiting: interactive.size + bulk.size };
  }

  /** Resolves with the function that gives the place back; `rate_limited` when too many wait, or the interruption's reason. */
  async acquire(kind: QueryKind, interruption: Interruption): Promise<() => void> {
    interruption.throwIfInterrupted();
    const counted = countedAs(kind);
    if (!this.#mayStart(kind)) await this.#wait(kind, interruption);
    else this.#running[counted] += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#running[counted] -= 1;
      this.#admitNext();
    };
  }

  #mayStart(kind: QueryKind): boolean {
    if (kind === 'background') return this.#running.bulk === 0 && this.load.waiting === 0 && this.#mayStart('bulk');
    const total = this.#running.interactive + this.#running.bulk;
    if (total >= this.#runningMax) return false;
    if (this.#runningMax === 1) return true;
    const other = kind === 'bulk' ? 'interactive' : 'bulk';
    return total + 1 < this.#runningMax || this.#running[other] > 0 || (kind !== 'bulk' && this.#waiting.bulk.size === 0);
  }

  #wait(kind: QueryKind, interruption: Interruption): Promise<void> {
    if ((kind === 'interactive' || kind === 'bulk') && this.load.waiting >= this.#queueMax) {
      throw new CovistaError('rate_limited', `${this.#queueMax} queries already wait for the query engine`, { duckdbQueueMax: this.#queueMax });
    }
    return new Promise((resolve, reject) => {
      const forget = interruption.onInterrupt(() => {
        this.#waiting[kind].delete(waiting);
        reject(interruption.reason);
        // It may have been the last before which background work stood back.
        this.#admitNext();
      });
      const waiting = {
        admit: (): void => {
          forget();
          resolve();
        },
      };
      this.#waiting[kind].add(waiting);
    });
  }

  #admitNext(): void {
    for (const kind of ['removal', 'interactive', 'bulk', 'background'] as const) {
      for (const waiting of this.#waiting[kind]) {
        if (!this.#mayStart(kind)) break;
        this.#waiting[kind].delete(waiting);
        this.#running[countedAs(kind)] += 1;
        waiting.admit();
      }
    }
  }
}

const countedAs = (kind: QueryKind): 'interactive' | 'bulk' => (kind === 'interactive' || kind === 'removal' ? 'interactive' : 'bulk');
