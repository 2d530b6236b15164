import { createSqlTag, type DatabasePool } from 'slonik';

const sql = createSqlTag();

/** Gives an empty dataset a chain of versions 1 to `length`, each the parent of the next, with main at its tip. */
export async function growChain(pool: DatabasePool, datasetId: number, length: number): Promise<void> {
  await pool.query(sql.unsafe`
    INSERT INTO versions (dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes, file_ids,
      schema, schema_hash, conversion)
    SELECT ${datasetId}::integer, n, CASE WHEN n = 1 THEN '{}' ELSE ARRAY[n - 1] END, n - 1, 'main', 'replace', 'Version ' || n, 'bench',
      now(), 20, 700, '{}', '[{"columnId": 1, "name": "id", "type": "BIGINT", "nullable": true}]', ${'0'.repeat(64)},
      '{"status": "complete", "errorCount": 0, "errors": []}'
    FROM generate_series(1, ${length}::integer) AS n`);
  await pool.query(sql.unsafe`
    INSERT INTO pointers (dataset_id, name, kind, branch_id, version_id, created_by, created_at, moved_at)
    VALUES (${datasetId}, 'main', 'branch', nextval('branch_ids'), ${length}, 'bench', now(), now())`);
  await pool.query(sql.unsafe`UPDATE datasets SET next_version_id = ${length + 1} WHERE dataset_id = ${datasetId}`);
}
