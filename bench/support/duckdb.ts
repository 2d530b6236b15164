import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** DuckDB without Covista around it. */
export interface BareDuckdb {
  /** Runs statements, distributed over connections, and answers with the milliseconds that they took; a list stays with one connection. */
  run(statements: readonly (string | readonly string[])[], connections?: number): Promise<number>;
  stop(): Promise<void>;
}

export function startDuckdb(threads: number): BareDuckdb {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../peers/duckdb.ts'), String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'exit');
  return {
    run: async (statements, connections = 1) => {
      child.stdin.write(`${JSON.stringify({ connections, statements })}\n`);
      const answer = await answers.next();
      if (answer.done === true) throw new Error('the DuckDB process ended');
      return Number(answer.value);
    },
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

export const quoted = (path: string): string => `'${path.replaceAll("'", "''")}'`;

/** The conversion that every commit needs. */
export function convertStatement(from: string, to: string): string {
  return `COPY (SELECT * FROM ${quoted(from)}) TO ${quoted(to)} (FORMAT parquet, COMPRESSION zstd)`;
}
