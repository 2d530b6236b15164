import type { ErrorCode } from '../../protocol/errors.ts';
import type { Metrics, Reading } from '../shared/metrics.ts';
import type { Gateway, Outcome } from './dispatch.ts';

/** What the operations that make or show something are also counted as. */
const KINDS: Readonly<Record<string, 'upload' | 'table' | 'view'>> = {
  'version.commit': 'upload',
  'upload.commit': 'upload',
  'table.open': 'table',
  'table.openUpload': 'table',
  'view.create': 'view',
  'view.data': 'view',
};

/** Calls of one operation so far. */
interface Tally {
  readonly operation: string;
  done: number;
  readonly errors: Map<ErrorCode, number>;
}

/**
 * A gateway that counts what becomes of calls, and times those that are not answered at once. What is answered at once is
 * only counted, in plain numbers that are read when the metrics are: a histogram would cost more than the call.
 */
export function measured(gateway: Gateway, metrics: Metrics): Gateway {
  const tallies = new Map<string, Tally>();
  let latest: Tally | undefined;
  const tallyOf = (operation: string): Tally => {
    if (latest?.operation === operation) return latest;
    latest = tallies.get(operation) ?? { operation, done: 0, errors: new Map() };
    return latest;
  };
  const count = (operation: string, outcome: Outcome): void => {
    const isUnknown = outcome.kind === 'error' && outcome.error.code === 'unknown_operation';
    // Callers choose names, and those that mean nothing must not fill the memory.
    const tally = tallyOf(isUnknown ? 'unknown' : operation);
    tallies.set(tally.operation, tally);
    if (outcome.kind !== 'error') tally.done += 1;
    else tally.errors.set(outcome.error.code, (tally.errors.get(outcome.error.code) ?? 0) + 1);
  };
  const time = timersOf(metrics);
  metrics.total('requests', 'Requests that were answered, by operation', ['operation'], () =>
    [...tallies.values()].map(({ operation, done, errors }) => ({ labels: { operation }, value: done + sum(errors.values()) })),
  );
  metrics.total('errors', 'Requests that failed, by operation and code (error_rate_by_endpoint)', ['operation', 'code'], () =>
    failuresOf(tallies.values()),
  );
  metrics.total('versions_created', 'Versions that were created (version_creation_rate)', [], () => [
    { labels: {}, value: (tallies.get('version.commit')?.done ?? 0) + (tallies.get('upload.commit')?.done ?? 0) },
  ]);
  return {
    ...gateway,
    dispatch: (call) => {
      const outcome = gateway.dispatch(call);
      if (!(outcome instanceof Promise)) {
        count(call.operation, outcome);
        return outcome;
      }
      const startedAtMs = performance.now();
      return outcome.then((settled) => {
        count(call.operation, settled);
        if (settled.kind !== 'error') time(call.operation, (performance.now() - startedAtMs) / 1_000);
        return settled;
      });
    },
  };
}

function timersOf(metrics: Metrics): (operation: string, seconds: number) => void {
  const requests = metrics.seconds('request_duration', 'From request to answer of what is not answered at once (end_to_end_latency)', ['operation']);
  const kinds = {
    upload: metrics.seconds('dataset_upload_duration', 'Commits of uploaded files, conversion included (dataset_upload_duration)'),
    table: metrics.seconds('table_creation', 'Opening tables (table_creation_time)'),
    view: metrics.seconds('view_computation', 'Making views and reading windows of them (view_computation_time)'),
  };
  return (operation, seconds) => {
    requests.observe({ operation }, seconds);
    const kind = KINDS[operation];
    if (kind !== undefined) kinds[kind].observe({}, seconds);
  };
}

function failuresOf(tallies: Iterable<Tally>): Reading[] {
  return [...tallies].flatMap(({ operation, errors }) => [...errors].map(([code, value]) => ({ labels: { operation, code }, value })));
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
