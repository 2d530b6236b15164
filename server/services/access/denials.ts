import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { countedAddress } from '../../shared/addresses.ts';
import type { Clock } from '../../shared/clock.ts';
import type { EventNotice } from '../../storage/stores.ts';
import type { AuditEvent, AuditTrail } from './audit-trail.ts';

const MINUTE_MS = 60_000;
const SLICE_MS = 5_000;

interface Slice {
  readonly startedAtMs: number;
  total: number;
  readonly subjects: Map<string, number>;
  readonly addresses: Map<string, number>;
  /** By address and person, of those who are known. */
  readonly pairs: Map<string, number>;
}

/** Who was refused how often in the last minute. */
export interface RecentDenials {
  readonly total: number;
  /** Without those whose token was not accepted. */
  readonly subjects: ReadonlyMap<string, number>;
  readonly addresses: ReadonlyMap<string, number>;
  /**
   * Of the addresses, without those of the one person who was refused most there: many may share an address, and it is none of
   * their doing. Ever other persons and tokens at one address are still seen.
   */
  readonly addressesBesideOne: ReadonlyMap<string, number>;
}

/** Counts what was refused for want of permission, by who asked, over the last minute to within five seconds. */
export class Denials {
  readonly #clock: Clock;
  readonly #keysMax: number;
  #slices: Slice[] = [];
  /** Datasets that were deleted in the last minute, oldest first, and when. */
  readonly #deleted = new Map<DatasetId, number>();
  #count = 0;

  constructor({ limits, clock }: { readonly limits: Pick<Limits, 'denialKeysMax'>; readonly clock: Clock }) {
    this.#keysMax = limits.denialKeysMax;
    this.#clock = clock;
  }

  /** All of them since the start. */
  get count(): number {
    return this.#count;
  }

  /** Whoever has a dataset open when it is deleted asks for it once more, which is no attempt at anything. */
  pardon(datasetId: DatasetId): void {
    this.#deleted.delete(datasetId);
    this.#deleted.set(datasetId, this.#clock.now());
    for (const [oldest, atMs] of this.#deleted) {
      if (this.#deleted.size <= this.#keysMax && atMs >= this.#clock.now() - MINUTE_MS) break;
      this.#deleted.delete(oldest);
    }
  }

  /** Follows what any server did. */
  notice(notice: EventNotice): void {
    if (notice.kind === 'events' && notice.isDeleted) this.pardon(notice.datasetId);
  }

  isPardoned({ datasetId, outcome }: Pick<AuditEvent, 'datasetId' | 'outcome'>): boolean {
    const atMs = datasetId === null || outcome !== 'not_found' ? undefined : this.#deleted.get(datasetId);
    return atMs !== undefined && atMs >= this.#clock.now() - MINUTE_MS;
  }

  note({ actor, address }: { readonly actor: string; readonly address: string }): void {
    const slice = this.#slice();
    this.#count += 1;
    slice.total += 1;
    const counted = countedAddress(address);
    this.#add(slice.addresses, counted);
    if (actor === '') return;
    this.#add(slice.subjects, actor);
    this.#add(slice.pairs, `${counted} ${actor}`);
  }

  recent(): RecentDenials {
    this.#forget();
    const total = this.#slices.reduce((sum, slice) => sum + slice.total, 0);
    const [subjects, addresses] = [this.#sum('subjects'), this.#sum('addresses')];
    const most = new Map<string, number>();
    for (const [pair, count] of this.#sum('pairs')) {
      const address = pair.slice(0, pair.indexOf(' '));
      most.set(address, Math.max(count, most.get(address) ?? 0));
    }
    const addressesBesideOne = new Map([...addresses].map(([address, count]) => [address, count - (most.get(address) ?? 0)]));
    return { total, subjects, addresses, addressesBesideOne };
  }

  #sum(of: 'subjects' | 'addresses' | 'pairs'): Map<string, number> {
    const sums = new Map<string, number>();
    for (const slice of this.#slices) for (const [key, count] of slice[of]) sums.set(key, (sums.get(key) ?? 0) + count);
    return sums;
  }

  #slice(): Slice {
    this.#forget();
    const latest = this.#slices.at(-1);
    const nowMs = this.#clock.now();
    if (latest !== undefined && nowMs - latest.startedAtMs < SLICE_MS) return latest;
    const slice: Slice = { startedAtMs: nowMs, total: 0, subjects: new Map(), addresses: new Map(), pairs: new Map() };
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
      if (isDenial === true && !denials.isPardoned(event)) denials.note(event);
      trail.record(event);
    },
    close: () => trail.close(),
  };
}
