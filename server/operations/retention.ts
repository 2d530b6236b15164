import { CovistaError } from '../../protocol/errors.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function retentionHandlers({ retention }: Services): ResourceHandlers<'retention'> {
  return {
    get: ({ datasetId }) => retention.get(datasetId),
    set: ({ datasetId, policy }, { provenance }) => retention.set(datasetId, policy, provenance),
    run: async ({ datasetId, dryRun, policy }, { provenance }) => {
      if (dryRun) return retention.preview(datasetId, policy);
      if (policy !== undefined)
        throw new CovistaError('invalid_input', 'a policy is only tried with dryRun; retention.set makes it count', { field: 'policy' });
      return retention.run(datasetId, (run) => run, provenance);
    },
    restore: async ({ datasetId, versionIds }, { provenance }) => ({
      datasetId,
      versionIds: await retention.restore(datasetId, versionIds ?? null, provenance),
    }),
  };
}
