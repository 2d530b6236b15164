import type { Limits } from '../../../protocol/limits.ts';
import { columnNameFault } from '../../shared/column-names.ts';
import { ENUMS } from '../../shared/perspective/schema.ts';
import type { PerspectiveType } from '../../shared/perspective/types.ts';
import type { EngineTable, TableEngine } from './engine.ts';
import { RequestFault } from './request-fault.ts';

export interface CheckedTable {
  readonly table: Pick<EngineTable, 'schema' | 'features' | 'singles'>;
  readonly dialect: TableEngine['dialect'];
  readonly limits: Pick<
    Limits,
    'columnsMax' | 'columnNameCharsMax' | 'viewEntriesMax' | 'viewValuesMax' | 'viewTextCharsMax' | 'viewTextGrowthMax' | 'viewGroupsMax'
  >;
}

/** The columns that a configuration can name: those of the table, and those that it makes itself, whose type only the engine knows. */
export type Columns = ReadonlyMap<string, PerspectiveType | undefined>;

export function bounded(what: string, items: readonly unknown[], most: number): void {
  if (items.length > most) throw new RequestFault(`${what} has ${items.length} entries; at most ${most} are allowed`);
}

/** Names that a configuration gives come back as those of columns, with every row that is written as JSON. */
export function checkName(what: string, name: string, { columnNameCharsMax: most }: Pick<Limits, 'columnNameCharsMax'>): void {
  if (name.length > most) throw new RequestFault(`the name of ${what} has ${name.length} characters; at most ${most} are allowed`);
  const fault = columnNameFault(name);
  if (fault !== undefined) throw new RequestFault(`the name of ${what} ${fault}: ${JSON.stringify(name)}`);
}

export function known(columns: Columns, name: string, where: string): PerspectiveType | undefined {
  if (!columns.has(name)) throw new RequestFault(`${where} names a column that does not exist: ${JSON.stringify(name)}`);
  return columns.get(name);
}

/** The options for a type; for a column whose type is not known those of every type. */
export function optionsOf<Options>(byType: Readonly<Record<string, Options>>, type: PerspectiveType | undefined): Options[] {
  if (type === undefined) return Object.values(byType);
  const options = byType[ENUMS.ColumnType[type]];
  return options === undefined ? [] : [options];
}

export const describe = (type: PerspectiveType | undefined): string =>
  type === undefined ? 'a column that is computed' : `a column of type ${type}`;
