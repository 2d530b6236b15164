import type { AlertDelivery, AlertName, AlertOccurrence, AlertState } from '../../../protocol/operations/admin.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { AuditTrail } from '../access/audit-trail.ts';

type Detail = Readonly<Record<string, unknown>>;

/** What an alert looks at, and what it does. */
export interface AlertRule {
  readonly name: AlertName;
  readonly action: AlertState['action'];
  readonly unit: string;
  /** 0: the alert is off. */
  readonly threshold: number;
  /** It fires while the value is above the threshold, or `isOver` says so. */
  measure(): { readonly value: number; readonly isOver?: boolean; readonly detail: Detail };
  /** Does something about it, at every evaluation while it fires; answers what was done. */
  act(): Detail;
  /** It fires no longer. */
  settle?(): void;
}

export interface AlertsOptions {
  readonly rules: readonly AlertRule[];
  readonly audit: Pick<AuditTrail, 'record'>;
  /** Where alerts are delivered to; undefined: nowhere. */
  readonly deliver: ((occurrence: AlertOccurrence) => void) | undefined;
  readonly delivery: () => AlertDelivery;
  readonly periodMs: number;
  readonly keptMax: number;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Watched {
  readonly rule: AlertRule;
  firingSinceMs: number | undefined;
  fired: number;
  latest: Detail;
  value: number;
}

/** Looks at what the rules measure every so often, acts while one fires, and tells when one begins and ends. */
export class Alerts implements Lateness {
  readonly #options: AlertsOptions;
  readonly #watched: readonly Watched[];
  readonly #timer: NodeJS.Timeout;
  readonly #promptness: Promptness;
  #recent: AlertOccurrence[] = [];

  constructor(options: AlertsOptions) {
    this.#options = options;
    this.#watched = options.rules.map((rule) => ({ rule, firingSinceMs: undefined, fired: 0, latest: {}, value: 0 }));
    this.#promptness = new Promptness(options.clock, options.periodMs);
    this.#timer = setInterval(() => this.evaluate(), options.periodMs);
    this.#timer.unref();
  }

  evaluate(): void {
    for (const watched of this.#watched) {
      try {
        this.#look(watched);
      } catch (err) {
        this.#options.log.error({ err, alert: watched.rule.name }, 'an alert could not be evaluated');
      }
    }
    this.#promptness.done();
  }

  /** How late they are looked at. */
  get lagMs(): number {
    return this.#promptness.lagMs;
  }

  /** How every alert stands. */
  states(): AlertState[] {
    return this.#watched.map(({ rule, firingSinceMs, fired, latest, value }) => ({
      name: rule.name,
      state: rule.threshold === 0 ? 'off' : firingSinceMs === undefined ? 'ok' : 'firing',
      action: rule.action,
      value,
      threshold: rule.threshold,
      unit: rule.unit,
      since: firingSinceMs === undefined ? null : new Date(firingSinceMs).toISOString(),
      fired,
      detail: { ...latest },
    }));
  }

  /** What began and ended lately, newest first. */
  recent(): AlertOccurrence[] {
    return this.#recent.toReversed();
  }

  delivery(): AlertDelivery {
    return this.#options.delivery();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(watched: Watched): void {
    const { rule } = watched;
    if (rule.threshold === 0) return;
    const { value, isOver = false, detail } = rule.measure();
    watched.value = value;
    watched.latest = detail;
    if (value <= rule.threshold && !isOver) {
      if (watched.firingSinceMs !== undefined) this.#end(watched);
      return;
    }
    const isNew = watched.firingSinceMs === undefined;
    watched.firingSinceMs ??= this.#options.clock.now();
    if (isNew) watched.fired += 1;
    try {
      watched.latest = { ...detail, ...rule.act() };
    } finally {
      // That it fires is told also where nothing could be done.
      if (isNew) this.#tell(watched, 'firing');
    }
  }

  #end(watched: Watched): void {
    watched.firingSinceMs = undefined;
    watched.rule.settle?.();
    this.#tell(watched, 'resolved');
  }

  #tell({ rule, value, latest }: Watched, state: AlertOccurrence['state']): void {
    const { clock, log, audit, deliver, keptMax } = this.#options;
    const { name, action, threshold, unit } = rule;
    const occurrence: AlertOccurrence = {
      name,
      state,
      action,
      value,
      threshold,
      unit,
      at: new Date(clock.now()).toISOString(),
      detail: { ...latest },
    };
    this.#recent = [...this.#recent, occurrence].slice(-keptMax);
    if (state === 'firing') log.warn({ alert: name, action, value, threshold, unit, detail: latest }, 'an alert fires');
    else log.info({ alert: name, value, threshold, unit }, 'an alert fires no longer');
    audit.record({
      actor: '',
      operation: `alert.${name}`,
      datasetId: null,
      versionId: null,
      requestId: '',
      address: '',
      outcome: 'ok',
      detail: { state, action, value, threshold, unit, ...latest },
    });
    deliver?.(occurrence);
  }
}
