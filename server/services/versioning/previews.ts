import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { type ColumnStatistics, type Control, type Row, type ScopedContent, visibleSchema } from '../../storage/content-store.ts';
import type { Column, Stores } from '../../storage/stores.ts';
import type { VisibleVersions } from '../access/visible-versions.ts';
import type { VersionAt, VersionReader } from './version-reader.ts';

export interface Preview {
  readonly schema: Column[];
  readonly rows: Row[];
  readonly startRow: number;
  readonly endRow: number;
  readonly totalRows: number;
  readonly truncated: boolean;
}

export interface Previews {
  /** The columns that the scope shows; `forbidden` when it shows nothing of the version. */
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
  visible,
  limits,
}: {
  readonly stores: Stores;
  readonly reader: VersionReader;
  readonly visible: Pick<VisibleVersions, 'count'>;
  readonly limits: Limits;
}): Previews {
  return {
    schema: async ({ datasetId, versionId, scope }) => visibleSchema((await reader.record(datasetId, versionId)).schema, scope),
    rows: async (at, { startRow, endRow, columns }, control) => {
      const source = await reader.scoped(at);
      const schema = chosen(source, columns);
      const totalRows = await visible.count(await reader.record(at.datasetId, at.versionId), at.scope, control);
      const wanted = Math.min(endRow ?? startRow + limits.pageItemsDefault, totalRows);
      const capped = Math.min(wanted, startRow + limits.rowsPerPageMax);
      if (capped <= startRow) return { schema, rows: [], startRow, endRow: startRow, totalRows, truncated: false };
      const rows = await stores.content.rows(
        source,
        { startRow, endRow: capped, columns: schema.map(({ name }) => name), bytesMax: limits.pageBytesMax },
        control,
      );
      return { schema, rows, startRow, endRow: startRow + rows.length, totalRows, truncated: startRow + rows.length < wanted };
    },
    statistics: async (at, columns, control) => {
      const source = await reader.scoped(at);
      const names = chosen(source, columns).map(({ name }) => name);
      const statistics = await stores.content.statistics(source, names, control);
      return { rows: await visible.count(await reader.record(at.datasetId, at.versionId), at.scope, control), columns: statistics };
    },
  };
}

/** The named columns in the order named; one that is hidden is as absent as one that does not exist. */
function chosen({ content, scope }: ScopedContent, columns: readonly string[] | undefined): Column[] {
  const schema = visibleSchema(content.schema, scope);
  if (columns === undefined) return schema;
  return columns.map((name) => {
    const column = schema.find((candidate) => candidate.name === name);
    if (column === undefined)
      throw new CovistaError('invalid_input', `there is no column ${JSON.stringify(name)}`, { field: 'columns', column: name });
    return column;
  });
}
