import perspective from '@perspective-dev/client/node';
import { connect } from '../../client/index.ts';
import { answer } from '../support/helper.ts';
import type { ProbeFigures, ProbeTarget } from '../support/table-crowd.ts';

/**
 * Somebody who wants next to nothing, in a process of its own: told of whom, it asks at a steady pace, whether or not earlier questions
 * were answered, until it is told to end; it then tells how long each answer took.
 */
const EVERY_MS = 10;
/** Where so many wait already, nothing is learnt from one more. */
const PENDING_MAX = 200;

const figures: ProbeFigures = { whoamiMs: [], windowMs: [] };
const pending = new Set<Promise<void>>();
let timer: NodeJS.Timeout | undefined;

async function begin({ url, table, session }: ProbeTarget): Promise<void> {
  const client = session && connect(session);
  await client?.ready();
  const view = await (await (await perspective.websocket(url)).open_table(table)).view();
  const probe = (): void => {
    if (pending.size >= PENDING_MAX) return;
    measure(figures.windowMs, () => view.to_columns({ start_row: 0, end_row: 1 }));
    if (client !== undefined) measure(figures.whoamiMs, () => client.session.whoami({}));
  };
  timer = setInterval(probe, EVERY_MS);
}

function measure(into: number[], ask: () => Promise<unknown>): void {
  const asked = performance.now();
  const answered = ask().then(() => {
    into.push(performance.now() - asked);
    pending.delete(answered);
  });
  pending.add(answered);
}

async function end(): Promise<ProbeFigures> {
  clearInterval(timer);
  await Promise.all(pending);
  return figures;
}

answer(async (question: ProbeTarget | 'end') => (question === 'end' ? end() : begin(question)));
