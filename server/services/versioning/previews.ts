import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { ColumnStatistics, Control, Row, Scope } from '../../storage/content-store.ts';
import type { Column, Stores } from '../../storage/stores.ts';
import type { VersionReader } from './version-reader.ts';

export interface VersionAt {
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly scope: Scope;
}

export interface Preview {
  readonly schema: Column[];
  readonly rows: Row[];
  readonly startRow: number;
  readonly endRow: number;
  readonly totalRows: number;
  readonly truncated: boolean;
}

export interface Previews {
  /** The columns that the scope shows. */
  schema(at: VersionAt): Promise<Column[]>;
  rows(
    at: VersionAt,
    window: { readonly startRow: number; readonly endRow: number | undefined; readonly columns: readonly string[] | undefined },
    control: Control,
  ): Promise<Preview>;
  statistics(at: VersionAt, columns: readonly string[] | undefined, control: Control): Promise<{ rows: number; columns: ColumnStatistics[] }>;
}

export function createPreviews({
  stores,
  reader,
  limits,
}: {
  readonly stores: Stores;
  readonly reader: VersionReader;
  readonly limits: Limits;
}): Previews {
  return {
    schema: async ({ datasetId, versionId, scope }) => visible((await reader.record(datasetId, versionId)).schema, scope),
    rows: async ({ datasetId, versionId, scope }, { startRow, endRow, columns }, control) => {
      const content = await reader.content(datasetId, versionId);
      const schema = chosen(visible(content.schema, scope), columns);
      const totalRows = await stores.content.count({ content, scope }, control);
      const wanted = Math.min(endRow ?? startRow + limits.pageItemsDefault, totalRows);
      const capped = Math.min(wanted, startRow + limits.rowsPerPageMax);
      if (capped <= startRow) return { schema, rows: [], startRow, endRow: startRow, totalRows, truncated: false };
      const rows = await stores.content.rows(
        { content, scope },
        { startRow, endRow: capped, columns: schema.map(({ name }) => name), bytesMax: limits.pageBytesMax },
        control,
      );
      return { schema, rows, startRow, endRow: startRow + rows.length, totalRows, truncated: startRow + rows.length < wanted };
    },
    statistics: async ({ datasetId, versionId, scope }, columns, control) => {
      const content = await reader.content(datasetId, versionId);
      const schema = chosen(visible(content.schema, scope), columns);
      const statistics = await stores.content.statistics(
        { content, scope },
        schema.map(({ name }) => name),
        control,
      );
      return { rows: await stores.content.count({ content, scope }, control), columns: statistics };
    },
  };
}

function visible(schema: readonly Column[], scope: Scope): Column[] {
  return schema.filter(({ name }) => scope.columns?.includes(name) ?? true);
}

/** The named columns in the order named; one that is hidden is as absent as one that does not exist. */
function chosen(schema: Column[], columns: readonly string[] | undefined): Column[] {
  if (columns === undefined) return schema;
  return columns.map((name) => {
    const column = schema.find((candidate) => candidate.name === name);
    if (column === undefined)
      throw new CovistaError('invalid_input', `there is no column ${JSON.stringify(name)}`, { field: 'columns', column: name });
    return column;
  });
}
