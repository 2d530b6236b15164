/** A SQL type as DESCRIBE prints it, taken apart. */
export type TypeTree =
  | { readonly kind: 'plain'; readonly name: string }
  | { readonly kind: 'list'; readonly item: TypeTree }
  | { readonly kind: 'struct'; readonly fields: readonly { readonly name: string; readonly type: TypeTree }[] }
  | { readonly kind: 'map'; readonly key: TypeTree; readonly value: TypeTree };

export function parseType(type: string): TypeTree {
  const list = /\[\d*\]$/.exec(type);
  if (list !== null) return { kind: 'list', item: parseType(type.slice(0, list.index)) };
  const parts = type.endsWith(')') ? split(type.slice(type.indexOf('(') + 1, -1)) : [];
  if (type.startsWith('STRUCT(')) return { kind: 'struct', fields: parts.map(parseField) };
  if (type.startsWith('MAP(')) return { kind: 'map', key: parseType(parts[0] ?? ''), value: parseType(parts[1] ?? '') };
  return { kind: 'plain', name: type };
}

/** How many lists, structs and maps lie within each other at most. */
export function depthOf(type: TypeTree): number {
  switch (type.kind) {
    case 'plain':
      return 0;
    case 'list':
      return 1 + depthOf(type.item);
    case 'struct':
      return 1 + Math.max(0, ...type.fields.map((field) => depthOf(field.type)));
    case 'map':
      return 1 + Math.max(depthOf(type.key), depthOf(type.value));
  }
}

function parseField(field: string): { name: string; type: TypeTree } {
  const quoted = /^"((?:[^"]|"")*)" /.exec(field);
  if (quoted !== null) return { name: (quoted[1] ?? '').replaceAll('""', '"'), type: parseType(field.slice(quoted[0].length)) };
  const space = field.indexOf(' ');
  return { name: field.slice(0, space), type: parseType(field.slice(space + 1)) };
}

/** Splits at the commas that are outside of quotes and brackets. */
function split(list: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (const token of list.matchAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'|[(),]/g)) {
    if (token[0] === '(') depth += 1;
    else if (token[0] === ')') depth -= 1;
    else if (token[0] === ',' && depth === 0) {
      parts.push(list.slice(start, token.index).trim());
      start = token.index + 1;
    }
  }
  parts.push(list.slice(start).trim());
  return parts;
}
