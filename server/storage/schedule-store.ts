import type { DatasetId, RunId, ScheduleId, Subject, VersionId } from '../../protocol/ids.ts';
import type { PauseReason, Schedule, ScheduleRun, ShownDestination } from '../../protocol/operations/schedule.ts';
import type { Page, Provenance } from './stores.ts';

/** As whom a schedule runs: what of a token it keeps. */
export interface ScheduleClaims {
  readonly groups: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What is exported when and where to; nothing in it is secret. */
export interface ScheduleSettings
  extends Pick<Schedule, 'ref' | 'refKind' | 'savedView' | 'config' | 'engine' | 'cron' | 'timeZone' | 'format' | 'filesKept'> {
  readonly destination: ShownDestination;
}

export interface NewSchedule {
  readonly name: string;
  readonly settings: ScheduleSettings;
  readonly claims: ScheduleClaims;
  /** Sealed; null: there are none. */
  readonly secrets: string | null;
  readonly nextAt: string | null;
}

/** What changes; the claims are renewed with every change by the owner. */
export type ScheduleChange = Partial<Pick<NewSchedule, 'name' | 'settings' | 'secrets'>> & Pick<NewSchedule, 'claims' | 'nextAt'>;

export interface ScheduleRecord {
  /** As callers are shown it. */
  readonly shown: Schedule;
  readonly settings: ScheduleSettings;
}

export interface RunRecord {
  readonly shown: ScheduleRun;
  /** Path of its file, while that is kept. */
  readonly file: string | null;
  /** What tells the scope that it was made under. */
  readonly scope: string | null;
}

/** One try of a run; whoever has another number has lost it. */
export type RunAttempt = Pick<ScheduleRun, 'runId' | 'scheduleId' | 'attempts'> & { readonly datasetId: DatasetId };

/** A run that this server has, with everything that it takes. */
export interface ClaimedRun {
  readonly attempt: RunAttempt;
  readonly run: ScheduleRun;
  readonly schedule: ScheduleRecord & ScheduleClaims & { readonly secrets: string | null };
}

export interface RunResult extends Pick<ScheduleRun, 'rows' | 'bytes' | 'sha256' | 'place'>, Pick<RunRecord, 'file' | 'scope'> {
  readonly versionId: VersionId;
}

export interface RunFailure {
  readonly error: NonNullable<ScheduleRun['error']>;
  readonly versionId: VersionId | null;
  /** After how long to try again; null: never. */
  readonly retryMs: number | null;
  /** Why the schedule has to rest; null: it goes on. */
  readonly pause: PauseReason | null;
}

/** Files that no run has any more. */
export type LeftFiles = readonly string[];

export interface ScheduleStore {
  /** `conflict` when the dataset has as many schedules as it may. */
  create(datasetId: DatasetId, schedule: NewSchedule, provenance: Provenance): Promise<Schedule>;
  /** Those of an owner; null: all of the dataset. */
  list(datasetId: DatasetId, owner: Subject | null, page: Page & { readonly after?: ScheduleId | undefined }): Promise<ScheduleRecord[]>;
  get(datasetId: DatasetId, scheduleId: ScheduleId): Promise<ScheduleRecord | undefined>;
  change(at: Schedule, change: ScheduleChange, provenance: Provenance): Promise<Schedule>;
  /** Nothing of it runs until it is resumed; runs that wait are given up. */
  pause(at: Schedule, provenance: Provenance): Promise<Schedule>;
  resume(at: Schedule, change: Pick<NewSchedule, 'claims' | 'nextAt'>, provenance: Provenance): Promise<Schedule>;
  /** A run now; `conflict` while another one is not over. */
  ask(at: Schedule, claims: ScheduleClaims, provenance: Provenance): Promise<ScheduleRun>;
  runs(scheduleId: ScheduleId, page: Page & { readonly before?: RunId | undefined }): Promise<RunRecord[]>;
  run(scheduleId: ScheduleId, runId: RunId): Promise<RunRecord | undefined>;
  delete(at: Schedule, provenance: Provenance): Promise<LeftFiles>;
}

export interface RunStore {
  /**
   * The time of a schedule has come: makes the run and asks `nextOf` when it comes again. Where the run before is not over, the
   * new one is skipped. Nothing happens where another server saw it first, or the schedule was changed meanwhile.
   */
  due(scheduleId: ScheduleId, nextOf: (settings: ScheduleSettings) => string | null): Promise<void>;
  /** Takes a run that waits; undefined: somebody else did, or it waits no longer. */
  begin(runId: RunId, worker: string): Promise<ClaimedRun | undefined>;
  /** Keeps a run; false: it is this server's no longer. */
  renew(attempt: RunAttempt): Promise<boolean>;
  /** Files that are kept no longer, or undefined where the run is this server's no longer. */
  succeed(attempt: RunAttempt, result: RunResult, provenance: Provenance): Promise<LeftFiles | undefined>;
  fail(attempt: RunAttempt, failure: RunFailure, provenance: Provenance): Promise<void>;
  /** Gives a run back, as if it had not been tried. */
  giveBack(attempt: RunAttempt): Promise<void>;
  /** Runs whose server is gone: tried again, or at their end. `all`: this server is the only one, and has none. */
  recover(all: boolean): Promise<void>;
  /** Jobs of schedules and runs that have none, as after a restore. */
  ensureJobs(): Promise<void>;
  /** Which of these files some run has. */
  known(files: readonly string[]): Promise<Set<string>>;
  /** Bytes of all files that are kept. */
  filesBytes(): Promise<number>;
  /** How long the run that waits longest has been due, in milliseconds; 0: none waits. */
  lagMs(): Promise<number>;
}

/** What is done when jobs come up. A job that throws is tried again by the queue. */
export interface JobTasks {
  due(scheduleId: ScheduleId): Promise<void>;
  run(runId: RunId, worker: string): Promise<void>;
}

/** Jobs that live in the database: each is done by one server, when its time has come. */
export interface JobQueue {
  /** Takes jobs until it is stopped, which waits for those that were taken. */
  start(tasks: JobTasks): Promise<{ stop(): Promise<void> }>;
}

/** Exported files by path below a directory. A path that exists is a fault. */
export interface ExportFiles {
  /** Appears whole or not at all, durably. */
  write(path: string, body: AsyncIterable<Uint8Array>): Promise<void>;
  has(path: string): Promise<boolean>;
  read(path: string): AsyncIterable<Uint8Array>;
  remove(paths: readonly string[]): Promise<void>;
  /** Files that the server made, with their age; the half-written ones of crashes, too. */
  list(): AsyncIterable<{ readonly path: string; readonly ageMs: number }>;
}
