import { afterEach, expect, test } from 'vitest';
import type { AlertOccurrence } from '../../protocol/operations/admin.ts';
import { type AlertRule, Alerts } from '../../server/services/alerts/alerts.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';

let alerts: Alerts | undefined;

afterEach(() => alerts?.close());

test('OPS7 an alert that can do nothing, because that fails, is told once, and told again when it fires no longer', () => {
  const told: AlertOccurrence[] = [];
  let value = 11;
  const rule: AlertRule = {
    name: 'high_memory_usage',
    action: 'evict_idle_tables',
    unit: 'percent',
    threshold: 10,
    measure: () => ({ value, detail: { looked: true } }),
    act: () => {
      throw new Error('nothing can be done');
    },
  };
  alerts = new Alerts({
    rules: [rule],
    audit: { record: () => undefined },
    deliver: (occurrence) => told.push(occurrence),
    delivery: () => ({ configured: false }) as never,
    periodMs: 60_000,
    keptMax: 10,
    clock: systemClock,
    log: createLog('silent', false),
  });
  for (let look = 0; look < 3; look += 1) alerts.evaluate();
  expect(told).toMatchObject([{ name: 'high_memory_usage', state: 'firing', value: 11, detail: { looked: true } }]);
  expect(alerts.states()).toMatchObject([{ state: 'firing', fired: 1 }]);
  value = 1;
  alerts.evaluate();
  expect(told.map(({ state }) => state)).toEqual(['firing', 'resolved']);
});
