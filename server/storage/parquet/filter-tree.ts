import { FILTER_FUNCTIONS } from './filter-functions.ts';

/** A node of DuckDB's expression tree as its JSON has it. */
type Node = Readonly<Record<string, unknown>>;

/** What a filter is made of, once every node of it was found to be on the list. */
export interface FilterTree {
  /** Names of columns as the filter spells them, with the byte where each first stands. */
  readonly columns: ReadonlyMap<string, number>;
  /** Parameters by name. */
  readonly parameters: ReadonlyMap<string, ParameterPlace>;
}

export interface ParameterPlace {
  /** Whether it is an item of an IN list, which any number of values may take the place of. */
  readonly isListItem: boolean;
  /** The SQL type that it is cast to where it stands. */
  readonly castType: string | undefined;
}

/** Where a node is. */
interface Place extends ParameterPlace {
  readonly byte: number;
  readonly depth: number;
}

/** Something that is not on the list, with the byte of the statement where it stands. */
export class FilterNodeFault extends Error {
  override readonly name = 'FilterNodeFault';
  readonly byte: number;

  constructor(byte: number, message: string) {
    super(message);
    this.byte = byte;
  }
}

/** What a node may be, and where its children are. Every other field must have the value that means nothing. */
interface Form {
  readonly types: readonly string[];
  readonly children: (node: Node) => readonly unknown[];
  readonly fields: readonly string[];
  readonly check?: (node: Node, byte: number) => void;
}

const COMMON_FIELDS = ['class', 'type', 'alias', 'query_location'];
const COMPARISONS = [
  'EQUAL',
  'NOTEQUAL',
  'LESSTHAN',
  'GREATERTHAN',
  'LESSTHANOREQUALTO',
  'GREATERTHANOREQUALTO',
  'DISTINCT_FROM',
  'NOT_DISTINCT_FROM',
];
const CONSTANTS = ['INTEGER', 'BIGINT', 'HUGEINT', 'UHUGEINT', 'DECIMAL', 'DOUBLE', 'VARCHAR', 'BOOLEAN', 'NULL'];
const CAST_TYPES = [
  ...['VARCHAR', 'BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'UHUGEINT'],
  ...['FLOAT', 'DOUBLE', 'DECIMAL', 'DATE', 'TIME', 'TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS', 'TIMESTAMP WITH TIME ZONE'],
  ...['INTERVAL', 'UUID'],
];
const NO_ORDERS = '{"type":"ORDER_MODIFIER","orders":[]}';

/** The closed list of node kinds, by class. No subquery, lambda, window, aggregate, star or table function is on it. */
const FORMS: Readonly<Record<string, Form>> = {
  CONJUNCTION: { types: ['CONJUNCTION_AND', 'CONJUNCTION_OR'], fields: ['children'], children: childList },
  COMPARISON: {
    types: COMPARISONS.map((name) => `COMPARE_${name}`),
    fields: ['left', 'right'],
    children: ({ left, right }) => [left, right],
  },
  BETWEEN: { types: ['COMPARE_BETWEEN'], fields: ['input', 'lower', 'upper'], children: ({ input, lower, upper }) => [input, lower, upper] },
  OPERATOR: {
    types: ['OPERATOR_NOT', 'OPERATOR_IS_NULL', 'OPERATOR_IS_NOT_NULL', 'OPERATOR_COALESCE', 'COMPARE_IN', 'COMPARE_NOT_IN', 'ARRAY_EXTRACT'],
    fields: ['children'],
    children: childList,
  },
  CASE: { types: ['CASE_EXPR'], fields: ['case_checks', 'else_expr'], children: caseChildren },
  CAST: { types: ['OPERATOR_CAST'], fields: ['child', 'cast_type', 'try_cast'], children: ({ child }) => [child], check: checkCast },
  CONSTANT: { types: ['VALUE_CONSTANT'], fields: ['value'], children: () => [], check: checkConstant },
  COLUMN_REF: { types: ['COLUMN_REF'], fields: ['column_names'], children: () => [], check: checkColumn },
  PARAMETER: { types: ['VALUE_PARAMETER'], fields: ['identifier'], children: () => [] },
  FUNCTION: {
    types: ['FUNCTION'],
    fields: ['function_name', 'schema', 'catalog', 'children', 'filter', 'order_bys', 'distinct', 'is_operator', 'export_state'],
    children: childList,
    check: checkFunction,
  },
};

/** What is said of kinds that people are likely to try. */
const REFUSALS: Readonly<Record<string, string>> = {
  SUBQUERY: 'a subquery is not allowed; for `= ANY (list)` write list_contains(list, value)',
  WINDOW: 'a window function is not allowed',
  LAMBDA: 'a lambda is not allowed',
  STAR: '"*" is not allowed: name the columns',
  COLLATE: 'a collation is not allowed',
  POSITIONAL_REFERENCE: 'a column is referred to by its name',
};

export interface FilterTreeBounds {
  readonly depthMax: number;
  readonly nodesMax: number;
}

/** Checks every node of an expression against the closed lists; throws FilterNodeFault. */
export function checkFilterTree(root: unknown, bounds: FilterTreeBounds): FilterTree {
  const columns = new Map<string, number>();
  const parameters = new Map<string, ParameterPlace>();
  let nodes = 0;

  const visit = (value: unknown, above: Place): void => {
    const node = asNode(value, above.byte);
    const byte = byteOf(node) ?? above.byte;
    nodes += 1;
    if (nodes > bounds.nodesMax) throw new FilterNodeFault(byte, `has more than ${bounds.nodesMax} parts`);
    if (above.depth > bounds.depthMax) throw new FilterNodeFault(byte, `is nested more than ${bounds.depthMax} deep`);
    const form = formOf(node, byte);
    if (node.class === 'COLUMN_REF') {
      const [name] = node.column_names as [string];
      if (!columns.has(name)) columns.set(name, byte);
    }
    if (node.class === 'PARAMETER') parameters.set(String(node.identifier), { isListItem: above.isListItem, castType: above.castType });
    const isList = node.type === 'COMPARE_IN' || node.type === 'COMPARE_NOT_IN';
    const castType = node.class === 'CAST' ? castTypeOf(node) : undefined;
    for (const [index, child] of form.children(node).entries()) {
      visit(child, { byte, depth: above.depth + 1, isListItem: isList && index > 0, castType });
    }
  };

  visit(root, { byte: 0, depth: 1, isListItem: false, castType: undefined });
  return { columns, parameters };
}

function formOf(node: Node, byte: number): Form {
  const kind = String(node.class);
  const form = Object.hasOwn(FORMS, kind) ? FORMS[kind] : undefined;
  if (form === undefined || !form.types.includes(String(node.type))) {
    throw new FilterNodeFault(byte, REFUSALS[kind] ?? `${String(node.type).toLowerCase().replaceAll('_', ' ')} is not allowed`);
  }
  const strange = Object.keys(node).find((field) => !COMMON_FIELDS.includes(field) && !form.fields.includes(field));
  if (strange !== undefined || node.alias !== '') throw new FilterNodeFault(byte, 'a name for a part of the expression is not allowed');
  form.check?.(node, byte);
  return form;
}

function asNode(value: unknown, byte: number): Node {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Node;
  throw new FilterNodeFault(byte, 'is not an expression');
}

/** Nodes that DuckDB made up have no place: their location is the largest 64-bit number. */
function byteOf({ query_location: location }: Node): number | undefined {
  return typeof location === 'number' && location < Number.MAX_SAFE_INTEGER ? location : undefined;
}

function childList({ children }: Node): readonly unknown[] {
  return Array.isArray(children) ? children : [children];
}

function caseChildren({ case_checks: checks, else_expr: otherwise }: Node): readonly unknown[] {
  const pairs = Array.isArray(checks) ? (checks as Node[]) : [];
  return [...pairs.flatMap(({ when_expr: when, then_expr: then }) => [when, then]), otherwise];
}

function checkColumn({ column_names: names }: Node, byte: number): void {
  if (Array.isArray(names) && names.length === 1 && typeof names[0] === 'string') return;
  throw new FilterNodeFault(byte, "a column is named without a table; a field of a struct is written column['field']");
}

function checkConstant({ value }: Node, byte: number): void {
  const type = asNode(asNode(value, byte).type, byte).id;
  if (!CONSTANTS.includes(String(type))) throw new FilterNodeFault(byte, `a constant of type ${String(type)} is not allowed`);
}

function checkCast({ cast_type: target }: Node, byte: number): void {
  const { id, type_info: info } = asNode(target, byte);
  const isPlain = info === null || (id === 'DECIMAL' && asNode(info, byte).type === 'DECIMAL_TYPE_INFO');
  if (!CAST_TYPES.includes(String(id)) || !isPlain) throw new FilterNodeFault(byte, 'a cast to this type is not allowed');
}

function castTypeOf({ cast_type: target }: Node): string {
  const { id, type_info: info } = target as { id: string; type_info: { width: number; scale: number } | null };
  return info === null ? id : `${id}(${info.width},${info.scale})`;
}

function checkFunction(node: Node, byte: number): void {
  const name = String(node.function_name);
  const isPlainName = (node.schema === '' || node.schema === 'main') && node.catalog === '';
  if (!isPlainName || !FILTER_FUNCTIONS.has(name)) throw new FilterNodeFault(byte, `the function "${name}" is not allowed here`);
  const isPlainCall = node.filter === null && node.distinct === false && node.export_state === false && JSON.stringify(node.order_bys) === NO_ORDERS;
  if (!isPlainCall) throw new FilterNodeFault(byte, `"${name}" is called as an aggregate, which is not allowed here`);
}
