import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';

/** How many seconds' worth may come at once after a pause. */
const BURST_SECONDS = 10;

/** So much a second, with room for a burst after a pause. */
class Allowance {
  #left: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#left = perSecond * BURST_SECONDS;
    this.#atMs = nowMs;
  }

  take(amount: number, perSecond: number, nowMs: number): boolean {
    const earned = (Math.max(0, nowMs - this.#atMs) / 1000) * perSecond;
    const burst = perSecond * BURST_SECONDS;
    // Nobody owes more than one burst, whatever a single thing cost.
    this.#left = Math.max(-burst, Math.min(burst, this.#left + earned) - amount);
    this.#atMs = nowMs;
    return this.#left >= 0;
  }
}

export type AllowanceLimits = Pick<
  Limits,
  | 'documentUpdatesPerSecond'
  | 'documentUpdateBytesPerSecond'
  | 'documentConflictStepsPerSecond'
  | 'documentSyncsPerSecond'
  | 'documentRefusalsPerMinute'
  | 'awarenessMessagesPerSecond'
>;

/** Syncs are counted beside the first of each channel, with which it begins. */
export type Allowed = 'updates' | 'updateBytes' | 'conflictSteps' | 'syncs' | 'awareness' | 'refusals';

/** The limit that says how much of each. */
const ALLOWED_BY = {
  updates: 'documentUpdatesPerSecond',
  updateBytes: 'documentUpdateBytesPerSecond',
  conflictSteps: 'documentConflictStepsPerSecond',
  syncs: 'documentSyncsPerSecond',
  awareness: 'awarenessMessagesPerSecond',
  refusals: 'documentRefusalsPerMinute',
} as const satisfies Record<Allowed, keyof AllowanceLimits>;

/** What people read when there are too many. */
const NAMES: Readonly<Record<Allowed, string>> = {
  updates: 'edits',
  updateBytes: 'bytes of edits',
  conflictSteps: 'conflicts with the edits of others and splits of lists',
  syncs: 'requests for the state of the document',
  awareness: 'awareness messages',
  refusals: 'edits that break rules',
};

/** What the channels of one connection may send together, whichever documents they are of. Most connections send next to nothing. */
export class Allowances {
  readonly #limits: AllowanceLimits;
  #taken: Partial<Record<Allowed, Allowance>> | undefined;

  constructor(limits: AllowanceLimits) {
    this.#limits = limits;
  }

  /** False: that is too much. */
  take(what: Allowed, amount: number, nowMs: number): boolean {
    const perSecond = what === 'refusals' ? this.#limits[ALLOWED_BY[what]] / 60 : this.#limits[ALLOWED_BY[what]];
    this.#taken ??= {};
    this.#taken[what] ??= new Allowance(perSecond, nowMs);
    return this.#taken[what].take(amount, perSecond, nowMs);
  }

  tooMuchOf(what: Allowed): CovistaError {
    const limit = ALLOWED_BY[what];
    return new CovistaError('rate_limited', `too many ${NAMES[what]} at once`, { [limit]: this.#limits[limit], retryAfterMs: 1_000 });
  }
}
