import { describe, expect, test } from 'vitest';
import {
  columnsOfAnchor,
  columnsOfConfig,
  countFault,
  documentOpened,
  type EntryChange,
  entryFault,
  jsonFault,
  parseDocumentName,
  presenceFault,
  refusal,
  savedViewConfig,
} from '../../protocol/documents/index.ts';
import { defaultLimits } from '../../protocol/limits.ts';

const AT = '2026-11-23T10:00:00.000Z';

const VIEW = {
  name: 'Sales by region',
  config: { columns: ['Sales', null], group_by: ['Region'], filter: [['Sales', '>', 10]], sort: [['Sales', 'desc']], newer_field: { a: 1 } },
  plugin: 'Datagrid',
  dialect: 'exprtk',
  ref: 'main',
  author: 'alice',
  createdAt: AT,
  updatedAt: AT,
};

const REPLY = { id: 'r1', author: 'bob', body: 'Why?', at: AT };
const NOTE = { anchor: {}, body: 'Look', replies: [REPLY], author: 'alice', createdAt: AT, resolved: null };

const change = (fields: Partial<EntryChange>): EntryChange => {
  return { kind: 'dataset', map: 'views', id: 'v1', before: undefined, after: undefined, subject: 'alice', ...fields };
};
const ofView = (fields: object, more: Partial<EntryChange> = {}): ReturnType<typeof entryFault> =>
  entryFault(change({ after: { ...VIEW, ...fields }, ...more }));
const ofNote = (fields: object, more: Partial<EntryChange> = {}): ReturnType<typeof entryFault> =>
  entryFault(change({ map: 'annotations', id: 'a1', before: NOTE, after: { ...NOTE, ...fields }, ...more }));

test('DOC1 a name is that of a dataset or a person', () => {
  expect(parseDocumentName('dataset/7')).toEqual({ kind: 'dataset', datasetId: 7 });
  expect(parseDocumentName('user/a b/ü@example')).toEqual({ kind: 'user', subject: 'a b/ü@example' });
  const none = ['dataset/0', 'dataset/07', 'dataset/7/x', 'dataset/', 'dataset/99999999999', 'user/', 'user/a\nb', 'other/7', '', '/dataset/7'];
  expect(none.map(parseDocumentName)).toEqual(none.map(() => undefined));
  expect(parseDocumentName(`user/${'x'.repeat(defaultLimits.subjectCharsMax + 1)}`)).toBeUndefined();
});

test('DOC2 a document has the maps of its kind only', () => {
  expect(entryFault(change({ map: 'secrets', after: 1 }))).toMatchObject({ rule: 'DOC2', path: ['secrets'] });
  expect(entryFault(change({ map: 'preferences', after: 1 }))).toMatchObject({ rule: 'DOC2' });
  expect(entryFault(change({ kind: 'user', map: 'annotations', after: NOTE }))).toMatchObject({ rule: 'DOC2' });
  expect(entryFault(change({ map: 'toString', after: 1 }))).toMatchObject({ rule: 'DOC2' });
});

test('DOC3 ids are short and plain, and a map has so many entries', () => {
  for (const id of ['', 'a b', 'x'.repeat(65), '__proto__/', 'ü']) expect(ofView({}, { id })).toMatchObject({ rule: 'DOC3' });
  expect(ofView({}, { id: 'A-z_0'.repeat(12) })).toBeUndefined();
  expect(entryFault(change({ kind: 'user', map: 'preferences', id: 'grid/row.height', after: 20 }))).toBeUndefined();
  expect(entryFault(change({ kind: 'user', map: 'preferences', id: 'row height', after: 20 }))).toMatchObject({ rule: 'DOC3' });
  expect(countFault('dataset', 'views', defaultLimits.savedViewsMax)).toBeUndefined();
  expect(countFault('dataset', 'views', defaultLimits.savedViewsMax + 1)).toMatchObject({ rule: 'DOC3', path: ['views'] });
});

describe('DOC4 saved views', () => {
  test('DOC4 what a viewer saves is taken, with fields of newer ones', () => {
    expect(ofView({})).toBeUndefined();
    const whole = { description: 'x\ny', pluginConfig: { a: [1, null] }, columnsConfig: {}, versionId: 3, columnTypes: { Sales: 'DOUBLE' } };
    expect(ofView({ ...whole, updatedBy: 'alice' })).toBeUndefined();
    expect(ofView({ datasetId: 7 }, { kind: 'user' })).toBeUndefined();
  });

  test.each([
    [{ name: '' }, ['name']],
    [{ name: 'a\u0000' }, ['name']],
    [{ name: 'x'.repeat(201) }, ['name']],
    [{ config: null }, ['config']],
    [{ config: { columns: [7] } }, ['config', 'columns', 0]],
    [{ config: { filter: [['Sales']] } }, ['config', 'filter', 0, 1]],
    [{ config: { filter_op: 'xor' } }, ['config', 'filter_op']],
    [{ config: { note: 'x'.repeat(defaultLimits.savedViewConfigBytesMax) } }, ['config']],
    [{ config: { note: Number.NaN } }, ['config']],
    [{ plugin: 7 }, ['plugin']],
    [{ pluginConfig: new Uint8Array(1) }, ['pluginConfig']],
    [{ dialect: 'lisp' }, ['dialect']],
    [{ ref: '' }, ['ref']],
    [{ versionId: 0 }, ['versionId']],
    [{ createdAt: 'yesterday' }, ['createdAt']],
    [{ createdAt: '2026-11-23T10:00:00+01:00' }, ['createdAt']],
    [{ colour: 'red' }, []],
    [{ datasetId: 7 }, []],
  ])('DOC4 %o is refused at its place', (fields, path) => {
    expect(ofView(fields)).toMatchObject({ rule: 'DOC4', path: ['views', 'v1', ...path] });
  });

  test('DOC4 a view of a person names its dataset', () => {
    expect(ofView({}, { kind: 'user' })).toMatchObject({ rule: 'DOC4', path: ['views', 'v1', 'datasetId'] });
  });
});

describe('DOC5 annotations', () => {
  test.each([
    {},
    { versionId: 2 },
    { rowKey: { id: 7, region: 'West' } },
    { rowKey: { id: '9007199254740993' }, versionId: 2, column: 'Sales' },
    { versionId: 2, row: 0, column: 'Sales' },
    { column: 'Sales' },
    { viewId: 'v1', versionId: 2 },
    { viewId: 'v1', cell: { rowPath: ['West', null, 3], column: 'Furniture|Sales' } },
  ])('DOC5 %o is an anchor', (anchor) => {
    expect(ofNote({ anchor, replies: [] }, { before: undefined })).toBeUndefined();
  });

  test.each([
    { row: 1 },
    { versionId: 2, row: 1, rowKey: { id: 1 } },
    { rowKey: {} },
    { rowKey: { id: null } },
    { cell: { rowPath: [], column: 'a' } },
    { viewId: 'v1', column: 'a' },
    { table: 'x' },
    { rowKey: { id: 'x'.repeat(defaultLimits.anchorBytesMax) } },
    null,
  ])('DOC5 %o is none', (anchor) => {
    expect(ofNote({ anchor }, { before: undefined })).toMatchObject({ rule: 'DOC5' });
  });

  test.each([
    [{ body: 'x'.repeat(defaultLimits.annotationBodyCharsMax + 1) }, ['body']],
    [{ body: 7 }, ['body']],
    [{ resolved: true }, ['resolved']],
    [{ replies: [REPLY, REPLY] }, ['replies']],
    [{ replies: ['hello'] }, ['replies', 0]],
    [{ replies: [{ ...REPLY, body: '' }] }, ['replies', 0, 'body']],
    [{ replies: [{ ...REPLY, mood: 'x' }] }, ['replies', 0]],
    [{ colour: 'red' }, []],
  ])('DOC5 %o is refused at its place', (fields, path) => {
    expect(ofNote(fields)).toMatchObject({ rule: 'DOC5', path: ['annotations', 'a1', ...path] });
  });
});

describe('DOC6 authors', () => {
  test('DOC6 nobody writes as somebody else', () => {
    expect(ofView({ author: 'bob' })).toMatchObject({ rule: 'DOC6', path: ['views', 'v1', 'author'] });
    expect(ofView({ updatedBy: 'bob' })).toMatchObject({ rule: 'DOC6', path: ['views', 'v1', 'updatedBy'] });
    expect(ofNote({}, { before: undefined, subject: 'bob' })).toMatchObject({ rule: 'DOC6', path: ['annotations', 'a1', 'author'] });
    expect(ofNote({ replies: [REPLY, { ...REPLY, id: 'r2' }] })).toMatchObject({ rule: 'DOC6', path: ['annotations', 'a1', 'replies', 1, 'author'] });
    expect(ofNote({ resolved: { by: 'bob', at: AT } })).toMatchObject({ rule: 'DOC6', path: ['annotations', 'a1', 'resolved', 'by'] });
  });

  test('DOC6 what stays is not claimed by who changes something beside it', () => {
    const before = { ...VIEW, updatedBy: 'carol' };
    expect(ofView({ updatedBy: 'carol', name: 'Other' }, { before, subject: 'bob' })).toBeUndefined();
    const resolved = { by: 'carol', at: AT };
    expect(ofNote({ resolved, body: 'More' }, { before: { ...NOTE, resolved }, subject: 'bob' })).toBeUndefined();
  });

  test('DOC6 an entry may return as it was', () => {
    expect(ofView({}, { before: VIEW, subject: 'bob' })).toBeUndefined();
  });
});

describe('DOC7 what stays', () => {
  test('DOC7 author, time and anchor never change', () => {
    expect(ofView({ author: 'bob' }, { before: VIEW, subject: 'bob' })).toMatchObject({ rule: 'DOC7', path: ['views', 'v1', 'author'] });
    expect(ofView({ createdAt: '2026-11-24T10:00:00.000Z' }, { before: VIEW })).toMatchObject({ rule: 'DOC7' });
    expect(ofNote({ anchor: { column: 'Sales' } })).toMatchObject({ rule: 'DOC7', path: ['annotations', 'a1', 'anchor'] });
    const before = { ...VIEW, datasetId: 7 };
    expect(ofView({ datasetId: 8 }, { kind: 'user', before })).toMatchObject({ rule: 'DOC7', path: ['views', 'v1', 'datasetId'] });
  });

  test('DOC7 a reply is changed by its author only, and removed by anyone', () => {
    const edited = { ...REPLY, body: 'Why not?', editedAt: AT };
    expect(ofNote({ replies: [edited] }, { subject: 'bob' })).toBeUndefined();
    expect(ofNote({ replies: [edited] })).toMatchObject({ rule: 'DOC7', path: ['annotations', 'a1', 'replies', 0, 'body'] });
    expect(ofNote({ replies: [{ ...REPLY, author: 'alice' }] })).toMatchObject({ rule: 'DOC7' });
    expect(ofNote({ replies: [] })).toBeUndefined();
  });

  test('DOC7 whoever may write edits, resolves, reopens and removes', () => {
    expect(ofNote({ body: 'Look here', updatedAt: AT }, { subject: 'bob' })).toBeUndefined();
    expect(ofNote({ resolved: { by: 'bob', at: AT } }, { subject: 'bob' })).toBeUndefined();
    expect(ofNote({ resolved: null }, { before: { ...NOTE, resolved: { by: 'carol', at: AT } }, subject: 'bob' })).toBeUndefined();
    expect(entryFault(change({ before: VIEW, after: undefined, subject: 'bob' }))).toBeUndefined();
  });
});

test('DOC8 a preference is any JSON of a size', () => {
  const preference = (after: unknown): ReturnType<typeof entryFault> => entryFault(change({ kind: 'user', map: 'preferences', id: 'theme', after }));
  expect(preference({ dark: true, list: [1, 'x', null] })).toBeUndefined();
  expect(preference('x'.repeat(defaultLimits.preferenceBytesMax))).toMatchObject({ rule: 'DOC8' });
  expect(preference(1n)).toMatchObject({ rule: 'DOC8' });
  let deep: unknown = 1;
  for (let depth = 0; depth < 1_000; depth += 1) deep = [deep];
  expect(jsonFault(deep)).toContain('deeper');
});

test('DOC9 an awareness state tells who is here and claims to be nobody else', () => {
  expect(presenceFault(null, 'alice')).toBeUndefined();
  expect(presenceFault({ user: { name: 'Al', color: '#aabbcc', colorLight: '#fff' }, cursor: { anchor: 1 } }, 'alice')).toBeUndefined();
  const state = {
    user: { subject: 'alice' },
    tableId: 'dataset_7_v1_x',
    viewId: null,
    selection: { row: 3, column: 'Sales' },
    viewConfig: { columns: [] },
  };
  expect(presenceFault(state, 'alice')).toBeUndefined();
  expect(presenceFault(state, 'bob')).toMatchObject({ rule: 'DOC9', path: ['user', 'subject'] });
  expect(presenceFault({ selection: 7 }, 'alice')).toMatchObject({ rule: 'DOC9', path: ['selection'] });
  expect(presenceFault({ user: { color: 'red' } }, 'alice')).toMatchObject({ rule: 'DOC9', path: ['user', 'color'] });
  expect(presenceFault({ note: 'x'.repeat(defaultLimits.awarenessStateBytesMax) }, 'alice')).toMatchObject({ rule: 'DOC9' });
  expect(presenceFault('here', 'alice')).toMatchObject({ rule: 'DOC9' });
});

test('DOC10 a config tells the columns that it needs, of the table and not of its own making', () => {
  const config = savedViewConfig.parse({
    columns: ['Sales', 'margin', null],
    group_by: ['Region'],
    split_by: ['Year'],
    filter: [['State', '==', 'Ohio']],
    sort: [['margin', 'desc']],
    aggregates: { margin: ['weighted mean', ['Quantity']] },
    expressions: { margin: `"Profit" / "Sales" // per "comment"\n + length('"text"')` },
    windows: { running: { column: 'Sales', aggregate: 'sum', partition_by: ['City'], order_by: ['Day', 'asc'] } },
  });
  const expected = ['Sales', 'Region', 'Year', 'State', 'Quantity', 'Profit', 'City', 'Day'];
  expect(columnsOfConfig(config, 'exprtk').sort()).toEqual(expected.sort());
  const sql = savedViewConfig.parse({ expressions: { m: `profit / "Net ""x""" -- "comment"\n + upper('"text"') ` } });
  expect(columnsOfConfig(sql, 'sql', new Set(['profit'])).sort()).toEqual(['Net "x"', 'profit']);
  // SQL knows columns, quoted or not, in any spelling of capitals; ExprTK does not.
  expect(columnsOfConfig(sql, 'sql', new Set(['Profit', 'NET "X"'])).sort()).toEqual(['NET "X"', 'Profit']);
  expect(columnsOfConfig(savedViewConfig.parse({ expressions: { m: '"SALES"' } }), 'exprtk', new Set(['Sales']))).toEqual(['SALES']);
  expect(columnsOfAnchor({ rowKey: { id: 1 }, column: 'Sales' })).toEqual(['id', 'Sales']);
});

test('what a channel says beside y-websocket has a shape', () => {
  expect(documentOpened.safeParse({ documentId: 'x', subject: 'alice', canWrite: true }).success).toBe(true);
  const refused = { edit: 3, code: 'forbidden', rule: 'DOC6', message: 'no', path: ['views', 'v1'], rebuild: false };
  expect(refusal.safeParse(refused).success).toBe(true);
  expect(refusal.safeParse({ ...refused, code: 'whatever' }).success).toBe(false);
});
