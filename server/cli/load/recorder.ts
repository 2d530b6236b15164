import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { CovistaError } from '../../../protocol/errors.ts';
import { LIMITS, type LimitName } from '../../../protocol/limits.ts';

/** What came of one kind of action so far; times in milliseconds. */
export interface Figures {
  readonly action: string;
  readonly count: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** What has no time, and is known by its errors alone: a connection that was refused or lost, and somebody who found no seat. */
export const FAULTS: readonly string[] = ['connection', 'sit'];

/** What came of all kinds of actions together. */
export type Overall = Pick<Figures, 'perSecond' | 'errors' | 'p50' | 'p95' | 'p99'>;

/** All that a recorder knows, as it goes from thread to thread. */
export interface Recorded {
  readonly elapsedMs: number;
  /** Histograms as text. */
  readonly entries: readonly { readonly action: string; readonly times: string; readonly errors: number; readonly missed: number }[];
  readonly all: string;
  readonly missed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly limitsMet: LimitsMet;
}

/** The limits of the server that it named when it refused something, with what they are there. */
export type LimitsMet = Readonly<Partial<Record<LimitName, number>>>;

interface Entry {
  readonly times: Histogram;
  errors: number;
  /** Of the times, those of what nobody came to begin: of no use for a rate. */
  missed: number;
}

export interface ActionOptions {
  /** It asks the server for nothing that could be waited for, so that all actions together are told without it. */
  readonly isLocal?: boolean | undefined;
}

/** Latencies are kept in microseconds, from one to an hour, to three significant digits. */
const HISTOGRAM = { lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3 } as const;
/** Kinds of errors that are told apart; further ones are counted with the last. */
const ERROR_KINDS_MAX = 50;

/**
 * Counts and times actions. A time runs from when the action was due rather than from when it began, so that a server which
 * holds people up is charged with everything that they did not get to do meanwhile (coordinated omission).
 */
export class Recorder {
  readonly #entries = new Map<string, Entry>();
  readonly #errors = new Map<string, number>();
  readonly #limits = new Map<LimitName, number>();
  readonly #all = build(HISTOGRAM);
  /** Of all actions together. */
  #missed = 0;
  #startedAtMs: number | undefined;

  /** What several recorded beside one another, as if one had. */
  static of(recorded: readonly Recorded[]): Recorder {
    const recorder = new Recorder();
    recorder.#startedAtMs = performance.now() - Math.max(0, ...recorded.map(({ elapsedMs }) => elapsedMs));
    for (const { entries, all, missed: allMissed, errors, limitsMet } of recorded) {
      for (const { action, times, errors: failed, missed } of entries) {
        const entry = recorder.#entry(action);
        entry.times.add(decodeFromCompressedBase64(times));
        entry.errors += failed;
        entry.missed += missed;
      }
      recorder.#all.add(decodeFromCompressedBase64(all));
      recorder.#missed += allMissed;
      for (const [kind, count] of Object.entries(errors)) recorder.#count(kind, count);
      for (const [name, most] of Object.entries(limitsMet)) recorder.#limits.set(name as LimitName, most);
    }
    return recorder;
  }

  recorded(): Recorded {
    return {
      elapsedMs: this.#elapsedMs(),
      entries: [...this.#entries].map(([action, { times, ...counts }]) => ({ action, times: encodeIntoCompressedBase64(times), ...counts })),
      all: encodeIntoCompressedBase64(this.#all),
      missed: this.#missed,
      errors: this.errors,
      limitsMet: this.limitsMet,
    };
  }

  /** Forgets what was recorded, as at the end of the warm-up, and counts from now on. */
  restart(): void {
    this.#entries.clear();
    this.#errors.clear();
    this.#all.reset();
    this.#missed = 0;
    this.#startedAtMs = performance.now();
  }

  /** Runs an action that was due at a time of `performance.now()`; undefined when it failed. */
  async measure<Result>(action: string, dueAtMs: number, work: () => Promise<Result>, options?: ActionOptions): Promise<Result | undefined> {
    try {
      const result = await work();
      this.charge(action, dueAtMs, options);
      return result;
    } catch (fault) {
      this.fail(action, fault);
      return undefined;
    }
  }

  /** Charges an action that was due at a time of `performance.now()` with the time since. */
  charge(action: string, dueAtMs: number, { isLocal = false }: ActionOptions = {}): void {
    const elapsedMs = performance.now() - dueAtMs;
    this.record(action, elapsedMs);
    if (!isLocal) this.#all.recordValue(microseconds(elapsedMs));
  }

  /** Charges what there was no time to begin, which nobody answered. */
  miss(action: string, dueAtMs: number, options: ActionOptions = {}): void {
    this.charge(action, dueAtMs, options);
    this.#entry(action).missed += 1;
    if (options.isLocal !== true) this.#missed += 1;
  }

  /** Times what is no action itself, such as how the action of another is seen. */
  record(action: string, elapsedMs: number): void {
    this.#entry(action).times.recordValue(microseconds(elapsedMs));
  }

  fail(action: string, fault: unknown): void {
    this.#entry(action).errors += 1;
    if (fault instanceof CovistaError) this.#meet(fault);
    const kind = fault instanceof CovistaError ? `${action}: ${fault.code}` : `${action}: ${fault instanceof Error ? fault.message : String(fault)}`;
    this.#count(kind, 1);
  }

  /** Errors by action and code. */
  get errors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errors);
  }

  get limitsMet(): LimitsMet {
    return Object.fromEntries(this.#limits);
  }

  /**
   * What came of all actions together, but for those that no server answers; what those who watch see of the actions of others is
   * not counted once more.
   */
  overall(): Overall {
    const errors = [...this.#entries.values()].reduce((total, entry) => total + entry.errors, 0);
    return { perSecond: (this.#all.totalCount - this.#missed) / this.#seconds(), errors, ...percentilesOf(this.#all) };
  }

  /** What came of every kind of action, in the order in which they first happened. */
  figures(): Figures[] {
    const seconds = this.#seconds();
    return [...this.#entries].map(([action, { times, errors, missed }]) => {
      const count = times.totalCount - missed;
      return { action, count, errors, perSecond: count / seconds, ...percentilesOf(times), max: times.maxValue / 1_000 };
    });
  }

  #elapsedMs(): number {
    return performance.now() - (this.#startedAtMs ?? performance.now());
  }

  /** Never zero, since rates are by it. */
  #seconds(): number {
    return Math.max(1e-3, this.#elapsedMs() / 1_000);
  }

  #meet({ details }: CovistaError): void {
    for (const [name, most] of Object.entries(details)) {
      if (Object.hasOwn(LIMITS, name) && typeof most === 'number') this.#limits.set(name as LimitName, most);
    }
  }

  #count(kind: string, errors: number): void {
    const key = this.#errors.has(kind) || this.#errors.size < ERROR_KINDS_MAX ? kind : 'others';
    this.#errors.set(key, (this.#errors.get(key) ?? 0) + errors);
  }

  #entry(action: string): Entry {
    const known = this.#entries.get(action);
    if (known !== undefined) return known;
    const made = { times: build(HISTOGRAM), errors: 0, missed: 0 };
    this.#entries.set(action, made);
    return made;
  }
}

/** What is told of an action that never happened. */
export const nothingOf = (action: string): Figures => ({ action, count: 0, errors: 0, perSecond: 0, p50: 0, p95: 0, p99: 0, max: 0 });

function percentilesOf(times: Histogram): Pick<Figures, 'p50' | 'p95' | 'p99'> {
  const at = (percentile: number): number => times.getValueAtPercentile(percentile) / 1_000;
  return { p50: at(50), p95: at(95), p99: at(99) };
}

const microseconds = (elapsedMs: number): number => Math.min(HISTOGRAM.highestTrackableValue, Math.max(1, Math.round(elapsedMs * 1_000)));
