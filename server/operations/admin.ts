import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function adminHandlers({ alerts, maintenance }: Services): ResourceHandlers<'admin'> {
  return {
    alerts: () => ({ items: alerts.states(), recent: alerts.recent(), webhook: alerts.delivery() }),
    'maintenance.status': () => maintenance.status,
    'maintenance.enter': async ({ reason, wait }) => {
      const entered = maintenance.enter(reason);
      if (wait) await entered;
      // Whoever does not wait is not told what failed; the log has it.
      else entered.catch(() => undefined);
      return maintenance.status;
    },
    'maintenance.leave': async () => {
      await maintenance.leave();
      return maintenance.status;
    },
  };
}
