import type { ColumnStatistics, ContentStore, Control, Row, ScopedContent } from '../content-store.ts';
import type { Column } from '../stores.ts';
import type { Broker } from './broker.ts';
import { identifier } from './quote.ts';
import { scopedRelation } from './relation.ts';

/** So many columns are described by one statement: each needs several aggregates. */
const COLUMNS_PER_SCAN = 100;

/** Describes columns, all of a group in one scan. */
export function createStatistics(broker: Broker): ContentStore['statistics'] {
  return async (source, columns, control) => {
    const { schema } = scopedRelation(source);
    const chosen = columns === undefined ? schema : columns.flatMap((name) => schema.find((column) => column.name === name) ?? []);
    const described: ColumnStatistics[] = [];
    for (let start = 0; start < chosen.length; start += COLUMNS_PER_SCAN) {
      described.push(...(await describe(broker, source, chosen.slice(start, start + COLUMNS_PER_SCAN), control)));
    }
    return described;
  };
}

async function describe(broker: Broker, source: ScopedContent, columns: readonly Column[], control: Control): Promise<ColumnStatistics[]> {
  const { sql, values } = scopedRelation(source, { columns: columns.map(({ name }) => name) });
  const aggregates = columns.flatMap(aggregatesOf);
  const [row] = await broker.run('bulk', control, (session) =>
    session.rows(`SELECT count(*) AS rows, ${aggregates.join(', ')} FROM (${sql})`, values),
  );
  return columns.map((column, index) => toStatistics(column, index, row ?? {}));
}

const isNumeric = (type: string): boolean => /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(type);
const isInexact = (type: string): boolean => type === 'FLOAT' || type === 'DOUBLE';
const isNested = (type: string): boolean => /\]$|^(STRUCT|MAP|UNION|JSON|BLOB|VARIANT)\b/.test(type);

function aggregatesOf({ name, type }: Column, index: number): string[] {
  const column = identifier(name);
  const aggregates = [
    `count(${column}) AS "n${index}"`,
    `approx_count_distinct(${isNested(type) ? `CASE WHEN ${column} IS NOT NULL THEN hash(${column}) END` : column}) AS "d${index}"`,
  ];
  if (!isNested(type)) aggregates.push(`min(${column}) AS "l${index}"`, `max(${column}) AS "h${index}"`);
  if (isNumeric(type)) {
    // The spread of values that are not finite is not a number, which is an error of the aggregate.
    const finite = type === 'FLOAT' || type === 'DOUBLE' ? ` FILTER (isfinite(${column}))` : '';
    aggregates.push(`avg(${column})${finite} AS "m${index}"`, `stddev_samp(CAST(${column} AS DOUBLE))${finite} AS "s${index}"`);
  }
  return aggregates;
}

/**
 * Sums of floating-point numbers differ in their last digits with the order in which threads add them, and so with where rows
 * lie that the caller does not see. Those digits are no statement about the data, and are left out.
 */
const DIGITS = 12;

function toStatistics({ name, type }: Column, index: number, row: Row): ColumnStatistics {
  const number = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));
  const rounded = (value: unknown): number | null => (value === null || value === undefined ? null : Number(Number(value).toPrecision(DIGITS)));
  return {
    name,
    type,
    nulls: Number(row.rows ?? 0) - Number(row[`n${index}`] ?? 0),
    // An estimate may be beyond what is possible.
    distinct: Math.min(Number(row[`d${index}`] ?? 0), Number(row[`n${index}`] ?? 0)),
    min: row[`l${index}`] ?? null,
    max: row[`h${index}`] ?? null,
    mean: isInexact(type) ? rounded(row[`m${index}`]) : number(row[`m${index}`]),
    standardDeviation: rounded(row[`s${index}`]),
  };
}
