import type { Config } from '../config.ts';
import { loadOrCreateSecret } from '../gateway/mint.ts';
import type { Services } from '../operations/services.ts';
import type { DocumentStates } from '../services/documents/compaction.ts';
import type { MaintenanceOptions } from '../services/maintenance/maintenance.ts';
import { createExportRun } from '../services/schedules/export-run.ts';
import { ScheduleRunner } from '../services/schedules/runner.ts';
import { Schedules } from '../services/schedules/schedules.ts';
import { createFindWhat } from '../services/schedules/what.ts';
import { parseNetworks } from '../shared/addresses.ts';
import { systemClock } from '../shared/clock.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import { type Metrics, toReadings } from '../shared/metrics.ts';
import { createSealer } from '../storage/files/sealer.ts';

type House = Pick<Services, 'stores' | 'authorizer' | 'revocations' | 'refs' | 'reader' | 'visible' | 'tables' | 'views' | 'viewExports'> & {
  readonly states: DocumentStates;
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
};

interface Scheduling extends Pick<Services, 'schedules'> {
  /** Starts and stops the runs of this server; nothing where it has none. */
  readonly runs: MaintenanceOptions['schedules'];
}

/** Exports by the clock, and who runs them. */
export async function startSchedules(config: Config, house: House): Promise<Scheduling> {
  const { limits } = config;
  const { stores, log, closers } = house;
  const { metadata, content, staging, exports: files } = stores;
  const common = {
    files,
    findWhat: createFindWhat({ ...house, documents: metadata.documents }),
    sealer: createSealer(await loadOrCreateSecret(config.dataDir, 'schedule-secret')),
    allowed: parseNetworks(config.webhookNetworks),
    limits,
    clock: systemClock,
  };
  const exportRun = createExportRun({ ...house, ...common, content, staging, runs: metadata.runs, deploymentId: await metadata.deploymentId() });
  const runner = new ScheduleRunner({
    ...house,
    ...common,
    runs: metadata.runs,
    jobs: metadata.jobs,
    exportRun,
    shared: config.databaseUrl !== undefined,
    log,
  });
  house.metrics.total('schedule_runs', 'Runs of schedules on this server, by what became of them', ['outcome'], () =>
    toReadings('outcome', runner.outcomes),
  );
  house.metrics.jobs({ schedules: runner });
  if (config.schedules) {
    closers.addSlow(() => runner.stop());
    await runner.start();
  }
  const schedules = new Schedules({ ...common, store: metadata.schedules });
  return { schedules, runs: config.schedules ? runner : { start: async () => undefined, stop: async () => undefined } };
}
