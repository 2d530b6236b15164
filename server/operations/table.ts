import type { ParsedInput } from '../../protocol/define.ts';
import type { TableId } from '../../protocol/ids.ts';
import type { Operations } from '../../protocol/operations/index.ts';
import type { TableOptions } from '../services/tables/plan.ts';
import type { TableAt } from '../services/tables/tables.ts';
import { decodeCursor, isText, toPage } from '../shared/cursor.ts';
import { accessOf, controlOf } from './context.ts';
import type { CallContext, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function tableHandlers({ tables, tableChannels, limits }: Services): ResourceHandlers<'table'> {
  return {
    open: ({ datasetId, ref, ...options }, context) =>
      tables.open({ datasetId, ref, scope: accessOf(context).scope, actor: context.actor, options: optionsOf(options) }, controlOf(context)),
    openUpload: ({ uploadId, ...options }, context) =>
      tables.openUpload({ uploadId, actor: context.actor, options: optionsOf(options) }, controlOf(context)),
    get: ({ tableId }, context) => tables.get(tableAt(tableId, context), controlOf(context)),
    list: async ({ datasetId, limit, cursor }, context) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isText);
      const all = await tables.list(context.actor, { datasetId }, controlOf(context));
      const sorted = all
        .toSorted((one, other) => (one.tableId < other.tableId ? -1 : 1))
        .filter(({ tableId }) => after === undefined || tableId > after);
      return toPage(sorted.slice(0, limit + 1), { limit, bytesMax: limits.pageBytesMax }, ({ tableId }) => tableId);
    },
    close: async ({ tableId }, context) => {
      await tables.release(tableAt(tableId, context), controlOf(context));
      return {};
    },
    connect: ({ tableId }, context) => tableChannels.open(tableAt(tableId, context), controlOf(context)),
  };
}

/** The table that a call names, and what its caller may see of its dataset. */
export function tableAt(tableId: TableId, { actor, access }: CallContext): TableAt {
  return { tableId, actor, scope: access?.scope };
}

type Chosen = Pick<ParsedInput<Operations['table']['open']>, 'columns' | 'rowLimit' | 'engine' | 'dialect'>;

function optionsOf({ columns, rowLimit, engine, dialect }: Chosen): TableOptions {
  return { columns: columns ?? null, rowLimit: rowLimit ?? null, engine, dialect };
}
