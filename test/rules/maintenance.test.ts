import { expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { Maintenance } from '../../server/services/maintenance/maintenance.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';

interface Parts {
  readonly start?: () => Promise<void>;
  readonly stop?: () => Promise<void>;
  readonly drain?: () => Promise<void>;
}

/** A server without tables, and with schedules that start and stop as a test has it. */
function maintenanceWith({ start = async () => undefined, stop = async () => undefined, drain = async () => undefined }: Parts): Maintenance {
  const maintenance = new Maintenance({
    store: { list: async () => [], replace: async () => undefined, save: async () => undefined } as never,
    tables: { saved: () => [], preload: async () => true, unloadAll: () => undefined },
    schedules: { start, stop },
    warm: async () => undefined,
    limits: resolveLimits(),
    clock: systemClock,
    log: createLog('silent', false),
  });
  maintenance.bind({ drainOthers: drain });
  return maintenance;
}

test('OPS10 who enters maintenance while it is being left takes the server out again', async () => {
  const starting = Promise.withResolvers<void>();
  const maintenance = maintenanceWith({ start: () => starting.promise });
  await maintenance.enter('one');
  const left = maintenance.leave();
  const entered = maintenance.enter('two');
  starting.resolve();
  await Promise.all([left, entered]);
  expect(maintenance.status).toMatchObject({ state: 'maintenance', reason: 'two' });
  await maintenance.stop();
});

test('OPS10 schedules that cannot be stopped keep nobody from maintenance, from leaving it and from a stop', async () => {
  const maintenance = maintenanceWith({ stop: () => Promise.reject(new Error('stopped already')) });
  await maintenance.enter('disks');
  expect(maintenance.status).toMatchObject({ state: 'maintenance' });
  await maintenance.leave();
  expect(maintenance.status).toMatchObject({ state: 'serving' });
  await maintenance.stop();
});

test('OPS10 connections that cannot be drained are told to who waits, and the server can be brought back and stopped', async () => {
  const maintenance = maintenanceWith({ drain: () => Promise.reject(new Error('lost')) });
  await expect(maintenance.enter('disks')).rejects.toThrow('lost');
  expect(maintenance.status).toMatchObject({ state: 'draining' });
  await maintenance.leave();
  expect(maintenance.status).toMatchObject({ state: 'serving' });
  await maintenance.stop();
});

test('OPS10 a server that stops while maintenance is left starts its schedules for nobody', async () => {
  let starts = 0;
  const maintenance = maintenanceWith({
    start: async () => {
      starts += 1;
    },
  });
  await maintenance.enter('disks');
  await maintenance.stop();
  await maintenance.leave();
  expect([starts, maintenance.status.state]).toEqual([0, 'maintenance']);
});
