import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { ContentStore } from '../content-store.ts';
import type { CheckedFilter, Column, FilterParameter } from '../stores.ts';
import type { Broker } from './broker.ts';
import { EngineError } from './engine-error.ts';
import { type FilterText, filterFault, readFilterText } from './filter-text.ts';
import { checkFilterTree, FilterNodeFault, type FilterTree } from './filter-tree.ts';
import { identifier } from './quote.ts';
import type { Session } from './session.ts';

/** An expression is read and rendered as the only thing that a statement selects. The line break ends a comment. */
const PREFIX = 'SELECT (';
const SUFFIX = '\n)';
const RENDERED_PREFIX = 'SELECT ';

export function createFilterChecker({ broker, limits }: { readonly broker: Broker; readonly limits: Limits }): ContentStore['checkFilter'] {
  const bounds = { charsMax: limits.filterCharsMax, depthMax: limits.filterDepthMax, nodesMax: limits.filterNodesMax };
  return async (source, schema, control) => {
    const text = readFilterText(source, { ...bounds, columns: schema.map(({ name }) => name) });
    return broker.run('interactive', control, async (session) => {
      const parsed = await parse(session, text);
      const tree = asCheckedTree(text, () => checkFilterTree(parsed.expression, bounds));
      const rendered = await render(session, text, parsed.json);
      const columns = resolveColumns(text, tree, { schema, of: ' in the newest version of main' });
      const types = await bind(session, text, { parsed, tree, rendered, columns });
      const filter = assemble(text, tree, { rendered, columns, types });
      await tryOut(session, text, filter);
      return filter;
    });
  };
}

/** An expression that anyone may evaluate over columns that they see: DuckDB's own text of it, and the columns that it names. */
export interface CheckedExpressionText {
  readonly sql: string;
  readonly columns: readonly Column[];
}

/** Checks an expression of SQL as a row filter is checked, but for its type. It takes no values: a placeholder is refused. */
export async function checkExpressionText(
  session: Session,
  source: string,
  schema: readonly Column[],
  limits: Limits,
): Promise<CheckedExpressionText> {
  const bounds = { charsMax: limits.filterCharsMax, depthMax: limits.filterDepthMax, nodesMax: limits.filterNodesMax };
  const text = readFilterText(source, { ...bounds, columns: schema.map(({ name }) => name) });
  const [placeholder] = text.placeholders;
  if (placeholder !== undefined) throw filterFault(source, placeholder.offset, 'an expression of a view takes no value from outside');
  const parsed = await parse(session, text);
  const tree = asCheckedTree(text, () => checkFilterTree(parsed.expression, bounds));
  const { sql } = await render(session, text, parsed.json);
  return { sql, columns: resolveColumns(text, tree, { schema, of: '' }) };
}

interface Parsed {
  /** As DuckDB wrote it: numbers beyond 2^53 would not survive being read and written here. */
  readonly json: string;
  readonly expression: unknown;
}

async function parse(session: Session, text: FilterText): Promise<Parsed> {
  const json = await serialize(session, text.sql);
  const tree = JSON.parse(json) as { error: boolean; error_message?: string; position?: string; statements?: { node: Record<string, unknown> }[] };
  if (tree.error) {
    const offset = tree.position === undefined ? 0 : text.offsetOf(Number(tree.position) - PREFIX.length);
    throw filterFault(text.source, offset, withoutParameters(text, tree.error_message ?? 'cannot be read'));
  }
  const [statement, ...others] = tree.statements ?? [];
  const list = statement?.node.select_list;
  const isOne = others.length === 0 && statement?.node.type === 'SELECT_NODE' && Array.isArray(list) && list.length === 1;
  if (!isOne) throw filterFault(text.source, 0, 'this must be one expression');
  return { json, expression: (list as unknown[])[0] };
}

async function serialize(session: Session, expression: string): Promise<string> {
  const [row] = await session.rows('SELECT json_serialize_sql(?::VARCHAR)::VARCHAR AS tree', [`${PREFIX}${expression}${SUFFIX}`]);
  return String(row?.tree);
}

function asCheckedTree(text: FilterText, check: () => FilterTree): FilterTree {
  try {
    return check();
  } catch (fault) {
    if (!(fault instanceof FilterNodeFault)) throw fault;
    throw filterFault(text.source, text.offsetOf(fault.byte - PREFIX.length), fault.message);
  }
}

interface Rendered {
  readonly sql: string;
  /** The tree of `sql`, which is that of the author's text but for the places of its nodes. */
  readonly json: string;
}

/** DuckDB's own text of the tree, which must mean the same tree again. */
async function render(session: Session, text: FilterText, json: string): Promise<Rendered> {
  const [row] = await session.rows('SELECT json_deserialize_sql(?::JSON) AS sql', [json]);
  const statement = String(row?.sql);
  assert(statement.startsWith(RENDERED_PREFIX), 'a rendered filter is selected');
  const sql = statement.slice(RENDERED_PREFIX.length);
  const again = await serialize(session, sql);
  if (withoutLocations(again) !== withoutLocations(json)) {
    throw filterFault(
      text.source,
      0,
      'this cannot be written in one way only; write it otherwise, for instance with a function instead of an operator',
    );
  }
  return { sql, json: again };
}

const LOCATION = /"query_location":(\d+)/g;

/** A quote in a text of the filter is escaped in JSON, so that no text can look like a location. */
const withoutLocations = (json: string): string => json.replace(LOCATION, '"query_location":0');

interface NamedColumns {
  readonly schema: readonly Column[];
  /** Whose columns these are, behind "there is no column". */
  readonly of: string;
}

/** The columns by their names in the schema; DuckDB compares names without regard to case. */
function resolveColumns(text: FilterText, tree: FilterTree, { schema, of }: NamedColumns): Column[] {
  const found = [...tree.columns].map(([spelled, byte]) => {
    const column = schema.find(({ name }) => name.toLowerCase() === spelled.toLowerCase());
    if (column !== undefined) return column;
    throw filterFault(text.source, text.offsetOf(byte - PREFIX.length), `there is no column ${JSON.stringify(spelled)}${of}`);
  });
  return [...new Set(found)];
}

interface Binding {
  readonly parsed: Parsed;
  readonly tree: FilterTree;
  readonly rendered: Rendered;
  readonly columns: readonly Column[];
}

/** Has DuckDB bind the rendered expression to the columns: it must be BOOLEAN, and say of each value what type it has. */
async function bind(session: Session, text: FilterText, { parsed, tree, rendered, columns }: Binding): Promise<string[]> {
  const stated = text.placeholders.map(({ claim }, index) => (claim === null ? 'DATE' : tree.parameters.get(text.parameterName(index))?.castType));
  // A value whose type is known is put in its place, filled up so that what follows stays where it is.
  const sql = replaceParameters(text, rendered.sql, (index, token) => sampleSql(stated[index])?.padEnd(token.length) ?? token);
  try {
    const described = await session.signature(`${PREFIX}${sql}) FROM ${emptyRow(columns)}`);
    const types = stated.map((type, index) => type ?? described.parameters.get(text.parameterName(index)));
    const unclear = types.findIndex((type) => type === undefined || valueType(type) === undefined);
    if (unclear >= 0) throw unclearType(text, unclear, types[unclear]);
    const [result] = described.columns ?? [];
    if (result !== 'BOOLEAN') throw filterFault(text.source, 0, `a filter is true or false, but this is of type ${result}`);
    return types.map((type) => valueType(type ?? '') ?? '');
  } catch (fault) {
    if (!(fault instanceof EngineError)) throw fault;
    throw filterFault(text.source, originOf(text, parsed.json, rendered.json, fault.position), withoutParameters(text, fault.message));
  }
}

function unclearType(text: FilterText, index: number, type: string | undefined): Error {
  const { claim, offset } = text.placeholders[index] as FilterText['placeholders'][number];
  const why = type === undefined ? 'what type it has is not clear here' : `it would be of type ${type}, which a claim cannot have`;
  return filterFault(text.source, offset, `{{${claim}}}: ${why}; say which it has, such as {{${claim}}}::VARCHAR`);
}

/** The types that a text from a token can be turned into without loss; what has a closed list of values is compared as text. */
function valueType(type: string): string | undefined {
  if (/^ENUM\(/.test(type)) return 'VARCHAR';
  const isValue =
    /^(VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\s?\d+\)|DATE|UUID|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;
  return isValue.test(type) ? type : undefined;
}

/** Where in the author's text the node is that stands at a place of the rendered statement: the same node of the other tree. */
function originOf(text: FilterText, json: string, renderedJson: string, position: number | undefined): number {
  if (position === undefined) return 0;
  const places = (tree: string): number[] => [...tree.matchAll(LOCATION)].map(([, place]) => Number(place));
  const [origins, rendered] = [places(json), places(renderedJson)];
  const nearest = rendered.reduce((best, place, index) => (place <= position && place > (rendered[best] ?? -1) ? index : best), -1);
  return nearest < 0 ? 0 : text.offsetOf((origins[nearest] ?? 0) - PREFIX.length);
}

function replaceParameters(text: FilterText, sql: string, replace: (index: number, token: string) => string): string {
  return text.placeholders.reduceRight((before, _placeholder, index) => {
    const token = `$${text.parameterName(index)}`;
    return before.replaceAll(token, replace(index, token));
  }, sql);
}

/** Messages of DuckDB quote what it was given, where the placeholders of the author have other names. */
function withoutParameters(text: FilterText, message: string): string {
  const shown = replaceParameters(text, message, (index) => {
    const claim = text.placeholders[index]?.claim;
    return claim == null ? 'current_date' : `{{${claim}}}`;
  });
  return shown.split('\n')[0] ?? shown;
}

interface Parts {
  readonly rendered: Rendered;
  readonly columns: readonly Column[];
  readonly types: readonly string[];
}

/** Cuts the rendered text where values go. */
function assemble(text: FilterText, tree: FilterTree, { rendered, columns, types }: Parts): CheckedFilter {
  const token = new RegExp(`\\$${text.parameterName(0).replace(/0$/, '(\\d+)')}\\b`);
  const [first = '', ...rest] = rendered.sql.split(token);
  const pieces = [first];
  const parameters: FilterParameter[] = [];
  for (let at = 0; at < rest.length; at += 2) {
    const index = Number(rest[at]);
    const { claim } = text.placeholders[index] as FilterText['placeholders'][number];
    const isListItem = tree.parameters.get(text.parameterName(index))?.isListItem === true;
    parameters.push({ claim, type: types[index] as string, isListItem });
    pieces.push(rest[at + 1] as string);
  }
  assert(parameters.length === text.placeholders.length, 'every placeholder of a filter is in its rendering');
  return { pieces, parameters, columns: columns.map(({ name, type }) => ({ name, type })) };
}

/** Evaluates the filter once, so that a constant that cannot be converted shows now and not to every reader. */
async function tryOut(session: Session, text: FilterText, { pieces, parameters, columns }: CheckedFilter): Promise<void> {
  const values = parameters.map(({ type }) => sampleSql(type));
  const sql = pieces.map((piece, index) => `${piece}${values[index] ?? ''}`).join('');
  try {
    await session.rows(`SELECT count(*) AS rows FROM ${emptyRow(columns)} WHERE (${sql})`);
  } catch (fault) {
    if (!(fault instanceof EngineError)) throw fault;
    throw filterFault(text.source, 0, withoutParameters(text, fault.message));
  }
}

/** Any value of a type that a claim can have; undefined for other types. */
function sampleSql(type: string | undefined): string | undefined {
  if (type === undefined || valueType(type) === undefined) return undefined;
  if (type === 'VARCHAR') return "''";
  if (type === 'BOOLEAN') return 'false';
  if (type === 'UUID') return `CAST('00000000-0000-0000-0000-000000000000' AS UUID)`;
  return type.startsWith('DATE') || type.startsWith('TIMESTAMP') ? `CAST('2000-01-01' AS ${type})` : `CAST(0 AS ${type})`;
}

/** One row of NULLs. */
function emptyRow(columns: readonly { readonly name: string; readonly type: string }[]): string {
  const cells = columns.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${identifier(name)}`);
  return `(SELECT ${cells.length === 0 ? 'NULL AS "__covista_nothing"' : cells.join(', ')})`;
}
