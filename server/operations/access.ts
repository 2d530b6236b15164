import type { ParsedInput } from '../../protocol/define.ts';
import type { Operations } from '../../protocol/operations/index.ts';
import type { Actor } from '../services/access/actor.ts';
import { controlOf } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

/** Somebody as a token of theirs would say. */
const somebody = ({ subject, groups, claims }: Pick<ParsedInput<Operations['access']['explain']>, 'subject' | 'groups' | 'claims'>): Actor => ({
  subject,
  groups,
  serverAdmin: false,
  claims: { groups, ...claims, sub: subject },
  expiresAtMs: null,
});

export function accessHandlers({ explanations, previews, refs }: Services): ResourceHandlers<'access'> {
  return {
    get: ({ datasetId }, { actor }) => explanations.ofSelf(actor, datasetId),
    explain: (input) => explanations.ofAnyone(somebody(input), input.datasetId),
    preview: async (input, context) => {
      const { datasetId, ref, limit } = input;
      const [{ versionId }, scope] = await Promise.all([refs.resolve(datasetId, ref), explanations.scopeOf(somebody(input), datasetId)]);
      if (scope === undefined) return { versionId, schema: [], rows: [], totalRows: 0 };
      const at = { datasetId, versionId, scope };
      const { schema, rows, totalRows } = await previews.rows(at, { startRow: 0, endRow: limit, columns: undefined }, controlOf(context));
      return { versionId, schema, rows, totalRows };
    },
  };
}
