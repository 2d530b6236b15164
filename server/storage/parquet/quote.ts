import { resolve } from 'node:path';

/** The only ways in which a text becomes part of SQL. */

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A file as an argument of DuckDB's readers, which would take `*`, `?` and `[` in a path for a pattern. */
export function fileLiteral(path: string): string {
  return literal(resolve(path).replace(/[*?[]/g, '[$&]'));
}

/** A file as the target of COPY, which takes a path as it is. */
export function targetLiteral(path: string): string {
  return literal(resolve(path));
}
