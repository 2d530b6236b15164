import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { RecentDenials } from '../access/denials.ts';
import type { AlertRule } from './alerts.ts';

interface TableMemoryUse {
  /** Of all tables, those being loaded included. */
  usedBytes(): number;
  /** Unloads tables that nobody uses, least recently used first, until so many bytes are left; answers how many. */
  evictIdle(bytesLeft: number): number;
  /** Whether tables that are not loaded are refused. */
  refuseNew(isRefused: boolean): void;
}

type MemoryLimits = Pick<Limits, 'alertMemoryPercent' | 'tablesBytesMax'>;

/** Tables take most of what they may: idle ones go, and where that does not help, no more are let in. */
export function highMemoryUsage(tables: TableMemoryUse, { alertMemoryPercent: threshold, tablesBytesMax }: MemoryLimits): AlertRule {
  const percent = (): number => Math.round((1_000 * tables.usedBytes()) / tablesBytesMax) / 10;
  return {
    name: 'high_memory_usage',
    action: 'evict_idle_tables',
    unit: 'percent',
    threshold,
    measure: () => ({ value: percent(), detail: { usedBytes: tables.usedBytes(), tablesBytesMax } }),
    act: () => {
      const evictedTables = tables.evictIdle(Math.floor((tablesBytesMax * threshold) / 100));
      const newTablesRefused = percent() > threshold;
      tables.refuseNew(newTablesRefused);
      return { evictedTables, newTablesRefused, usedBytes: tables.usedBytes() };
    },
    settle: () => tables.refuseNew(false),
  };
}

/** A version that is being made: all of its bytes are there. */
export interface CreationBegun {
  /** Null: the dataset is made with it. */
  readonly datasetId: DatasetId | null;
  readonly fileName: string | null;
  /** Null: none were sent along. */
  readonly bytes: number | null;
}

/** A version that was made, or takes long already, and what its file is. */
export interface CreationSample extends CreationBegun {
  /** Null: it is not made yet. */
  readonly versionId: VersionId | null;
  readonly rows: number | null;
  readonly creationMs: number;
}

const SAMPLES_MAX = 1_000;
const FILES_NAMED_MAX = 10;

/** The times that versions took lately. */
export class Creations {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #slowMs: number;
  /** As many as commits that are under way. */
  readonly #running = new Set<CreationBegun & { readonly atMs: number }>();
  #samples: (CreationSample & { readonly atMs: number })[] = [];

  constructor({ limits, clock }: { readonly limits: Pick<Limits, 'alertVersionWindowMs' | 'alertVersionCreationMs'>; readonly clock: Clock }) {
    this.#windowMs = limits.alertVersionWindowMs;
    this.#slowMs = limits.alertVersionCreationMs;
    this.#clock = clock;
  }

  note(sample: CreationSample): void {
    this.#samples = [...this.#samples.slice(1 - SAMPLES_MAX), { ...sample, atMs: this.#clock.now() }];
  }

  /** A version is being made, which may never end; returns what to call when it does. */
  begin(begun: CreationBegun): () => void {
    const running = { ...begun, atMs: this.#clock.now() };
    this.#running.add(running);
    return () => void this.#running.delete(running);
  }

  /** Slowest first, those among them that are being made and are slow already. */
  recent(): CreationSample[] {
    const nowMs = this.#clock.now();
    this.#samples = this.#samples.filter(({ atMs }) => atMs >= nowMs - this.#windowMs);
    const running = [...this.#running].map(({ atMs, ...begun }) => ({ ...begun, versionId: null, rows: null, creationMs: nowMs - atMs }));
    const done = this.#samples.map(({ atMs: _, ...sample }) => sample);
    return [...done, ...running.filter(({ creationMs }) => creationMs > this.#slowMs)].toSorted((one, other) => other.creationMs - one.creationMs);
  }
}

/** Of every twenty versions one or more took too long: their files are named, with what was in them. */
export function slowVersionCreation(creations: Creations, { alertVersionCreationMs: threshold }: Pick<Limits, 'alertVersionCreationMs'>): AlertRule {
  return {
    name: 'slow_version_creation',
    action: 'investigate_file_size',
    unit: 'ms',
    threshold,
    measure: () => {
      const slowestFirst = creations.recent();
      const p95 = slowestFirst[Math.floor(slowestFirst.length * 0.05)]?.creationMs ?? 0;
      return { value: Math.round(p95), detail: { versions: slowestFirst.length } };
    },
    act: () => ({
      files: creations
        .recent()
        .filter(({ creationMs }) => creationMs > threshold)
        .slice(0, FILES_NAMED_MAX)
        .map((sample) => ({ ...sample, creationMs: Math.round(sample.creationMs) })),
    }),
  };
}

interface Culprits {
  tightenSubject(subject: string): void;
  tightenAddress(address: string): boolean;
}

type DenialLimits = Pick<Limits, 'alertDenialsPerMinute' | 'alertDenialsPerCallerPerMinute'>;

/** Who made so large a part of a spike is held to a tighter rate even where nobody is over the threshold alone. */
const CULPRIT_SHARE = 0.2;
const CALLERS_NAMED_MAX = 20;

/** Too much is refused, to all together or to one person or address: who asks is named, and may ask only a little for a while. */
export function permissionDenialSpike(denials: { recent(): RecentDenials }, culprits: Culprits, limits: DenialLimits): AlertRule {
  const { alertDenialsPerMinute: threshold, alertDenialsPerCallerPerMinute: callerMax } = limits;
  const above = (counts: ReadonlyMap<string, number>, least: number): string[] =>
    [...counts].filter(([, count]) => count > least).map(([caller]) => caller);
  return {
    name: 'permission_denial_spike',
    action: 'check_for_attack',
    unit: 'per minute',
    threshold,
    measure: () => {
      const { total, subjects, addresses, addressesBesideOne } = denials.recent();
      const isOver = callerMax > 0 && (above(subjects, callerMax).length > 0 || above(addressesBesideOne, callerMax).length > 0);
      return { value: total, isOver, detail: { subjects: most(subjects), addresses: most(addresses) } };
    },
    act: () => {
      const { total, subjects, addressesBesideOne } = denials.recent();
      const alone = callerMax > 0 ? callerMax : Number.POSITIVE_INFINITY;
      const leastOf = (all: number): number => Math.max(1, Math.min(alone, all > threshold ? all * CULPRIT_SHARE : Number.POSITIVE_INFINITY));
      const tightenedSubjects = above(subjects, leastOf(total));
      for (const subject of tightenedSubjects) culprits.tightenSubject(subject);
      // What persons made who are named for themselves is no spike of the addresses that they share with others.
      const others = total - sumOf(tightenedSubjects.map((subject) => subjects.get(subject) ?? 0));
      const tightenedAddresses = above(addressesBesideOne, Math.max(leastOf(total), leastOf(others))).filter((address) =>
        culprits.tightenAddress(address),
      );
      return { tightenedSubjects: tightenedSubjects.slice(0, CALLERS_NAMED_MAX), tightenedAddresses: tightenedAddresses.slice(0, CALLERS_NAMED_MAX) };
    },
  };
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

function most(counts: ReadonlyMap<string, number>): Record<string, number> {
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  return Object.fromEntries(sorted.slice(0, CALLERS_NAMED_MAX));
}
