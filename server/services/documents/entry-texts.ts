import { type Annotation, EXPRESSION_DIALECTS, type Reply, type SharedView, type savedViewConfig } from '../../../protocol/documents/index.ts';
import { SORTS, type viewWindow } from '../../../protocol/operations/view.ts';
import type { PublishedEntry } from '../../storage/stores.ts';
import { AGGREGATE_NAMES, FILTER_OPERATORS, isPlainType, PLUGIN_NAMES, WINDOW_NAMES } from './view-terms.ts';

/** The texts of a part of an entry. */
type Texts = (value: unknown) => string[];

/** Of what people or plugins make up: names of fields too. As it is read: in JSON a line break would be a letter before a word. */
const free: Texts = (value) => {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(free);
  return Object.entries(value).flatMap(([field, inner]) => [field, ...free(inner)]);
};

/** Of an object, the names of whose own fields tell nothing. */
const fields =
  (known: Readonly<Record<string, Texts>>): Texts =>
  (value) => {
    if (!isObject(value)) return free(value);
    return Object.entries(value).flatMap(
      ([field, inner]) => (Object.hasOwn(known, field) ? known[field]?.(inner) : undefined) ?? [field, ...free(inner)],
    );
  };

/** Of an object with fields of any name. */
const fieldsOf =
  (texts: Texts): Texts =>
  (value) =>
    isObject(value) ? Object.entries(value).flatMap(([field, inner]) => [field, ...texts(inner)]) : free(value);

const listOf =
  (texts: Texts): Texts =>
  (value) =>
    Array.isArray(value) ? value.flatMap(texts) : free(value);

const tuple =
  (...places: readonly Texts[]): Texts =>
  (value) =>
    Array.isArray(value) ? value.flatMap((element, place) => (places[place] ?? free)(element)) : free(value);

/** A text that is one of those that mean the same for everybody tells nothing. */
const unless =
  (isTerm: (text: string) => boolean): Texts =>
  (value) =>
    typeof value === 'string' && isTerm(value) ? [] : free(value);

const oneOf = (terms: readonly string[]): Texts => unless((text) => terms.includes(text));
const time = unless((text) => /^[\d-]+T[\d:.]+Z$/.test(text));

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

const sortOrder = tuple(free, oneOf(SORTS));
const aggregate = oneOf(AGGREGATE_NAMES);

const windowFields: Readonly<Record<keyof typeof viewWindow.shape, Texts>> = {
  column: free,
  aggregate: oneOf(WINDOW_NAMES),
  partition_by: free,
  order_by: sortOrder,
  rows: free,
  range: free,
  cumulative: free,
  offset: free,
  alpha: free,
};

const configFields: Readonly<Record<keyof typeof savedViewConfig.shape, Texts>> = {
  columns: free,
  group_by: free,
  split_by: free,
  filter: listOf(tuple(free, oneOf(FILTER_OPERATORS), free)),
  filter_op: oneOf(['and', 'or']),
  sort: listOf(sortOrder),
  aggregates: fieldsOf((value) => (Array.isArray(value) ? tuple(aggregate, free)(value) : aggregate(value))),
  expressions: free,
  windows: fieldsOf(fields(windowFields)),
  group_by_depth: free,
  group_rollup_mode: oneOf(['rollup', 'flat', 'total']),
};

const viewFields: Readonly<Record<keyof SharedView, Texts>> = {
  name: free,
  description: free,
  config: fields(configFields),
  plugin: oneOf(PLUGIN_NAMES),
  pluginConfig: free,
  columnsConfig: free,
  dialect: oneOf(EXPRESSION_DIALECTS),
  // Every dataset has this branch.
  ref: oneOf(['main']),
  versionId: free,
  columnTypes: fieldsOf(unless(isPlainType)),
  author: free,
  createdAt: time,
  updatedAt: time,
  updatedBy: free,
};

const replyFields: Readonly<Record<keyof Reply, Texts>> = { id: free, author: free, body: free, at: time, editedAt: time };

const anchorFields: Readonly<Record<keyof Annotation['anchor'], Texts>> = {
  versionId: free,
  rowKey: free,
  row: free,
  column: free,
  viewId: free,
  cell: fields({ rowPath: free, column: free }),
};

const annotationFields: Readonly<Record<keyof Annotation, Texts>> = {
  anchor: fields(anchorFields),
  body: free,
  replies: listOf(fields(replyFields)),
  author: free,
  createdAt: time,
  updatedAt: time,
  resolved: fields({ by: free, at: time }),
};

const TEXTS: Readonly<Record<PublishedEntry['map'], Texts>> = { views: fields(viewFields), annotations: fields(annotationFields) };

/** Every text in an entry that may tell of something. */
export const textsOf = (map: PublishedEntry['map'], entry: unknown): string[] => TEXTS[map](entry);
