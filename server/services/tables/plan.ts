import { CovistaError } from '../../../protocol/errors.ts';
import type { TableId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import { type Control, type Scope, type ScopedContent, scopeIdentity, UNRESTRICTED, visibleSchema } from '../../storage/content-store.ts';
import type { Column } from '../../storage/stores.ts';
import type { Actor } from '../access/actor.ts';
import type { VisibleVersions } from '../access/visible-versions.ts';
import type { VersionReader } from '../versioning/version-reader.ts';
import type { TableEngine, TableSource } from './engine.ts';
import { createTableIds, type TableOrigin } from './table-id.ts';
import type { UploadSources } from './upload-sources.ts';

/** What a caller chooses of a table. */
export interface TableOptions {
  readonly columns: readonly string[] | null;
  readonly rowLimit: number | null;
  readonly engine: 'auto' | TableEngine['name'];
  /** The language of the expressions that its views will have, where it is known. */
  readonly dialect?: TableEngine['dialect'] | undefined;
}

/** A table as a caller would get it. */
export interface TablePlan {
  readonly tableId: TableId;
  readonly origin: TableOrigin;
  /** What of the rows it shows. */
  readonly scope: Scope;
  readonly engine: TableEngine;
  readonly totalRows: number;
  readonly estimatedBytes: number;
  source(control: Control): Promise<TableSource>;
}

export interface PlannerOptions {
  readonly engines: readonly TableEngine[];
  readonly reader: Pick<VersionReader, 'record' | 'scoped'>;
  readonly visible: Pick<VisibleVersions, 'count'>;
  readonly uploadSources: UploadSources;
  /** Where it is counted how often the id of a table was known. */
  readonly idCounts: CacheCounts;
  /** The key of the server under which ids are made. */
  readonly key: string;
  readonly limits: Pick<Limits, 'memoryTableRowsMax' | 'memoryTableCellBytes' | 'tableIdsKeptMax'>;
}

interface Caller {
  readonly actor: Actor;
  /** Of the dataset; undefined for a table of an upload. */
  readonly scope: Scope | undefined;
  readonly options: TableOptions;
}

/** Rows under one scope, before anything of them is read. */
interface Rows {
  readonly schema: readonly Column[];
  readonly scope: Scope;
  readonly totalRows: number;
  content(): Promise<ScopedContent>;
}

export interface Planner {
  plan(origin: TableOrigin, caller: Caller, control: Control): Promise<TablePlan>;
}

export function createPlanner({ engines, reader, visible, uploadSources, idCounts, key, limits }: PlannerOptions): Planner {
  const rowsOf = async (origin: TableOrigin, { actor, scope }: Caller, control: Control): Promise<Rows> => {
    if (origin.kind === 'upload') {
      const content = await uploadSources.content(origin.uploadId, actor, control);
      return { schema: content.schema, scope: UNRESTRICTED, totalRows: content.rows, content: async () => ({ content, scope: UNRESTRICTED }) };
    }
    if (scope === undefined) throw new CovistaError('not_found', 'there is no such table');
    const { datasetId, versionId } = origin;
    const record = await reader.record(datasetId, versionId);
    // Says why, where the version has no rows at all.
    const content = await reader.scoped({ datasetId, versionId, scope });
    return { schema: record.schema, scope, totalRows: await visible.count(record, scope, control), content: async () => content };
  };

  const tableIdOf = createTableIds(key, limits, idCounts);

  return {
    plan: async (origin, caller, control) => {
      const rows = await rowsOf(origin, caller, control);
      const columns = chosen(rows, caller.options.columns);
      const { rowLimit: asked } = caller.options;
      const rowLimit = asked === null || asked >= rows.totalRows ? null : asked;
      const count = rowLimit ?? rows.totalRows;
      const engine = chooseEngine(engines, caller.options, count <= limits.memoryTableRowsMax);
      const scope = scopeIdentity(rows.schema, rows.scope);
      return {
        tableId: tableIdOf({ origin, scope, columns, rowLimit, engine: engine.name }),
        origin,
        scope: rows.scope,
        engine,
        totalRows: rows.totalRows,
        estimatedBytes: engine.name === 'memory' ? count * columns.length * limits.memoryTableCellBytes : 0,
        source: async () => ({ source: await rows.content(), columns, rowLimit }),
      };
    },
  };
}

/** The names of the columns; one that is hidden is as absent as one that does not exist. */
function chosen({ schema, scope }: Rows, asked: readonly string[] | null): readonly string[] {
  const names = visibleSchema(schema, scope).map(({ name }) => name);
  if (asked === null) return names;
  const missing = asked.find((name) => !names.includes(name));
  if (missing !== undefined) {
    throw new CovistaError('invalid_input', `there is no column ${JSON.stringify(missing)}`, { field: 'columns', column: missing });
  }
  if (new Set(asked).size < asked.length) throw new CovistaError('invalid_input', 'columns must not name a column twice', { field: 'columns' });
  return asked;
}

/** Who reads SQL reads ExprTK as well, so that only the wish for SQL leaves a choice out. */
function chooseEngine(engines: readonly TableEngine[], { engine: asked, dialect }: TableOptions, isSmall: boolean): TableEngine {
  const fitting = engines.filter((engine) => dialect !== 'sql' || engine.dialect === 'sql');
  const wanted = asked === 'auto' ? (isSmall ? 'memory' : 'duckdb') : asked;
  const found = fitting.find(({ name }) => name === wanted) ?? (asked === 'auto' ? fitting[0] : undefined);
  if (found !== undefined) return found;
  const offered = { engine: asked, engines: engines.map(({ name }) => name) };
  if (engines.length === 0) throw new CovistaError('unavailable', 'this server has no engine for tables', offered);
  const lacks = dialect === 'sql' && (asked === 'auto' || engines.some(({ name }) => name === asked)) ? 'that reads SQL' : JSON.stringify(asked);
  throw new CovistaError('unavailable', `this server has no engine ${lacks}`, { ...offered, ...(dialect === undefined ? {} : { dialect }) });
}
