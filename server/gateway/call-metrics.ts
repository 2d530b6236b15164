import { CovistaError, type ErrorCode } from '../../protocol/errors.ts';
import type { Metrics, Reading } from '../shared/metrics.ts';
import type { Authorize, Gateway, Outcome } from './dispatch.ts';

/** Of what is answered at once, one in so many is timed and stands for them all. */
const SAMPLED_ONE_IN = 16;

/** Calls of one operation so far. */
interface Tally {
  readonly operation: string;
  done: number;
  channels: number;
  readonly errors: Map<ErrorCode, number>;
}

/** Which operations have come to what so far. */
class Tallies {
  readonly #tallies = new Map<string, Tally>();
  #latest: Tally | undefined;

  /** Something was done, where there is no code of an error. */
  count(operation: string, code: ErrorCode | undefined): Tally {
    // Callers choose names, and those that mean nothing must not fill the memory.
    const tally = this.#tallyOf(code === 'unknown_operation' ? 'unknown' : operation);
    if (code === undefined) tally.done += 1;
    else tally.errors.set(code, (tally.errors.get(code) ?? 0) + 1);
    return tally;
  }

  show(metrics: Metrics): void {
    metrics.total('requests', 'Requests that were answered, by operation', ['operation'], () =>
      this.#each(({ operation, done, errors }) => [{ labels: { operation }, value: done + sum(errors.values()) }]),
    );
    metrics.total(
      'error_rate_by_endpoint',
      'Requests that failed, by operation and code; rate() of it is the error rate',
      ['operation', 'code'],
      () => this.#each(({ operation, errors }) => [...errors].map(([code, value]) => ({ labels: { operation, code }, value }))),
    );
    metrics.gauge('channels', 'Channels that are open, on sockets of their own or not', ['operation'], () =>
      this.#each(({ operation, channels }) => (operation.endsWith('.connect') ? [{ labels: { operation }, value: channels }] : [])),
    );
  }

  #tallyOf(operation: string): Tally {
    if (this.#latest?.operation === operation) return this.#latest;
    this.#latest = this.#tallies.get(operation) ?? { operation, done: 0, channels: 0, errors: new Map() };
    this.#tallies.set(operation, this.#latest);
    return this.#latest;
  }

  #each(readings: (tally: Tally) => Reading[]): Reading[] {
    return [...this.#tallies.values()].flatMap(readings);
  }
}

/**
 * A gateway that counts what becomes of calls and times them. What is answered at once is timed by samples: the clock and the
 * histogram would cost a good part of what such a call does.
 */
export function measured(gateway: Gateway, metrics: Metrics): Gateway {
  const tallies = new Tallies();
  tallies.show(metrics);
  const help = 'From a request until it is answered or refused; of a stream until it begins';
  const times = metrics.seconds('end_to_end_latency', help, ['operation', 'outcome']);
  let turn = 0;
  const count = (name: string, code: ErrorCode | undefined, startedAtMs: number, weight: number): Tally => {
    const tally = tallies.count(name, code);
    if (weight > 0) times.observe([tally.operation, code === undefined ? 'done' : 'failed'], secondsSince(startedAtMs), weight);
    return tally;
  };
  const settle = (name: string, outcome: Outcome, startedAtMs: number, weight: number): Outcome => {
    const tally = count(name, outcome.kind === 'error' ? outcome.error.code : undefined, startedAtMs, weight);
    return outcome.kind === 'channel' ? countedWhileOpen(outcome, tally) : outcome;
  };
  return {
    ...gateway,
    failedBefore: (operation, fault, startedAtMs) => {
      gateway.failedBefore(operation, fault, startedAtMs);
      count(operation, fault instanceof CovistaError ? fault.code : 'internal', startedAtMs, 1);
    },
    dispatch: (call) => {
      turn = (turn + 1) % SAMPLED_ONE_IN;
      const startedAtMs = performance.now();
      const outcome = gateway.dispatch(call);
      if (!(outcome instanceof Promise)) return settle(call.operation, outcome, startedAtMs, turn === 0 ? SAMPLED_ONE_IN : 0);
      return outcome.then((settled) => settle(call.operation, settled, startedAtMs, 1));
    },
  };
}

/** The check of permissions, timed; by samples where the grants are in memory. */
export function measuredAuthorize(authorize: Authorize, metrics: Metrics): Authorize {
  const checks = metrics.seconds('permission_check_duration', 'Finding out what somebody may do on a dataset');
  let turn = 0;
  return (actor, level, datasetId, state) => {
    turn = (turn + 1) % SAMPLED_ONE_IN;
    const startedAtMs = performance.now();
    const access = authorize(actor, level, datasetId, state);
    if (access instanceof Promise) {
      const note = (): void => checks.observe([], secondsSince(startedAtMs));
      access.then(note, note);
    } else if (turn === 0) checks.observe([], secondsSince(startedAtMs), SAMPLED_ONE_IN);
    return access;
  };
}

/** An opening is attached or abandoned once, and an attached channel ends once. */
function countedWhileOpen(outcome: Extract<Outcome, { kind: 'channel' }>, tally: Tally): Outcome {
  return {
    ...outcome,
    attach: (peer) => {
      const channel = outcome.attach(peer);
      tally.channels += 1;
      return {
        receive: (bytes) => channel.receive(bytes),
        closed: () => {
          tally.channels -= 1;
          channel.closed();
        },
      };
    },
  };
}

const secondsSince = (startedAtMs: number): number => (performance.now() - startedAtMs) / 1_000;

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
