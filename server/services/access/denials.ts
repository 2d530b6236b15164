import type { Limits } from '../../../protocol/limits.ts';
import { countedAddress } from '../../shared/addresses.ts';
import type { Clock } from '../../shared/clock.ts';
import type { AuditTrail } from './audit-trail.ts';

const MINUTE_MS = 60_000;
const SLICE_MS = 5_000;

interface Slice {
  readonly startedAtMs: number;
  total: number;
  readonly subjects: Map<string, number>;
  readonly addresses: Map<string, number>;
}

/** Who was refused how often in the last minute. */
export interface RecentDenials {
  readonly total: number;
  /** Without those whose token was not accepted. */
  readonly subjects: ReadonlyMap<string, number>;
  readonly addresses: ReadonlyMap<string, number>;
}

/** Counts what was refused for want of permission, by who asked, over the last minute to within five seconds. */
export class Denials {
  readonly #clock: Clock;
  readonly #keysMax: number;
  #slices: Slice[] = [];
  #count = 0;

  constructor({ limits, clock }: { readonly limits: Pick<Limits, 'denialKeysMax'>; readonly clock: Clock }) {
    this.#keysMax = limits.denialKeysMax;
    this.#clock = clock;
  }

  /** All of them since the start. */
  get count(): number {
    return this.#count;
  }

  note({ actor, address }: { readonly actor: string; readonly address: string }): void {
    const slice = this.#slice();
    this.#count += 1;
    slice.total += 1;
    if (actor !== '') this.#add(slice.subjects, actor);
    this.#add(slice.addresses, countedAddress(address));
  }

  recent(): RecentDenials {
    this.#forget();
    const subjects = new Map<string, number>();
    const addresses = new Map<string, number>();
    let total = 0;
    for (const slice of this.#slices) {
      total += slice.total;
      for (const [subject, count] of slice.subjects) subjects.set(subject, (subjects.get(subject) ?? 0) + count);
      for (const [address, count] of slice.addresses) addresses.set(address, (addresses.get(address) ?? 0) + count);
    }
    return { total, subjects, addresses };
  }

  #slice(): Slice {
    this.#forget();
    const latest = this.#slices.at(-1);
    const nowMs = this.#clock.now();
    if (latest !== undefined && nowMs - latest.startedAtMs < SLICE_MS) return latest;
    const slice: Slice = { startedAtMs: nowMs, total: 0, subjects: new Map(), addresses: new Map() };
    this.#slices.push(slice);
    return slice;
  }

  #forget(): void {
    const oldestMs = this.#clock.now() - MINUTE_MS;
    if ((this.#slices[0]?.startedAtMs ?? oldestMs) < oldestMs) this.#slices = this.#slices.filter(({ startedAtMs }) => startedAtMs >= oldestMs);
  }

  /** Ever other callers are counted in the total alone beyond a bound. */
  #add(counts: Map<string, number>, key: string): void {
    if (counts.has(key) || counts.size < this.#keysMax) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

/** An audit trail that also counts denials. */
export function countingDenials(trail: AuditTrail, denials: Denials): AuditTrail {
  return {
    record: (event, isDenial) => {
      if (isDenial === true) denials.note(event);
      trail.record(event);
    },
    close: () => trail.close(),
  };
}
