import { CovistaError, ERRORS } from '../../../protocol/errors.ts';
import type { RunId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { PauseReason } from '../../../protocol/operations/schedule.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { ClaimedRun, ExportFiles, JobQueue, Provenance, RunFailure, RunStore } from '../../storage/stores.ts';
import type { Actor } from '../access/actor.ts';
import type { Authorizer } from '../access/authorizer.ts';
import type { Revocations } from '../access/revocations.ts';
import { timeAfter } from './cron.ts';
import type { ExportRun } from './export-run.ts';

export interface RunnerOptions {
  readonly runs: RunStore;
  readonly jobs: JobQueue;
  readonly files: ExportFiles;
  readonly exportRun: ExportRun;
  readonly authorizer: Pick<Authorizer, 'authorize' | 'hold'>;
  readonly revocations: Pick<Revocations, 'against' | 'watch'>;
  /** Whether other servers may be at work on the same database. */
  readonly shared: boolean;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Files of runs that are under way, on this server or another, are not old enough to be left over. */
const LEFT_OVER_MS = 24 * 60 * 60_000;
const SWEEP_BATCH = 500;

/** The server takes no part any more, so that somebody else does what it began. */
const STOPPED = new CovistaError('draining', 'the server is stopping');
const LOST = new CovistaError('cancelled', 'another server has taken the run over');

/** A run that this server has. */
interface WatchedRun {
  readonly signal: AbortSignal;
  /** Its time runs from now on. */
  readonly begin: () => void;
  letGo(): void;
}

/** Takes runs of schedules when their time has come, one server each, and sees to those of servers that are gone. */
export class ScheduleRunner implements Lateness {
  readonly #options: RunnerOptions;
  readonly #running = new Set<AbortController>();
  /** Those of them whose file does not begin yet. */
  readonly #waitingTurn = new Set<AbortController>();
  /** Runs of this server since it started, by what became of them; a try that is made again counts as retried. */
  readonly outcomes = new Map<string, number>(['succeeded', 'failed', 'retried'].map((outcome) => [outcome, 0]));
  /** How long the run that waits longest has been due, as it was when that was looked at last. */
  #waitingMs = 0;
  /** Since the start. */
  #tending: Promptness | undefined;
  #queue: { stop(): Promise<void> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #round = Promise.resolve();
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** How long the run that waits longest has been due, or how late that is looked at. */
  get lagMs(): number {
    return Math.max(this.#waitingMs, this.#tending?.lagMs ?? 0);
  }

  start(): Promise<void> {
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { runs, jobs, shared, clock, limits } = this.#options;
    await runs.recover(!shared);
    await this.#sweepFiles(shared ? LEFT_OVER_MS : 0);
    await runs.ensureJobs();
    this.#queue = await jobs.start({
      due: (scheduleId) => runs.due(scheduleId, (settings) => timeAfter(settings, clock.now())),
      run: (runId, worker) => this.#run(runId, worker),
    });
    this.#tending = new Promptness(clock, limits.scheduleLeaseMs);
    this.#timer = setInterval(() => this.#tend(), limits.scheduleLeaseMs);
    this.#timer.unref();
  }

  /** Waits for the runs that are under way, and gives back what takes longer than a server may take to stop. It can be started again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    // Whoever starts it is told what failed.
    await this.#starting?.catch(() => undefined);
    clearInterval(this.#timer);
    this.#tending = undefined;
    this.#waitingMs = 0;
    // What has not begun need not wait for what has: another server may begin it.
    for (const controller of this.#waitingTurn) controller.abort(STOPPED);
    const deadline = setTimeout(() => {
      for (const controller of this.#running) controller.abort(STOPPED);
    }, this.#options.limits.drainTimeoutMs);
    await this.#queue?.stop();
    this.#queue = undefined;
    clearTimeout(deadline);
    await this.#round;
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  #tend(): void {
    const { runs, log } = this.#options;
    this.#round = this.#round
      .then(async () => {
        await runs.recover(false);
        await runs.ensureJobs();
        this.#waitingMs = await runs.lagMs();
        this.#tending?.done();
      })
      .catch((error: unknown) => log.error({ err: error }, 'runs of schedules could not be looked after; it is tried again'));
  }

  async #run(runId: RunId, worker: string): Promise<void> {
    const { runs, log } = this.#options;
    const claimed = await runs.begin(runId, worker);
    if (claimed === undefined) return;
    const watched = this.#watch(claimed);
    let versionId: VersionId | null = null;
    try {
      const result = await this.#export(claimed, watched, (found) => {
        versionId = found;
      });
      const left = await runs.succeed(claimed.attempt, result, provenanceOf(claimed));
      // Somebody else has the run by now, and makes a file of their own.
      await this.#options.files.remove(left ?? (result.file === null ? [] : [result.file]));
      if (left !== undefined) this.#count('succeeded');
    } catch (fault) {
      const error = watched.signal.aborted ? watched.signal.reason : fault;
      if (error === LOST) return;
      if (error === STOPPED) return await runs.giveBack(claimed.attempt);
      const failure = this.#failureOf(claimed, error, versionId);
      if (failure.error.code === 'internal')
        log.error({ err: error, runId, scheduleId: claimed.attempt.scheduleId }, 'a scheduled export met a fault');
      await runs.fail(claimed.attempt, failure, provenanceOf(claimed));
      this.#count(failure.retryMs === null ? 'failed' : 'retried');
    } finally {
      watched.letGo();
    }
  }

  async #export(claimed: ClaimedRun, { signal, begin }: WatchedRun, onVersion: (versionId: VersionId) => void) {
    const { authorizer, revocations, limits, clock, exportRun } = this.#options;
    const actor = actorOf(claimed);
    const { attempt, schedule } = claimed;
    if (attempt.attempts > limits.scheduleAttemptsMax) throw new GivenUp();
    if (revocations.against(actor) !== undefined) throw new Stopped('revoked', 'the token that the schedule was made with was revoked');
    const assertClaims = (): void => {
      if (Date.parse(schedule.shown.claimsUntil) > clock.now()) return;
      throw new Stopped('claims_expired', 'the claims of the owner are too old; they resume the schedule with a token of today');
    };
    assertClaims();
    // It may have waited for its turn.
    const onTurn = (): void => {
      assertClaims();
      begin();
    };
    const access = await authorizer.authorize(actor, 'read', attempt.datasetId).catch(lostPermission);
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const end = (reason: CovistaError): void => ended.abort(reason);
    // Who sees something else by now gets an export of that with the next try.
    const endLost = (reason: CovistaError): void =>
      end(reason.code === 'not_found' ? new Stopped('permission_lost', reason.message) : new CovistaError('unavailable', reason.message));
    const letGo = [
      authorizer.hold({ actor, level: 'read', access, followsScope: false, onLost: endLost }),
      revocations.watch(actor, (reason) => end(new Stopped('revoked', reason.message))),
    ];
    try {
      return await exportRun(claimed, { actor, access, signal: both, onTurn, onWhat: (what) => onVersion(what.versionId) });
    } catch (fault) {
      throw ended.signal.aborted ? ended.signal.reason : fault;
    } finally {
      for (const release of letGo) release();
    }
  }

  /** Keeps the run for as long as it goes on, and ends it when it is lost or takes too long. */
  #watch({ attempt }: ClaimedRun): WatchedRun {
    const { runs, limits, log } = this.#options;
    const controller = new AbortController();
    this.#running.add(controller);
    this.#waitingTurn.add(controller);
    // It was claimed in the moment of the stop.
    if (this.#stopping !== undefined) controller.abort(STOPPED);
    const renew = async (): Promise<void> => {
      try {
        if (!(await runs.renew(attempt))) controller.abort(LOST);
      } catch (error) {
        // What it writes at its end is fenced, so that it does no harm if it was lost meanwhile.
        log.warn({ err: error, runId: attempt.runId }, 'a run of a schedule could not be kept');
      }
    };
    const timer = setInterval(() => void renew(), limits.scheduleLeaseMs / 3);
    const { scheduleRunTimeoutMs: timeoutMs } = limits;
    let deadline: NodeJS.Timeout | undefined;
    const late = (): void => controller.abort(new CovistaError('timeout', `the export took longer than ${timeoutMs} ms`, { timeoutMs }));
    return {
      signal: controller.signal,
      begin: () => {
        this.#waitingTurn.delete(controller);
        deadline = setTimeout(late, timeoutMs);
      },
      letGo: () => {
        clearInterval(timer);
        clearTimeout(deadline);
        this.#running.delete(controller);
        this.#waitingTurn.delete(controller);
      },
    };
  }

  #failureOf({ attempt, run }: ClaimedRun, fault: unknown, versionId: VersionId | null): RunFailure {
    const { scheduleAttemptsMax, scheduleRetryMs, scheduleRetryMsMax } = this.#options.limits;
    const known = fault instanceof CovistaError;
    const error = known ? { code: fault.code, message: fault.message } : { code: 'internal', message: 'the server met a fault; its log has it' };
    if (fault instanceof GivenUp) return { error: run.error ?? error, versionId, retryMs: null, pause: null };
    const mayHelp = !known || ERRORS[fault.code].retry === 'later';
    const isLast = attempt.attempts >= scheduleAttemptsMax;
    const waitMs = Math.min(scheduleRetryMsMax, scheduleRetryMs * 2 ** (attempt.attempts - 1));
    return { error, versionId, retryMs: mayHelp && !isLast ? waitMs : null, pause: fault instanceof Stopped ? fault.pause : null };
  }

  /** Removes files that no run has: those of crashes, of runs that were lost, and of schedules that are gone with their dataset. */
  async #sweepFiles(graceMs: number): Promise<void> {
    const { files, runs } = this.#options;
    let batch: string[] = [];
    const flush = async (): Promise<void> => {
      const known = await runs.known(batch);
      await files.remove(batch.filter((path) => !known.has(path)));
      batch = [];
    };
    for await (const { path, ageMs } of files.list()) {
      if (ageMs < graceMs) continue;
      if (batch.push(path) === SWEEP_BATCH) await flush();
    }
    if (batch.length > 0) await flush();
  }
}

/** The schedule has to rest until its owner sees to it. */
class Stopped extends CovistaError {
  readonly pause: PauseReason;

  constructor(pause: PauseReason, message: string) {
    super('forbidden', message);
    this.pause = pause;
  }
}

/** It was begun as often as it may be; what went wrong is with the run. */
class GivenUp extends CovistaError {
  constructor() {
    super('internal', 'it was tried as often as it may be');
  }
}

function lostPermission(fault: unknown): never {
  if (fault instanceof CovistaError && (fault.code === 'not_found' || fault.code === 'forbidden'))
    throw new Stopped('permission_lost', fault.message);
  throw fault;
}

function actorOf({ schedule }: ClaimedRun): Actor {
  return { subject: schedule.shown.owner, groups: schedule.groups, serverAdmin: false, claims: schedule.claims, expiresAtMs: null };
}

function provenanceOf({ schedule, attempt }: ClaimedRun): Provenance {
  return { actor: schedule.shown.owner, operation: 'schedule.run', requestId: `run-${attempt.runId}-${attempt.attempts}`, address: '' };
}
