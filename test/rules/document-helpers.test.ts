import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { AnnotationEntry } from '../../client/documents/annotations.ts';
import { applyView } from '../../client/documents/apply-view.ts';
import type { LiveDocument } from '../../client/documents/live-document.ts';
import type { SavedViewEntry } from '../../client/documents/saved-views.ts';
import { annotation, sharedView } from '../../protocol/documents/index.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { fault, twoPeople, until } from '../support/documents.ts';

describe('LIVE8 saved views', () => {
  test('LIVE8 a view that one saves is everyone’s, to rename, change and remove', async () => {
    const [alice, bob] = await twoPeople();
    const seen: SavedViewEntry[][] = [];
    const stop = bob.savedViews().observe((views) => seen.push(views));
    const view = alice
      .savedViews()
      .create({ name: 'Sales', config: { columns: ['Sales'], group_by: ['Region'] }, columns: { Sales: 'DOUBLE', Region: 'VARCHAR' } });
    expect(view).toMatchObject({ author: 'alice', scope: 'shared', plugin: 'Datagrid', dialect: 'exprtk', ref: 'main' });
    expect(view.columnTypes).toEqual({ Sales: 'DOUBLE', Region: 'VARCHAR' });
    await until(bob, () => bob.savedViews().list().length === 1);
    bob.savedViews().rename(view.id, 'Sales by region');
    bob.savedViews().update(view.id, { config: { columns: ['Profit'] }, description: 'Better' });
    await until(alice, () => alice.savedViews().get(view.id)?.description === 'Better');
    const { id, scope, ...entry } = alice.savedViews().get(view.id) as SavedViewEntry;
    expect(sharedView.parse(entry)).toMatchObject({ name: 'Sales by region', config: { columns: ['Profit'] }, author: 'alice', updatedBy: 'bob' });
    alice.savedViews().update(view.id, { description: undefined } as never);
    expect(alice.savedViews().get(id)).not.toHaveProperty('description');
    expect(scope).toBe('shared');
    expect(alice.savedViews().remove(view.id)).toBe(true);
    expect(alice.savedViews().remove(view.id)).toBe(false);
    await until(bob, () => bob.savedViews().list().length === 0);
    await until(bob, () => seen.at(-1)?.length === 0);
    stop();
    const told = seen.length;
    bob.savedViews().create({ name: 'Unseen', config: {} });
    await bob.whenDurable();
    expect(seen.length).toBe(told);
  });

  test('LIVE8 what the server would refuse is refused here, before anything changes', async () => {
    const [alice, bob] = await twoPeople();
    const view = alice.savedViews().create({ name: 'Sales', config: {} });
    await until(bob, () => bob.savedViews().get(view.id) !== undefined);
    const state = JSON.stringify(bob.doc.toJSON());
    expect(fault(() => bob.savedViews().create({ name: '', config: {} }))).toMatchObject({ code: 'invalid_input', details: { rule: 'DOC4' } });
    expect(fault(() => bob.savedViews().rename(view.id, 'x'.repeat(1_000)))).toMatchObject({ code: 'invalid_input' });
    expect(fault(() => bob.savedViews().update(view.id, { author: 'bob' } as never))).toMatchObject({ details: { rule: 'DOC7' } });
    const huge = { note: 'x'.repeat(defaultLimits.savedViewConfigBytesMax) };
    expect(fault(() => bob.savedViews().create({ name: 'Huge', config: huge }))).toMatchObject({
      details: { path: [expect.anything(), expect.anything(), 'config'].slice(0, 3) },
    });
    expect(fault(() => bob.savedViews().rename('nothing', 'x'))).toMatchObject({ code: 'not_found' });
    expect(JSON.stringify(bob.doc.toJSON())).toBe(state);
  });

  test('LIVE8 half an entry, as two changes at once may leave for a moment, is not listed', async () => {
    const [alice] = await twoPeople();
    const view = alice.savedViews().create({ name: 'whole', config: {} });
    const half = alice.savedViews().create({ name: 'half', config: {} });
    (alice.doc.getMap('views').get(half.id) as Y.Map<unknown>).delete('name');
    alice.doc.getMap('annotations').set('a1', new Y.Map());
    alice.doc.getMap('views').set('v1', 7);
    expect(alice.savedViews().list()).toEqual([view]);
    expect(alice.savedViews().get(half.id)).toBeUndefined();
    expect(alice.annotations.list()).toEqual([]);
    expect(alice.savedViews().remove('v1')).toBe(false);
  });

  test('LIVE8 views are listed by name', async () => {
    const [alice] = await twoPeople();
    for (const name of ['c', 'a', 'b']) alice.savedViews().create({ name, config: {} });
    expect(
      alice
        .savedViews()
        .list()
        .map(({ name }) => name),
    ).toEqual(['a', 'b', 'c']);
  });
});

describe('LIVE9 applying a view', () => {
  const config = {
    columns: ['Sales', 'margin', null, 'Gone'],
    group_by: ['Region', 'Gone'],
    split_by: ['Year'],
    filter: [
      ['Year', '>', 2_020],
      ['Gone', '==', 1],
      ['Region', '==', 'West'],
    ] as [string, string, string | number][],
    sort: [
      ['margin', 'desc'],
      ['lost', 'asc'],
    ] as [string, string][],
    aggregates: { Sales: ['weighted mean', ['Gone']] as [string, string[]], Year: 'sum', margin: 'avg' },
    expressions: { margin: '"Profit" / "Sales"', lost: '"Gone" + 1', twice: '"lost" * 2' },
    group_by_depth: 1,
    filter_op: 'and' as const,
  };
  const columnTypes = { Sales: 'INTEGER', Profit: 'DOUBLE', Region: 'VARCHAR', Year: 'INTEGER', Gone: 'DOUBLE' };
  const view = { config, dialect: 'exprtk' as const, columnTypes };

  test('LIVE9 on the columns that it was made on, it is what it was', () => {
    const types = { Sales: 'INTEGER', Profit: 'DOUBLE', Region: 'VARCHAR', Year: 'INTEGER', Gone: 'DOUBLE', More: 'DATE' };
    expect(applyView(view, types)).toEqual({ config, missing: [], retyped: [], dropped: [] });
  });

  test('LIVE9 what needs a missing column is left out and told, the rest stays', () => {
    const columns = ['Sales', 'Profit', 'Region', 'Year'].map((name) => ({ name, type: columnTypes[name as keyof typeof columnTypes] }));
    const applied = applyView(view, columns);
    expect(applied.missing).toEqual(['Gone']);
    expect(applied.config).toEqual({
      columns: ['Sales', 'margin', null],
      group_by: ['Region'],
      split_by: ['Year'],
      filter: [config.filter[0], config.filter[2]],
      sort: [['margin', 'desc']],
      aggregates: { Year: 'sum', margin: 'avg' },
      expressions: { margin: '"Profit" / "Sales"' },
      filter_op: 'and',
    });
    expect(applied.dropped).toContainEqual({ field: 'expressions', entry: 'twice', column: 'lost' });
    expect(applied.dropped).toContainEqual({ field: 'aggregates', entry: 'Sales', column: 'Gone' });
    expect(applied.dropped).toContainEqual({ field: 'group_by', entry: 'Gone', column: 'Gone' });
  });

  test('LIVE9 a column of another kind is still shown, but no longer filtered or summed by', () => {
    const applied = applyView(view, { ...columnTypes, Year: 'VARCHAR', Sales: 'BIGINT' });
    expect(applied.retyped).toEqual([
      { column: 'Sales', from: 'INTEGER', to: 'BIGINT' },
      { column: 'Year', from: 'INTEGER', to: 'VARCHAR' },
    ]);
    expect(applied.missing).toEqual([]);
    expect(applied.config).toMatchObject({ split_by: ['Year'], filter: [config.filter[1], config.filter[2]], expressions: config.expressions });
    expect(applied.config.aggregates).not.toHaveProperty('Year');
    expect(applied.dropped).toEqual([
      { field: 'filter', entry: 'Year', column: 'Year' },
      { field: 'aggregates', entry: 'Year', column: 'Year' },
    ]);
  });

  test('LIVE9 a view of a version is the same on the table of it, whose types are told otherwise', () => {
    const told = [
      ['BIGINT', 'integer'],
      ['DECIMAL(18,2)', 'float'],
      ['DATE', 'date'],
      ['TIMESTAMP WITH TIME ZONE', 'datetime'],
      ['BOOLEAN', 'boolean'],
      ['VARCHAR', 'string'],
      ['TIME', 'string'],
      ['INTERVAL', 'string'],
      ['BLOB', 'string'],
      ['INTEGER[]', 'string'],
      ['STRUCT(a INTEGER)', 'string'],
    ] as const;
    for (const [from, to] of told) {
      const config = { columns: ['x'], filter: [['x', '==', 'x']] as [string, string, string][], aggregates: { x: 'count' } };
      const saved = { config, dialect: 'exprtk' as const, columnTypes: { x: from } };
      expect(applyView(saved, { x: to }), from).toEqual({ config, missing: [], retyped: [], dropped: [] });
    }
    const saved = { config: { filter: [['x', '>', 1]] as [string, string, number][] }, dialect: 'exprtk' as const, columnTypes: { x: 'INTEGER' } };
    for (const to of ['INTEGER[]', 'string', 'DATE'])
      expect(applyView(saved, { x: to }), to).toMatchObject({ retyped: [{ from: 'INTEGER', to }], dropped: [{ field: 'filter' }] });
    expect(applyView(saved, { x: 'float' })).toMatchObject({ retyped: [{ from: 'INTEGER', to: 'float' }], dropped: [] });
  });

  test('LIVE9 a view of a column whose type takes many words is saved, and fits the columns that it was made on', async () => {
    const [alice] = await twoPeople();
    const columns = { x: `STRUCT(${Array.from({ length: 100 }, (_, index) => `field${index} INTEGER`).join(', ')})` };
    const config = { columns: ['x'], filter: [['x', 'is not null', null]] as [string, string, null][] };
    const { id } = alice.savedViews().create({ name: 'nested', config, columns });
    expect(alice.savedViews().apply(id, columns)).toEqual({ config, missing: [], retyped: [], dropped: [] });
  });

  test('LIVE9 columns may be named as what every object has', () => {
    const config = {
      columns: ['constructor'],
      filter: [['toString', '==', 'x']] as [string, string, string][],
      sort: [['valueOf', 'asc']] as [string, string][],
    };
    const types = { constructor: 'VARCHAR', toString: 'VARCHAR', valueOf: 'DOUBLE' };
    expect(applyView({ config, dialect: 'exprtk', columnTypes: {} }, types)).toEqual({ config, missing: [], retyped: [], dropped: [] });
    expect(applyView({ config, dialect: 'exprtk', columnTypes: {} }, {}).missing).toEqual(['constructor', 'toString', 'valueOf']);
  });

  test('LIVE9 a view with none of its columns shows those of the table', () => {
    expect(applyView(view, { Other: 'DATE' }).config).not.toHaveProperty('columns');
    expect(applyView({ config: {}, dialect: 'sql' }, {})).toEqual({ config: {}, missing: [], retyped: [], dropped: [] });
  });
});

describe('LIVE10 annotations', () => {
  const thread = (document: LiveDocument, id: string): AnnotationEntry => document.annotations.get(id) as AnnotationEntry;

  test('LIVE10 a thread is begun, answered, edited, resolved, reopened and removed', async () => {
    const [alice, bob] = await twoPeople();
    const { id } = alice.annotations.add('Too high?', { rowKey: { id: 7 }, column: 'Sales' });
    await until(bob, () => bob.annotations.get(id) !== undefined);
    const reply = bob.annotations.reply(id, 'It is a return');
    bob.annotations.editReply(id, reply.id, 'It was a return');
    bob.annotations.resolve(id);
    await until(alice, () => thread(alice, id).resolved !== null);
    expect(thread(alice, id)).toMatchObject({
      author: 'alice',
      body: 'Too high?',
      replies: [{ author: 'bob', body: 'It was a return' }],
      resolved: { by: 'bob' },
    });
    expect(fault(() => alice.annotations.editReply(id, reply.id, 'mine now'))).toMatchObject({ code: 'invalid_input', details: { rule: 'DOC7' } });
    expect(fault(() => alice.annotations.editReply(id, 'none', 'x'))).toMatchObject({ code: 'not_found' });
    alice.annotations.reopen(id);
    alice.annotations.edit(id, 'Much too high?');
    alice.annotations.removeReply(id, reply.id);
    await until(bob, () => thread(bob, id).replies.length === 0);
    const { id: _, ...entry } = thread(bob, id);
    expect(annotation.parse(entry)).toMatchObject({ body: 'Much too high?', resolved: null });
    expect(bob.annotations.remove(id)).toBe(true);
    await until(alice, () => alice.annotations.list().length === 0);
  });

  test('LIVE10 two who edit one text both keep what they wrote', async () => {
    const [alice, bob] = await twoPeople();
    const { id } = alice.annotations.add('the quick 🦊 fox');
    await until(bob, () => bob.annotations.get(id) !== undefined);
    alice.annotations.edit(id, 'the very quick 🦊 fox');
    bob.annotations.edit(id, 'the quick 🦝 fox jumps');
    await until(alice, () => thread(alice, id).body.includes('jumps'));
    await until(bob, () => thread(bob, id).body.includes('very'));
    expect(thread(alice, id).body).toBe('the very quick 🦝 fox jumps');
    expect(thread(bob, id).body).toBe(thread(alice, id).body);
  });

  test('LIVE10 annotations are found by what they are about', async () => {
    const [alice] = await twoPeople();
    const { annotations } = alice;
    const made = [
      annotations.add('dataset'),
      annotations.add('version', { versionId: 2 }),
      annotations.add('row', { rowKey: { id: 1, part: 'a' } }),
      annotations.add('column', { column: 'Sales' }),
      annotations.add('cell', { rowKey: { id: 1, part: 'a' }, column: 'Sales', versionId: 3 }),
      annotations.add('position', { versionId: 2, row: 0 }),
      annotations.add('view', { viewId: 'v1', cell: { rowPath: ['West'], column: 'Sales' } }),
    ];
    annotations.resolve(made[0]?.id ?? '');
    const bodies = (query: Parameters<typeof annotations.list>[0]): string[] => annotations.list(query).map(({ body }) => body);
    expect(bodies({})).toHaveLength(7);
    expect(bodies({ versionId: 3 })).toEqual(expect.arrayContaining(['dataset', 'row', 'column', 'cell', 'view']));
    expect(bodies({ versionId: 3 })).toHaveLength(5);
    expect(bodies({ rowKey: { part: 'a', id: 1 } }).sort()).toEqual(['cell', 'row']);
    expect(bodies({ rowKey: { id: 1 } })).toEqual([]);
    expect(bodies({ column: 'Sales' }).sort()).toEqual(['cell', 'column']);
    expect(bodies({ row: 0 })).toEqual(['position']);
    expect(bodies({ viewId: 'v1' })).toEqual(['view']);
    expect(bodies({ resolved: true })).toEqual(['dataset']);
    expect(fault(() => annotations.add('nowhere', { row: 3 }))).toMatchObject({ details: { rule: 'DOC5' } });
  });

  test('LIVE10 changes are told, also of the text while it is written', async () => {
    const [alice, bob] = await twoPeople();
    const { id } = alice.annotations.add('a', { viewId: 'v1' });
    await until(bob, () => bob.annotations.get(id) !== undefined);
    const told: string[] = [];
    bob.annotations.observe((found) => told.push(found.map(({ body }) => body).join()), { viewId: 'v1' });
    alice.annotations.body(id).insert(1, 'b');
    await until(bob, () => told.at(-1) === 'ab');
    alice.annotations.add('elsewhere');
    await until(bob, () => bob.annotations.list().length === 2);
    await until(bob, () => told.length >= 2);
    expect(told.at(-1)).toBe('ab');
  });
});
