import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { type Scope, visibleSchema } from '../../storage/content-store.ts';
import type { Column, ColumnForm, VersionStore } from '../../storage/stores.ts';
import { firstNameIn } from './name-search.ts';

export interface NameSearch {
  readonly versions: Pick<VersionStore, 'columnForms'>;
  readonly limits: Pick<Limits, 'documentColumnFormsMax'>;
  readonly datasetId: DatasetId;
  /** Of those who are to read the texts. */
  readonly scope: Scope;
  /** Names that they see anyway. */
  readonly visible: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** The names of the columns that a scope shows of a schema. */
export function visibleNames(schema: readonly Column[], scope: Scope): Set<string> {
  try {
    return new Set(visibleSchema(schema, scope).map(({ name }) => name));
  } catch (error) {
    if (error instanceof CovistaError && error.code === 'forbidden') return new Set();
    throw error;
  }
}

/** A name in the texts of a column that a scope hides in some version, on whatever branch, as its readers may open each; undefined: none. */
export async function hiddenNameIn(texts: readonly string[], search: NameSearch): Promise<string | undefined> {
  const { scope, visible, signal } = search;
  const forms = Map.groupBy(await formsOf(search), ([{ name }]) => name);
  const masked = new Set(scope.parts.flatMap(({ mask }) => mask?.hidden ?? []));
  const shown = new Set([...visible].map((name) => name.toLowerCase()));
  const names = new Set([...forms.keys(), ...masked].filter((name) => !shown.has(name.toLowerCase())));
  const counts = (name: string): boolean => masked.has(name) || forms.get(name)?.some((form) => !visibleNames(form, scope).has(name)) === true;
  return firstNameIn(texts, { names, counts, signal });
}

/** With the columns that conditions for rows name, a column is visible just where it is with all the columns of its version. */
async function formsOf({ versions, limits, datasetId, scope, visible }: NameSearch): Promise<readonly ColumnForm[]> {
  const { documentColumnFormsMax: most } = limits;
  const beside = scope.parts.flatMap(({ rows }) => rows?.columns.map(({ name }) => name) ?? []);
  const forms = await versions.columnForms(datasetId, { except: [...visible], beside: [...new Set(beside)], limit: most + 1 });
  if (forms.length <= most) return forms;
  throw unshowable('its dataset has had more columns than texts are searched for', { documentColumnFormsMax: most });
}

/** What cannot be published to those who see less, and why. */
export function unshowable(why: string, details: Record<string, unknown>): CovistaError {
  return new CovistaError('unprocessable_data', `this cannot be shown to those who see less: ${why}`, { rule: 'DOC31', ...details });
}
