import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PacedFigures, PacedOrders } from '../loads/paced.ts';

const OUTPUT_BYTES_MAX = 1024 * 1024;

/** Asks at a steady rate from a process of its own, and answers with what came of each operation. */
export async function pacedLoad(orders: PacedOrders): Promise<PacedFigures[]> {
  const program = join(import.meta.dirname, '../loads/paced.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(orders)], { maxBuffer: OUTPUT_BYTES_MAX });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PacedFigures);
}
