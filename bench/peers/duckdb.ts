import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';

/**
 * DuckDB by itself, in a process of its own: what any conversion costs at least. Reads jobs as lines of JSON,
 * `{ connections, statements }`, runs each one's statements over so many connections, and answers with the milliseconds. A list among
 * the statements is run by one connection in its order.
 */
interface Job {
  readonly connections: number;
  readonly statements: readonly (string | readonly string[])[];
}

async function run(instance: DuckDBInstance, { connections, statements }: Job): Promise<number> {
  const opened = await Promise.all(Array.from({ length: connections }, () => instance.connect()));
  const waiting = statements.values();
  const start = performance.now();
  await Promise.all(
    opened.map(async (connection) => {
      for (const next of waiting) for (const statement of [next].flat()) await connection.run(statement);
    }),
  );
  const milliseconds = performance.now() - start;
  for (const connection of opened) connection.closeSync();
  return milliseconds;
}

const instance = await DuckDBInstance.create(':memory:', { threads: process.argv[2] ?? '1' });
for await (const line of createInterface({ input: process.stdin })) {
  const milliseconds = await run(instance, JSON.parse(line) as Job);
  process.stdout.write(`${milliseconds}\n`);
}
instance.closeSync();
