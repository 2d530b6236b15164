import type { TableId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { MaintenanceStatus } from '../../../protocol/operations/admin.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { SavedTable, SavedTableStore } from '../../storage/stores.ts';

/** The way in, as maintenance needs it. */
export interface MaintenanceDoors {
  /** Says goodbye to everybody but server admins, and lets what is under way finish within `drainTimeoutMs`. */
  drainOthers(reason: string): Promise<void>;
}

interface MaintainedTables {
  saved(): SavedTable[];
  /** Loads a table that was saved, unless that is no more. */
  preload(table: SavedTable, signal: AbortSignal): Promise<boolean>;
  unloadAll(): void;
}

/** What is done by the clock for people who are not there. */
interface MaintainedSchedules {
  start(): Promise<void>;
  /** Lets what is under way finish within `drainTimeoutMs`. */
  stop(): Promise<void>;
}

export interface MaintenanceOptions {
  readonly store: SavedTableStore;
  readonly tables: MaintainedTables;
  readonly schedules: MaintainedSchedules;
  /** Reads what people who use a table ask for first: the grants of its dataset, and its version. */
  warm(table: Pick<SavedTable, 'datasetId' | 'versionId'>): Promise<void>;
  readonly limits: Pick<Limits, 'preloadTablesMax' | 'savedTablesPeriodMs'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Takes the server out of service and back: what is open is saved, so that people find it as it was. */
export class Maintenance implements Lateness {
  readonly #options: MaintenanceOptions;
  readonly #saving: NodeJS.Timeout;
  readonly #promptness: Promptness;
  #doors: MaintenanceDoors = { drainOthers: async () => undefined };
  #state: MaintenanceStatus['state'] = 'serving';
  #sinceMs: number | undefined;
  #reason: string | undefined;
  #draining: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  #preloading: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  #savedCount = 0;
  #savedText = '';
  /** What this server has saved and may leave out again; what others save is theirs. */
  #savedIds: readonly TableId[] = [];
  #stopped: Promise<void> | undefined;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#promptness = new Promptness(options.clock, options.limits.savedTablesPeriodMs);
    this.#saving = setInterval(() => void this.#saveIfServing(), options.limits.savedTablesPeriodMs);
    this.#saving.unref();
  }

  /** Whether no new work is taken, except that of server admins. */
  readonly isDraining = (): boolean => this.#state !== 'serving';

  /** How late the list of open tables is saved. */
  get lagMs(): number {
    return this.#isSaving() ? this.#promptness.lagMs : 0;
  }

  get status(): MaintenanceStatus {
    return {
      state: this.#state,
      since: this.#sinceMs === undefined ? null : new Date(this.#sinceMs).toISOString(),
      reason: this.#reason ?? null,
      savedTables: this.#savedCount,
      preloading: this.#preloading !== undefined,
    };
  }

  /** The doors are opened after everything else. */
  bind(doors: MaintenanceDoors): void {
    this.#doors = doors;
  }

  /** Takes no new work; resolves when what was under way has finished or was given up. Entering twice is entering once. */
  async enter(reason: string): Promise<void> {
    // Who enters while the server is coming back takes it out again.
    if (this.#leaving !== undefined) await this.#leaving.catch(() => undefined);
    if (this.#state === 'serving') {
      this.#state = 'draining';
      this.#sinceMs = this.#options.clock.now();
      this.#reason = reason;
      this.#options.log.warn({ reason }, 'entering maintenance');
      this.#draining = this.#drain(reason);
      this.#draining.catch((err: unknown) => this.#options.log.error({ err }, 'maintenance was not entered in full'));
    }
    await this.#draining;
  }

  /** Leaving twice is leaving once. What cannot be started leaves the server in maintenance. */
  async leave(): Promise<void> {
    this.#leaving ??= this.#leave().finally(() => {
      this.#leaving = undefined;
    });
    await this.#leaving;
  }

  async #leave(): Promise<void> {
    await this.#draining?.catch(() => undefined);
    if (this.#state === 'serving' || this.#stopped !== undefined) return;
    await this.#options.schedules.start();
    this.#state = 'serving';
    this.#sinceMs = undefined;
    this.#reason = undefined;
    this.#draining = undefined;
    this.#options.log.info('leaving maintenance');
    this.preload();
  }

  /** Loads the saved tables, one after the other beside what people ask for. */
  preload(): void {
    if (this.#preloading !== undefined) return;
    const abort = new AbortController();
    const done = this.#preload(abort.signal)
      .catch((err: unknown) => this.#options.log.warn({ err }, 'the saved tables could not be loaded again'))
      .finally(() => {
        this.#preloading = undefined;
      });
    this.#preloading = { abort, done };
  }

  /** Keeps what is open for the next start. What is saved in maintenance stays as it was when that began. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#saving);
    await this.#endPreloading();
    if (this.#state === 'serving') await this.#trySave();
    await Promise.allSettled([this.#draining, this.#leaving]);
  }

  async #drain(reason: string): Promise<void> {
    await this.#endPreloading();
    await this.#trySave();
    await Promise.all([this.#doors.drainOthers(reason), this.#stopSchedules()]);
    this.#options.tables.unloadAll();
    this.#state = 'maintenance';
    this.#options.log.warn({ reason }, 'in maintenance');
  }

  /** One that cannot be stopped keeps nobody from maintenance. */
  async #stopSchedules(): Promise<void> {
    try {
      await this.#options.schedules.stop();
    } catch (err) {
      this.#options.log.error({ err }, 'the schedules could not be stopped');
    }
  }

  async #endPreloading(): Promise<void> {
    this.#preloading?.abort.abort();
    await this.#preloading?.done;
  }

  async #preload(signal: AbortSignal): Promise<void> {
    const { store, tables, warm, limits, log } = this.#options;
    const saved = await store.list(limits.preloadTablesMax);
    this.#savedCount = saved.length;
    this.#savedIds = saved.map(({ tableId }) => tableId);
    let loaded = 0;
    for (const table of saved) {
      if (signal.aborted) return;
      try {
        await warm(table);
        if (await tables.preload(table, signal)) loaded += 1;
      } catch (err) {
        if (!signal.aborted) log.info({ err, tableId: table.tableId }, 'a table that was open is not loaded again');
      }
    }
    if (saved.length > 0) log.info({ saved: saved.length, loaded }, 'tables that were open are loaded again');
  }

  async #saveIfServing(): Promise<void> {
    if (this.#isSaving()) await this.#trySave();
    else this.#promptness.done();
  }

  /** What was open before is not forgotten while it is loaded again, nor in maintenance. */
  #isSaving(): boolean {
    return this.#state === 'serving' && this.#preloading === undefined;
  }

  /** What cannot be saved costs time later and nothing else. */
  async #trySave(): Promise<void> {
    const { store, tables, limits } = this.#options;
    const most = limits.preloadTablesMax;
    const open = usedLast(tables.saved(), most);
    const ids = open.map(({ tableId }) => tableId).sort();
    const text = JSON.stringify(ids);
    try {
      const isRenewed = text !== this.#savedText;
      const gone = this.#savedIds.filter((tableId) => !ids.includes(tableId));
      // Saved also where nothing changed: another server that had one of them open as well may have left it out.
      if (isRenewed || open.length > 0) await store.save({ open, isRenewed, gone, most });
      this.#promptness.done();
      this.#savedText = text;
      this.#savedIds = ids;
      this.#savedCount = open.length;
    } catch (err) {
      this.#options.log.warn({ err }, 'the list of open tables could not be saved');
    }
  }
}

const usedLast = (tables: readonly SavedTable[], most: number): SavedTable[] =>
  [...tables].sort((one, other) => other.usedAt.localeCompare(one.usedAt)).slice(0, most);
