import * as Y from 'yjs';

/** Entries of documents as clients make them. */

const AT = '2026-11-23T00:00:00.000Z';

export function savedView(author: string, fields: Record<string, unknown> = {}): Y.Map<unknown> {
  const plain = { name: 'By region', config: { group_by: ['region'] }, plugin: 'Datagrid', dialect: 'exprtk', ref: 'main', author };
  return new Y.Map(Object.entries({ ...plain, createdAt: AT, updatedAt: AT, ...fields }));
}

export function annotation(author: string, body = 'Odd', fields: Record<string, unknown> = {}): Y.Map<unknown> {
  const plain = { anchor: { column: 'price' }, author, createdAt: AT, resolved: null };
  return new Y.Map<unknown>(Object.entries({ ...plain, body: new Y.Text(body), replies: new Y.Array(), ...fields }));
}

export const reply = (author: string, id: string, body = 'Indeed'): Record<string, unknown> => ({ id, author, body, at: AT });
