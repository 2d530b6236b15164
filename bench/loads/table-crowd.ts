import perspective from '@perspective-dev/client/node';
import { Random } from '../../server/cli/load/random.ts';
import { answer } from '../support/helper.ts';
import type { Crowd, CrowdFigures } from '../support/table-crowd.ts';

/**
 * People who pivot, in a process of their own: told of a crowd, it answers what that met. It speaks to Covista and to Perspective's
 * server alike, with Perspective's own client.
 */
type Table = Awaited<ReturnType<Awaited<ReturnType<typeof perspective.websocket>>['open_table']>>;
type View = Awaited<ReturnType<Table['view']>>;

interface Figures {
  readonly viewMs: number[];
  readonly windowMs: number[];
  /** Of each person, how many rows the view has and what its first row says. */
  readonly answers: string[];
}

async function run({ people, table, windows, windowRows, seed }: Crowd): Promise<CrowdFigures> {
  const clients = await Promise.all(people.map(({ url }) => perspective.websocket(url)));
  const tables = await Promise.all(clients.map((client) => client.open_table(table)));
  const figures: Figures = { viewMs: [], windowMs: [], answers: [] };
  const begin = performance.now();
  const views = await Promise.all(
    tables.map((opened, index) =>
      explore(opened, { config: people[index]?.config ?? {}, random: new Random(seed + index), windows, windowRows }, figures),
    ),
  );
  const totalMs = performance.now() - begin;
  for (const [index, { view, rows }] of views.entries()) figures.answers[index] = `${rows} rows, ${await firstRow(view)}`;
  await Promise.all(views.map(({ view }) => view.delete()));
  await Promise.all(clients.map((client) => client.terminate()));
  return { totalMs, ...figures };
}

interface Plan {
  readonly config: Crowd['people'][number]['config'];
  readonly random: Random;
  readonly windows: number;
  readonly windowRows: number;
}

/** Makes a view, and reads windows of it one after the other. */
async function explore(table: Table, { config, random, windows, windowRows }: Plan, figures: Figures): Promise<{ view: View; rows: number }> {
  const begin = performance.now();
  const view = await table.view(config as never);
  const rows = await view.num_rows();
  figures.viewMs.push(performance.now() - begin);
  for (let window = 0; window < windows; window += 1) {
    const start = random.below(Math.max(1, rows - windowRows));
    const asked = performance.now();
    const columns = (await view.to_columns({ start_row: start, end_row: start + windowRows })) as Record<string, unknown[]>;
    figures.windowMs.push(performance.now() - asked);
    const read = Math.max(0, ...Object.values(columns).map(({ length }) => length));
    if (read !== Math.min(rows, windowRows)) throw new Error(`a window of ${windowRows} rows from ${start} of ${rows} has ${read}`);
  }
  return { view, rows };
}

/** What the total of a pivot says, to as many digits as every order of adding up gives. */
async function firstRow(view: View): Promise<string> {
  const columns = (await view.to_columns({ start_row: 0, end_row: 1 })) as Record<string, unknown[]>;
  return JSON.stringify(columns, (_key, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(9)) : value));
}

answer(run);
