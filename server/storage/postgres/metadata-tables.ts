import pg from 'pg';

/** A table as a copy of the metadata has it. */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly string[];
}

interface FoundTable extends TableShape {
  readonly hasBytes: boolean;
  readonly key: readonly string[];
  readonly references: readonly string[];
}

/**
 * What a copy leaves out: the bytes of unfinished uploads are not kept, tickets end within seconds, who reads files is not there any
 * more, nor are the files that were condemned, and migrations make their own table.
 */
const LEFT_OUT: ReadonlySet<string> = new Set(['migrations', 'uploads', 'tickets', 'condemned_objects', 'file_readers', 'object_holds']);

/** The tables of the metadata, those that others refer to first. */
export async function metadataTables(client: pg.Client): Promise<FoundTable[]> {
  const { rows } = await client.query<FoundTable>(`
    SELECT t.relname AS name,
      (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.atttypid = 'bytea'::regtype) AS "hasBytes",
      coalesce((SELECT array_agg(a.attname::text ORDER BY k.position) FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(number, position)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
        WHERE i.indrelid = t.oid AND i.indisprimary), '{}') AS key,
      coalesce((SELECT array_agg(DISTINCT c.confrelid::regclass::text) FROM pg_constraint c
        WHERE c.conrelid = t.oid AND c.contype = 'f' AND c.confrelid <> t.oid), '{}') AS "references"
    FROM pg_class t WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' ORDER BY t.relname`);
  return inOrderOfReference(rows.filter(({ name }) => !LEFT_OUT.has(name)));
}

function inOrderOfReference(tables: readonly FoundTable[]): FoundTable[] {
  const ordered = new Set<FoundTable>();
  const add = (table: FoundTable): void => {
    for (const name of table.references) for (const other of tables) if (other.name === name && !ordered.has(other)) add(other);
    ordered.add(table);
  };
  for (const table of tables) add(table);
  return [...ordered];
}

/** Names of columns as SQL has them. */
export const columnList = (columns: readonly string[]): string => columns.map((column) => pg.escapeIdentifier(column)).join(', ');

/** The migrations that a database has been through, in order. */
export async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations ORDER BY id');
  return rows.map(({ name }) => name);
}
