import { CovistaError } from '../../protocol/errors.ts';
import { controlOf } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';
import { tableAt } from './table.ts';

export function viewHandlers({ views, viewExports }: Services): ResourceHandlers<'view'> {
  return {
    create: ({ tableId, ...config }, context) => views.create(tableAt(tableId, context), config, controlOf(context)),
    data: ({ tableId, viewId, startRow, endRow, format }, context) => {
      if (endRow !== undefined && endRow < startRow)
        throw new CovistaError('invalid_input', 'endRow must not lie before startRow', { field: 'endRow' });
      const at = tableAt(tableId, context);
      if (format === 'json') return views.page(at, viewId, { startRow, endRow }, controlOf(context));
      return viewExports.window(at, viewId, { format, startRow, endRow }, controlOf(context));
    },
    export: ({ tableId, viewId, format }, context) => viewExports.export(tableAt(tableId, context), viewId, format, controlOf(context)),
    close: ({ tableId, viewId }, context) => {
      views.end(tableAt(tableId, context), viewId);
      return {};
    },
  };
}
