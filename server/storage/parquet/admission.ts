import { CovistaError } from '../../../protocol/errors.ts';
import type { Interruption } from './interruption.ts';

/** `interactive`: someone waits for it and it is short. `bulk`: it may take minutes. */
export type QueryKind = 'interactive' | 'bulk';

export interface QueryLoad {
  readonly running: number;
  readonly waiting: number;
}

interface Waiting {
  readonly admit: () => void;
}

/**
 * Decides which queries run. Interactive ones go first, but where there are two places or more, neither kind ever takes the
 * last one from the other: bulk work always leaves a place free, and a place without bulk work goes to bulk work that waits.
 */
export class Admission {
  readonly #runningMax: number;
  readonly #queueMax: number;
  readonly #running: Record<QueryKind, number> = { interactive: 0, bulk: 0 };
  readonly #waiting: Record<QueryKind, Set<Waiting>> = { interactive: new Set(), bulk: new Set() };

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
    if (!this.#mayStart(kind)) await this.#wait(kind, interruption);
    else this.#running[kind] += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#running[kind] -= 1;
      this.#admitNext();
    };
  }

  #mayStart(kind: QueryKind): boolean {
    const total = this.#running.interactive + this.#running.bulk;
    if (total >= this.#runningMax) return false;
    if (this.#runningMax === 1) return true;
    const other = kind === 'bulk' ? 'interactive' : 'bulk';
    return total + 1 < this.#runningMax || this.#running[other] > 0 || (kind === 'interactive' && this.#waiting.bulk.size === 0);
  }

  #wait(kind: QueryKind, interruption: Interruption): Promise<void> {
    if (this.#waiting.interactive.size + this.#waiting.bulk.size >= this.#queueMax) {
      throw new CovistaError('rate_limited', `${this.#queueMax} queries already wait for the query engine`);
    }
    return new Promise((resolve, reject) => {
      const forget = interruption.onInterrupt(() => {
        this.#waiting[kind].delete(waiting);
        reject(interruption.reason);
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
    for (const kind of ['interactive', 'bulk'] as const) {
      for (const waiting of this.#waiting[kind]) {
        if (!this.#mayStart(kind)) break;
        this.#waiting[kind].delete(waiting);
        this.#running[kind] += 1;
        waiting.admit();
      }
    }
  }
}
