import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function accessHandlers({ explanations }: Services): ResourceHandlers<'access'> {
  return {
    get: ({ datasetId }, { actor }) => explanations.ofSelf(actor, datasetId),
    explain: ({ datasetId, subject, groups, claims }) =>
      explanations.ofAnyone({ subject, groups, serverAdmin: false, claims: { groups, ...claims, sub: subject }, expiresAtMs: null }, datasetId),
  };
}
