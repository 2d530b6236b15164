import type { Config } from '../config.ts';
import { Tightening } from '../gateway/tightening.ts';
import { type AuditTrail, startAuditTrail } from '../services/access/audit-trail.ts';
import { countingDenials, Denials } from '../services/access/denials.ts';
import { Alerts } from '../services/alerts/alerts.ts';
import { Creations, highMemoryUsage, permissionDenialSpike, slowVersionCreation } from '../services/alerts/rules.ts';
import { Webhook } from '../services/alerts/webhook.ts';
import type { Tables } from '../services/tables/tables.ts';
import { systemClock as clock } from '../shared/clock.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import { type Metrics, toReadings } from '../shared/metrics.ts';
import type { AuditStore } from '../storage/stores.ts';

interface Foundation {
  readonly audit: Pick<AuditStore, 'append'>;
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
}

/** What is watched for alerts from the start, and how callers are held to less. */
export interface Watch {
  readonly audit: AuditTrail;
  readonly denials: Denials;
  readonly creations: Creations;
  readonly tightening: Tightening;
  /** Begins to evaluate. */
  startAlerts(tables: Tables): Alerts;
}

export function startWatch(config: Config, { audit: store, log, closers, metrics }: Foundation): Watch {
  const { limits } = config;
  const denials = new Denials({ limits, clock });
  const webhook = openWebhook(config, log);
  closers.addSlow(async () => webhook?.hurry());
  // Behind the alerts, which tell until they end, and the audit, which waits for nobody outside.
  closers.add(() => webhook?.close());
  const trail = startAuditTrail({ store, limits, clock, log });
  const audit = countingDenials(trail, denials);
  closers.add(() => audit.close());
  const creations = new Creations({ limits, clock });
  const tightening = new Tightening({ limits, clock });
  metrics.jobs({ audit: trail, ...(webhook && { alert_webhook: webhook }) });
  metrics.total('permission_denials', 'Requests that were refused for want of permission or of an accepted token', [], () => one(denials.count));
  metrics.gauge('tightened_callers', 'Persons and addresses that are held to a tighter rate', [], () => one(tightening.size));
  return {
    audit,
    denials,
    creations,
    tightening,
    startAlerts: (tables) => {
      const alerts = new Alerts({
        rules: [highMemoryUsage(tables, limits), slowVersionCreation(creations, limits), permissionDenialSpike(denials, tightening, limits)],
        audit,
        deliver: webhook && ((occurrence) => webhook.send({ event: 'alert', ...occurrence })),
        delivery: () => webhook?.state ?? NO_WEBHOOK,
        periodMs: limits.alertPeriodMs,
        keptMax: limits.alertsKeptMax,
        clock,
        log,
      });
      closers.add(() => alerts.close());
      metrics.jobs({ alerts });
      watchAlerts(metrics, alerts);
      return alerts;
    },
  };
}

const NO_WEBHOOK = { isConfigured: false, queued: 0, delivered: 0, dropped: 0, failedAttempts: 0, lastError: null };

function openWebhook({ alertWebhookUrl: url, alertWebhookSecret: secret, limits }: Config, log: Logger): Webhook | undefined {
  return url === undefined || secret === undefined ? undefined : new Webhook({ url, secret, limits, clock, log });
}

function watchAlerts(metrics: Metrics, alerts: Alerts): void {
  metrics.gauge('alert_firing', 'Whether an alert fires', ['alert'], () =>
    toReadings(
      'alert',
      alerts.states().map(({ name, state }) => [name, state === 'firing' ? 1 : 0] as const),
    ),
  );
  metrics.total('alerts', 'How often an alert began to fire', ['alert'], () =>
    toReadings(
      'alert',
      alerts.states().map(({ name, fired }) => [name, fired] as const),
    ),
  );
  metrics.total('webhook_messages', 'Messages to the webhook by what became of them', ['outcome'], () => {
    const { delivered, dropped } = alerts.delivery();
    return toReadings('outcome', Object.entries({ delivered, dropped }));
  });
}

const one = (value: number) => [{ labels: {}, value }];
