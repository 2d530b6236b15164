import { rounded } from './measurement.ts';
import { labelOf, type Results } from './results.ts';

/** What operators plan with, and the figure that says how much of it. */
const PLANNED: readonly (readonly [what: string, figure: string])[] = [
  ['the process with nothing open, without PostgreSQL', 'connections / memory of the server with nothing open'],
  ['an idle connection', 'connections / idle session'],
  ['an idle connection with a document, of 5,000', 'document memory / idle connection with a document'],
  ['a person with table, document and events', 'sessions / person with table, document and events'],
  ['500 people who explore one version together, the whole server', 'co-analysis / memory of the server at 500 people'],
  [
    '200 sessions with one pivot of 1,000,000 rows, the whole server',
    'table sessions / memory of the server with 200 sessions on one configuration, 1000000 rows',
  ],
  ['20 people with different pivots of 1,000,000 rows, the whole server', 'pivots / resident memory'],
  ['a table of the `duckdb` engine, 1,000,000 rows × 10 columns', 'table memory / duckdb: a table at 1000000 rows'],
  ['a pivot of it', 'table memory / duckdb: a view at 1000000 rows'],
  ['10 tables of the `memory` engine, 100,000 rows × 10 columns, together', 'table memory / memory: tables of 100000 rows, together at 10 tables'],
  ['a table of the `memory` engine, 1,000,000 rows × 10 columns', 'table memory / memory: a table at 1000000 rows'],
  ['a document of 10,000 notes', 'document memory / open document at 10000 annotations'],
  ['500 documents of 100 notes, together', 'document memory / open documents, together at 500 documents'],
  ['committing 3,000,000 rows of Parquet, above idle', 'commit / flights-3m.parquet: memory above idle'],
  ['comparing 10,000,000 rows × 12 columns, the whole server', 'diff / 10,000,000 rows × 12 columns: memory of the server'],
];

/** The table of the operator's chapter; throws where results lack a figure of it. */
export function sizingTable({ measurements }: Pick<Results, 'measurements'>): string {
  const figures = new Map(measurements.map((measurement) => [labelOf(measurement), measurement]));
  const rows = PLANNED.map(([what, label]) => {
    const figure = figures.get(label);
    if (figure === undefined) throw new Error(`the results have no “${label}”`);
    const { value, unit, spread } = figure;
    return `| ${what} | ${rounded(value)} ${unit}${spread === undefined ? '' : ` (${rounded(spread[0])} to ${rounded(spread[1])})`} |`;
  });
  return ['| what | takes |', '| --- | --- |', ...rows].join('\n');
}
