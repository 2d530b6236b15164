import { CovistaError } from '../../../protocol/errors.ts';
import { type ContentStore, isUnrestricted, type Scope } from '../content-store.ts';
import { EngineError } from './engine-error.ts';

/** Faults that come of what a statement asks of the values and types it meets, not of the machine. */
const VALUE_FAULTS: ReadonlySet<string> = new Set([
  ...['Binder', 'Catalog', 'Conversion', 'Decimal', 'Divide by Zero', 'Expression', 'Invalid Input', 'Invalid type', 'Mismatch Type'],
  ...['Not implemented', 'Out of Range', 'Unknown Type'],
]);

/**
 * A store whose reads deny when a row filter fails, as one does on data that it was not written for: it never shows more
 * then, and nothing of what DuckDB says of it, which can quote hidden values, is told.
 */
export function denyWhereFiltersFail(store: ContentStore): ContentStore {
  return {
    ...store,
    rows: (source, window, control) => denying([source.scope], () => store.rows(source, window, control)),
    tableArrow: (source, selection, control) => denying([source.scope], () => store.tableArrow(source, selection, control)),
    count: (source, control) => denying([source.scope], () => store.count(source, control)),
    statistics: (source, columns, control) => denying([source.scope], () => store.statistics(source, columns, control)),
    export: (source, format, control) => denying([source.scope], () => store.export(source, format, control)),
    diff: async (from, to, key, control) => {
      const scopes = [from.scope, to.scope];
      const result = await denying(scopes, () => store.diff(from, to, key, control));
      return { ...result, page: (position, limit, pageControl) => denying(scopes, () => result.page(position, limit, pageControl)) };
    },
  };
}

async function denying<Result>(scopes: readonly Scope[], read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (fault) {
    const isFiltered = scopes.some((scope) => !isUnrestricted(scope) && scope.parts.some(({ rows }) => rows !== null));
    if (!isFiltered || !(fault instanceof EngineError) || !VALUE_FAULTS.has(fault.type)) throw fault;
    const message = 'a row filter of your grant fails on the data of this version, so nothing of it is visible to you';
    throw new CovistaError('forbidden', message, { reason: 'row_filter' }, fault);
  }
}
