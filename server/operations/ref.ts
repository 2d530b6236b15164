import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function refHandlers({ refs }: Services): ResourceHandlers<'ref'> {
  return {
    resolve: ({ datasetId, ref }) => refs.resolve(datasetId, ref),
    pointer: async ({ datasetId, name }) => {
      const { kind, versionId } = await refs.pointer(datasetId, name);
      return { name, kind, versionId };
    },
  };
}
