import { createSqlTag, type DatabasePool } from 'slonik';

const sql = createSqlTag();
const EDIT = Buffer.alloc(100, 1);

/** Milliseconds that transactions of one small row take, one after the other. */
export async function commitTimes(pool: DatabasePool, count: number): Promise<number[]> {
  await pool.query(sql.unsafe`CREATE TABLE IF NOT EXISTS bench_commits (id bigint GENERATED ALWAYS AS IDENTITY, edit bytea NOT NULL)`);
  const times: number[] = [];
  for (let commit = 0; commit < count; commit += 1) {
    const start = performance.now();
    await pool.query(sql.unsafe`INSERT INTO bench_commits (edit) VALUES (${sql.binary(EDIT)})`);
    times.push(performance.now() - start);
  }
  return times;
}
