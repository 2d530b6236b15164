import { startHelper } from './helper.ts';

/** People who each make a view and read windows of it, all at once. */
export interface Crowd {
  readonly people: readonly { readonly url: string; readonly config: ViewConfig }[];
  /** The name under which the table is hosted. */
  readonly table: string;
  /** How many windows each person reads, at random offsets. */
  readonly windows: number;
  readonly windowRows: number;
  readonly seed: number;
}

export interface ViewConfig {
  readonly group_by?: readonly string[];
  readonly columns?: readonly string[];
  readonly aggregates?: Readonly<Record<string, string>>;
}

export interface CrowdFigures {
  /** From the first question to the last answer. */
  readonly totalMs: number;
  /** Until each view was there with its size. */
  readonly viewMs: readonly number[];
  readonly windowMs: readonly number[];
  /** Of each person, how large the view is and what its first row says. */
  readonly answers: readonly string[];
}

/** Of whom little is asked while others ask much. */
export interface ProbeTarget {
  readonly url: string;
  readonly table: string;
  /** Of Covista, where `session.whoami` is asked as well. */
  readonly session?: { readonly url: string; readonly token: string };
}

export interface ProbeFigures {
  readonly whoamiMs: number[];
  readonly windowMs: number[];
}

export interface TableLoad {
  run(crowd: Crowd): Promise<CrowdFigures>;
  stop(): Promise<void>;
}

export function startTableLoad(): TableLoad {
  const { ask, stop } = startHelper<Crowd, CrowdFigures>('table-crowd.ts');
  return { run: ask, stop };
}

/** Asks little for as long as the work lasts. */
export async function probing<T>(target: ProbeTarget, work: () => Promise<T>): Promise<{ result: T; figures: ProbeFigures }> {
  const { ask, stop } = startHelper<ProbeTarget | 'end', ProbeFigures>('table-probe.ts');
  try {
    await ask(target);
    const result = await work();
    return { result, figures: await ask('end') };
  } finally {
    await stop();
  }
}
