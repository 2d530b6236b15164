import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PacedFigures, PacedOrders } from '../loads/paced.ts';

const OUTPUT_BYTES_MAX = 1024 * 1024;

/** Asks from a process of its own, at a steady rate or as fast as answers come, and answers with what came of each operation. */
export async function pacedLoad(orders: PacedOrders): Promise<PacedFigures[]> {
  const program = join(import.meta.dirname, '../loads/paced.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(orders)], { maxBuffer: OUTPUT_BYTES_MAX });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PacedFigures);
}
