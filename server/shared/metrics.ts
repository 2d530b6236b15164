import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Lateness } from './promptness.ts';
import { ThreadCounts } from './thread-counts.ts';
import { TimeHistogram } from './time-histogram.ts';

/** A figure that is asked for whenever the metrics are read, once for each combination of label values. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** How often the delay of the event loop is looked at, in ms; ten times as often would take a hundredth of a core from an idle server. */
const LOOP_DELAY_STEP_MS = 50;

type Readings = Iterable<Reading> | Promise<Iterable<Reading>>;

/** How often a cache was asked and had what it was asked for. */
export interface Hits {
  readonly hits: number;
  readonly misses: number;
}

/**
 * What the server tells of itself in the text format of Prometheus; names begin with `covista_`, those of the process do not.
 * Label values are chosen from what the code knows (operations, engines, kinds) or bounded (`largest`), never made by callers.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #histograms: TimeHistogram[] = [];
  readonly #failures = new Map<string, number>();
  readonly #caches = new Map<string, () => Hits>();
  readonly #jobs = new Map<string, Lateness>();
  /** Where worker threads are counted. */
  readonly threads = new ThreadCounts();

  constructor() {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_DELAY_STEP_MS });
    this.total('metric_failures', 'Metrics that could not be read, and were left out', ['metric'], () => toReadings('metric', this.#failures));
    this.gauge('cache_hit_ratio', 'Share of look-ups that a cache answered since the start', ['cache'], () =>
      this.#eachCache(({ hits, misses }) => (hits + misses === 0 ? 0 : hits / (hits + misses))),
    );
    this.total('cache_hits', 'Look-ups that a cache answered', ['cache'], () => this.#eachCache(({ hits }) => hits));
    this.total('cache_misses', 'Look-ups that a cache could not answer', ['cache'], () => this.#eachCache(({ misses }) => misses));
    this.gauge('worker_threads', 'Worker threads that run', ['worker'], () => toReadings('worker', this.threads.running));
    this.total('worker_failures', 'Worker threads that ended though nobody ended them', ['worker'], () =>
      toReadings('worker', this.threads.failures),
    );
    this.gauge('job_lag_seconds', 'How late a background job is; 0: it is not due', ['job'], () =>
      [...this.#jobs].map(([job, { lagMs }]) => ({ labels: { job }, value: lagMs / 1_000 })),
    );
  }

  /** Times in seconds, by label: the histogram `covista_{name}_seconds`. */
  seconds(name: string, help: string, labels: readonly string[] = []): TimeHistogram {
    const histogram = new TimeHistogram(`covista_${name}_seconds`, help, labels);
    this.#histograms.push(histogram);
    return histogram;
  }

  /** A count that only rises, read when it is asked for: the counter `covista_{name}_total`. */
  total(name: string, help: string, labels: readonly string[], read: () => Readings): void {
    const readings = this.#reader(name, read);
    new Counter({
      name: `covista_${name}_total`,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      async collect() {
        const found = await readings();
        this.reset();
        // One without labels would be told as 0.
        if (found.length === 0 && labels.length === 0) this.remove();
        for (const { labels: values, value } of found) this.inc(values, value);
      },
    });
  }

  /** A figure that rises and falls, read when it is asked for: the gauge `covista_{name}`; the unit is a part of the name. */
  gauge(name: string, help: string, labels: readonly string[], read: () => Readings): void {
    const readings = this.#reader(name, read);
    new Gauge({
      name: `covista_${name}`,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      async collect() {
        const found = await readings();
        this.reset();
        if (found.length === 0 && labels.length === 0) this.remove();
        for (const { labels: values, value } of found) this.set(values, value);
      },
    });
  }

  /** A cache of which `covista_cache_hit_ratio`, `covista_cache_hits_total` and `covista_cache_misses_total` tell. */
  cache(name: string, read: () => Hits): void {
    this.#caches.set(name, read);
  }

  /** Background jobs by name, of which `covista_job_lag_seconds` tells how late they are. */
  jobs(jobs: Readonly<Record<string, Lateness>>): void {
    for (const [name, job] of Object.entries(jobs)) this.#jobs.set(name, job);
  }

  /** The media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    const counted = await this.#registry.metrics();
    return `${[counted.trimEnd(), ...this.#histograms.map((histogram) => histogram.text())].join('\n\n')}\n`;
  }

  /** One that cannot be read, such as while the database is away, must not take the others with it. */
  #reader(name: string, read: () => Readings): () => Promise<readonly Reading[]> {
    return async () => {
      try {
        return [...(await read())];
      } catch {
        this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
        return [];
      }
    };
  }

  #eachCache(value: (hits: Hits) => number): Reading[] {
    return [...this.#caches].map(([cache, read]) => ({ labels: { cache }, value: value(read()) }));
  }
}

/** A reading for each entry, its key as the label. */
export function toReadings(label: string, values: Iterable<readonly [string, number]>): Reading[] {
  return [...values].map(([key, value]) => ({ labels: { [label]: key }, value }));
}

/** The largest, and the others together as `other`, so that there are few labels however many things there are. */
export function largest(label: string, values: Iterable<readonly [string, number]>, namedMax: number): Reading[] {
  const sorted = [...values].sort(([, one], [, other]) => other - one);
  const others = sorted.slice(namedMax).reduce((total, [, value]) => total + value, 0);
  return toReadings(label, [...sorted.slice(0, namedMax), ['other', others]]);
}
