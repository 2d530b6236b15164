import { Worker } from 'node:worker_threads';
import { errorFromBody } from '../../protocol/errors.ts';
import { abortError } from '../shared/abort.ts';
import type { ArrowIngestColumn, ArrowIngestJob, FromArrowIngest, ToArrowIngest } from './arrow-ingest.protocol.ts';

export interface ArrowIngestRequest {
  readonly job: ArrowIngestJob;
  /** Told the columns, answers with the statement that writes the table; throws to refuse the file. */
  readonly accept: (columns: readonly ArrowIngestColumn[]) => string;
  readonly onRows: (rows: number) => void;
  readonly signal: AbortSignal;
}

export type ArrowIngestOutcome =
  | { readonly rows: number; readonly damage: string | null; readonly columns: readonly ArrowIngestColumn[] }
  | { readonly unreadable: string };

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));

/** Converts an Arrow file in a thread of its own, which ends with the work. */
export async function convertArrow({ job, accept, onRows, signal }: ArrowIngestRequest): Promise<ArrowIngestOutcome> {
  const worker = new Worker(WORKER, { workerData: job, name: 'arrow-ingest' });
  const tell = (message: ToArrowIngest): void => worker.postMessage(message);
  const cancel = (): void => tell({ kind: 'cancel' });
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  let outcome: ArrowIngestOutcome | undefined;
  let failure: unknown;
  let columns: readonly ArrowIngestColumn[] = [];
  worker.on('message', (message: FromArrowIngest) => {
    switch (message.kind) {
      case 'columns':
        columns = message.columns;
        try {
          tell({ kind: 'convert', statement: accept(columns) });
        } catch (error) {
          failure = error;
          cancel();
        }
        break;
      case 'progress':
        onRows(message.rows);
        break;
      case 'done':
        outcome = { rows: message.rows, damage: message.damage, columns };
        break;
      case 'unreadable':
        outcome = { unreadable: message.reason };
        break;
      case 'failed':
        failure ??= errorFromBody(message.error);
        break;
    }
  });
  try {
    await ended(worker);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (signal.aborted) throw abortError(signal);
  if (failure !== undefined) throw failure;
  if (outcome === undefined) throw new Error('the Arrow worker ended without an outcome');
  return outcome;
}

/** Resolves when the thread is gone, with everything that it held. */
function ended(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}
