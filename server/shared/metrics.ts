import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** A figure that is asked for whenever the metrics are read, once for each combination of label values. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What the server tells of itself in the text format of Prometheus; names begin with `covista_`, those of the process do not. */
export class Metrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Times in seconds, by label. */
  seconds(name: string, help: string, labels: readonly string[] = []): { observe(labels: Readonly<Record<string, string>>, seconds: number): void } {
    return new Histogram({ name: `covista_${name}_seconds`, help, labelNames: [...labels], buckets: SECONDS, registers: [this.#registry] });
  }

  /** A count that only rises, read when it is asked for. */
  total(name: string, help: string, labels: readonly string[], read: () => Iterable<Reading>): void {
    new Counter({
      name: `covista_${name}_total`,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels: values, value } of read()) this.inc(values, value);
      },
    });
  }

  /** A figure that rises and falls, read when it is asked for. */
  gauge(name: string, help: string, labels: readonly string[], read: () => Iterable<Reading> | Promise<Iterable<Reading>>): void {
    new Gauge({
      name: `covista_${name}`,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      async collect() {
        const readings = [...(await read())];
        this.reset();
        for (const { labels: values, value } of readings) this.set(values, value);
      },
    });
  }

  /** The media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
