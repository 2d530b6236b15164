import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { add } from './tally.ts';

/** Nobody has more than this share of the results, so that there are some for others. */
const SHARE_MAX = 1 / 4;

/** Who has how many different results; one that several have counts with each of them, and once among all. */
export class ResultShares {
  readonly #resultsMax: number;
  readonly #ownMax: number;
  /** By result, how often each holder has it. */
  readonly #leases = new Map<object, Map<string, number>>();
  readonly #counts = new Map<string, number>();

  constructor({ duckdbTablesResultsMax }: Pick<Limits, 'duckdbTablesResultsMax'>) {
    this.#resultsMax = duckdbTablesResultsMax;
    this.#ownMax = Math.max(1, Math.floor(duckdbTablesResultsMax * SHARE_MAX));
  }

  /** Throws `memory_limit` where there is no place for another result, or the holder has a share of them already. */
  assertRoom(holder: string): void {
    const own = this.#counts.get(holder) ?? 0;
    const details = { duckdbTablesResultsMax: this.#resultsMax };
    if (own >= this.#ownMax) throw new CovistaError('memory_limit', `you have ${own} different views already; close some of them`, details);
    const { size } = this.#leases;
    if (size >= this.#resultsMax) throw new CovistaError('memory_limit', `there are ${size} different views already; close some of them`, details);
  }

  take(result: object, holder: string): void {
    const leases = this.#leases.get(result) ?? new Map<string, number>();
    this.#leases.set(result, leases);
    if (add(leases, holder, 1) === 1) add(this.#counts, holder, 1);
  }

  give(result: object, holder: string): void {
    const leases = this.#leases.get(result);
    if (leases === undefined) return;
    if (add(leases, holder, -1) === 0) add(this.#counts, holder, -1);
    if (leases.size === 0) this.#leases.delete(result);
  }
}
