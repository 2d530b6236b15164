import type { Limits } from '../../../protocol/limits.ts';
import { countedAddress } from '../../shared/addresses.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Owed } from '../../shared/promptness.ts';
import type { AuditStore, NewAuditRecord } from '../../storage/stores.ts';

/** What somebody did or was refused, as it happens. */
export type AuditEvent = Omit<NewAuditRecord, 'at' | 'lastAt' | 'count'>;

/** What is audited outside of the transactions of commands: denials, failures, and uses of what must be accounted for. */
export interface AuditTrail {
  /** Notes an event, which is written soon; `isDenial`: somebody asked for what they may not have. Never throws and never waits. */
  record(event: AuditEvent, isDenial?: boolean): void;
  /** Writes everything that waits, at once; what cannot be written is logged. */
  close(): Promise<void>;
}

export interface AuditTrailOptions {
  readonly store: Pick<AuditStore, 'append'>;
  readonly limits: Pick<Limits, 'auditFlushMs' | 'auditPeriodMs' | 'auditEntriesMax' | 'auditEntriesPerCallerMax'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is refused again within a period: one entry at once, and one with a count at its end. */
interface Repetition {
  readonly caller: string;
  readonly event: AuditEvent;
  requestId: string;
  versionId: NewAuditRecord['versionId'];
  count: number;
  firstAtMs: number;
  lastAtMs: number;
  /** When an entry of it was written last; undefined: none was yet. */
  writtenAtMs: number | undefined;
}

const WRITTEN_AT_ONCE_MAX = 1_000;
/** Stands where several are counted together. */
const SEVERAL = '*';

/** `lagMs`: for how long entries have been due that are not in the database. */
export function startAuditTrail(options: AuditTrailOptions): AuditTrail & Lateness {
  return new BoundedAuditTrail(options);
}

class BoundedAuditTrail implements AuditTrail, Lateness {
  readonly #options: AuditTrailOptions;
  /** Taken out of the following and not yet in the database, which may be away. */
  #unwritten: NewAuditRecord[] = [];
  #accesses: NewAuditRecord[] = [];
  readonly #repetitions = new Map<string, Repetition>();
  /** Repetitions of each caller. */
  readonly #perCaller = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #isClosing = false;
  readonly #owed: Owed;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#owed = new Owed(options.clock);
  }

  get lagMs(): number {
    return this.#owed.lagMs;
  }

  record(event: AuditEvent): void {
    const nowMs = this.#options.clock.now();
    if (event.outcome === 'ok' && this.#accesses.length < this.#options.limits.auditEntriesMax) {
      const at = new Date(nowMs).toISOString();
      this.#accesses.push({ ...event, at, lastAt: at, count: 1 });
    } else this.#repeat(event, nowMs);
    this.#arm();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    await this.#writing;
    // One that is held up takes no more than the bound, so that what is behind it needs a round of its own.
    for (let round = 0; round < 3 && this.#hasMore(); round += 1) await this.#write();
    if (this.#hasMore()) this.#options.log.error({ entries: this.#unwritten.length }, 'audit entries could not be written before the stop');
  }

  #hasMore(): boolean {
    return this.#unwritten.length > 0 || this.#accesses.length > 0 || [...this.#repetitions.values()].some(({ count }) => count > 0);
  }

  #arm(): void {
    this.#owed.ask(this.#options.limits.auditFlushMs);
    if (this.#timer !== undefined || this.#isClosing) return;
    this.#timer = setTimeout(() => {
      this.#writing = this.#write().finally(() => {
        this.#timer = undefined;
        if (this.#hasMore() || this.#repetitions.size > 0) this.#arm();
      });
    }, this.#options.limits.auditFlushMs);
    this.#timer.unref();
  }

  #repeat(event: AuditEvent, nowMs: number): void {
    const repetition = this.#find(event);
    if (repetition.count === 0) {
      repetition.firstAtMs = nowMs;
      repetition.requestId = event.requestId;
      repetition.versionId = event.versionId;
    } else if (repetition.versionId !== event.versionId) repetition.versionId = null;
    repetition.count += 1;
    repetition.lastAtMs = nowMs;
  }

  /** Who is refused ever other things, and ever other callers, are counted together beyond a bound. */
  #find(event: AuditEvent): Repetition {
    const caller = JSON.stringify([event.actor, countedAddress(event.address)]);
    const known = this.#repetitions.get(keyOf(caller, event));
    if (known !== undefined) return known;
    const { auditEntriesMax, auditEntriesPerCallerMax } = this.#options.limits;
    if (this.#repetitions.size >= auditEntriesMax) return this.#findOrAdd(SEVERAL, { ...together(event), actor: SEVERAL, address: SEVERAL });
    if ((this.#perCaller.get(caller) ?? 0) >= auditEntriesPerCallerMax) return this.#findOrAdd(caller, together(event));
    return this.#findOrAdd(caller, event);
  }

  #findOrAdd(caller: string, event: AuditEvent): Repetition {
    const key = keyOf(caller, event);
    const known = this.#repetitions.get(key);
    if (known !== undefined) return known;
    const { requestId, versionId } = event;
    const added: Repetition = { caller, event, requestId, versionId, count: 0, firstAtMs: 0, lastAtMs: 0, writtenAtMs: undefined };
    this.#repetitions.set(key, added);
    this.#perCaller.set(caller, (this.#perCaller.get(caller) ?? 0) + 1);
    return added;
  }

  async #write(): Promise<void> {
    this.#collect();
    const { store, log } = this.#options;
    try {
      while (this.#unwritten.length > 0) {
        const batch = this.#unwritten.slice(0, WRITTEN_AT_ONCE_MAX);
        await store.append(batch);
        this.#unwritten = this.#unwritten.slice(batch.length);
      }
      this.#owed.done();
    } catch (fault) {
      // A database that is away is the usual reason; everything is kept, within bounds, for the next time.
      log.error({ err: fault, entries: this.#unwritten.length }, 'audit entries cannot be written; trying again');
    }
  }

  /** Moves what is due to what is written, unless so much waits there already that counting goes on where it is. */
  #collect(): void {
    if (this.#unwritten.length >= this.#options.limits.auditEntriesMax) return;
    const nowMs = this.#options.clock.now();
    this.#unwritten.push(...this.#accesses);
    this.#accesses = [];
    for (const [key, repetition] of this.#repetitions) {
      const { writtenAtMs, count, caller } = repetition;
      const isDue = this.#isClosing || writtenAtMs === undefined || nowMs - writtenAtMs >= this.#options.limits.auditPeriodMs;
      if (!isDue) continue;
      if (count === 0) this.#forget(key, caller);
      else this.#unwritten.push(toRecord(repetition));
      repetition.count = 0;
      repetition.writtenAtMs = nowMs;
    }
  }

  #forget(key: string, caller: string): void {
    this.#repetitions.delete(key);
    const left = (this.#perCaller.get(caller) ?? 1) - 1;
    if (left === 0) this.#perCaller.delete(caller);
    else this.#perCaller.set(caller, left);
  }
}

const together = (event: AuditEvent): AuditEvent => ({ ...event, operation: SEVERAL, datasetId: null, versionId: null, detail: {} });

const keyOf = (caller: string, { operation, datasetId, outcome }: AuditEvent): string => JSON.stringify([caller, operation, datasetId, outcome]);

function toRecord({ event, requestId, versionId, count, firstAtMs, lastAtMs }: Repetition): NewAuditRecord {
  return { ...event, requestId, versionId, count, at: new Date(firstAtMs).toISOString(), lastAt: new Date(lastAtMs).toISOString() };
}
