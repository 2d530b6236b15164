import { assertSafeToListen, type Config } from '../config.ts';
import { Closers } from '../shared/closers.ts';
import { createLog } from '../shared/log.ts';
import { Metrics } from '../shared/metrics.ts';
import { startWatch } from './alerts.ts';
import { openDoors, type StartedServer } from './doors.ts';
import { type Parts, startEngines } from './engines.ts';
import { startServices } from './services.ts';
import { openStores } from './stores.ts';

/**
 * Starts everything in the order of dependence; what was started is stopped in reverse, also when starting fails. Stopping
 * takes no new work and finishes what is under way within `drainTimeoutMs`.
 */
export async function startServer(config: Config, parts: Parts = {}): Promise<StartedServer> {
  assertSafeToListen(config);
  const log = createLog(config.logLevel, config.logPretty);
  const closers = new Closers();
  const metrics = new Metrics();
  try {
    const stores = await openStores(config, { log, closers, metrics });
    const watch = startWatch(config, { audit: stores.metadata.audit, log, closers, metrics });
    const engines = startEngines(config, parts, { stores, log, metrics });
    const services = await startServices(config, { stores, engines, watch, log, closers, metrics });
    return await openDoors(config, { services, watch, log, closers, metrics });
  } catch (error) {
    await closers.close();
    throw error;
  }
}
