/** Upper bounds in seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

interface Series {
  readonly labels: readonly string[];
  /** How many were within each bound and not within the one before; the last: beyond all. */
  readonly counts: number[];
  sum: number;
  count: number;
}

/**
 * Times by label, in a form that costs an observation a comparison or two: the histogram of prom-client costs more than many a
 * request. Label values must be of a bounded set.
 */
export class TimeHistogram {
  readonly name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #series = new Map<string, Series>();

  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.#help = help;
    this.#labels = labels;
    if (labels.length === 0) this.#add([]);
  }

  /** Notes a time; `weight`: how many it stands for, where only some are timed. Values are in the order of the labels. */
  observe(values: readonly string[], seconds: number, weight = 1): void {
    const series = this.#series.get(keyOf(values)) ?? this.#add(values);
    let index = 0;
    while (index < BOUNDS.length && seconds > (BOUNDS[index] as number)) index += 1;
    series.counts[index] = (series.counts[index] as number) + weight;
    series.sum += seconds * weight;
    series.count += weight;
  }

  /** In the text format of Prometheus. */
  text(): string {
    const lines = [`# HELP ${this.name} ${this.#help}`, `# TYPE ${this.name} histogram`];
    for (const { labels, counts, sum, count } of this.#series.values()) {
      const written = this.#labels.map((label, index) => `${label}="${escaped(labels[index] ?? '')}"`);
      let within = 0;
      for (const [index, bound] of BOUNDS.entries()) {
        within += counts[index] as number;
        lines.push(`${this.name}_bucket{${[`le="${bound}"`, ...written].join(',')}} ${within}`);
      }
      lines.push(`${this.name}_bucket{${['le="+Inf"', ...written].join(',')}} ${count}`);
      const own = written.length === 0 ? '' : `{${written.join(',')}}`;
      lines.push(`${this.name}_sum${own} ${sum}`, `${this.name}_count${own} ${count}`);
    }
    return lines.join('\n');
  }

  #add(labels: readonly string[]): Series {
    const series: Series = { labels: [...labels], counts: new Array<number>(BOUNDS.length + 1).fill(0), sum: 0, count: 0 };
    this.#series.set(keyOf(labels), series);
    return series;
  }
}

const keyOf = (values: readonly string[]): string => (values.length === 1 ? (values[0] as string) : values.join('\u0000'));

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
