import type { TableMemory } from '../services/tables/tables.ts';
import { Metrics, type Reading } from '../shared/metrics.ts';
import type { MetadataStore } from '../storage/stores.ts';

/** Datasets and tables that have a label of their own; the others are told together. */
const NAMED_MAX = 20;

interface House {
  readonly metadata: Pick<MetadataStore, 'datasets'>;
  readonly tables: { memory(): readonly TableMemory[] };
}

/** Metrics for which the parts of the server are asked when somebody reads them. */
export function houseMetrics({ metadata, tables }: House): Metrics {
  const metrics = new Metrics();
  metrics.gauge('active_tables', 'Tables that are loaded (active_table_count)', ['engine'], () => countBy(tables.memory()));
  metrics.gauge('table_memory_bytes', 'Memory of the largest tables, about, and of the others together (memory_usage_per_table)', ['table'], () =>
    largest(tables.memory().map(({ tableId, bytes }) => ({ labels: { table: tableId }, value: bytes }))),
  );
  metrics.gauge(
    'storage_bytes',
    'Data files and originals of the largest datasets, and of the others together (storage_usage_by_dataset)',
    ['dataset'],
    async () => {
      const { largest: named, othersBytes } = await metadata.datasets.storage(NAMED_MAX);
      const readings = named.map(({ datasetId, bytes }) => ({ labels: { dataset: String(datasetId) }, value: bytes }));
      return [...readings, { labels: { dataset: 'other' }, value: othersBytes }];
    },
  );
  return metrics;
}

function countBy(tables: readonly TableMemory[]): Reading[] {
  return (['memory', 'duckdb'] as const).map((engine) => ({ labels: { engine }, value: tables.filter((table) => table.engine === engine).length }));
}

function largest(readings: readonly Reading[]): Reading[] {
  const sorted = [...readings].sort((one, other) => other.value - one.value);
  const others = sorted.slice(NAMED_MAX).reduce((total, { value }) => total + value, 0);
  return [...sorted.slice(0, NAMED_MAX), { labels: { table: 'other' }, value: others }];
}
