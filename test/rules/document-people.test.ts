import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { errorsOf, fault, newRelay, openAs, twoPeople, until } from '../support/documents.ts';

describe('LIVE11 presence', () => {
  test('LIVE11 everyone sees who is here, by name and colour, and what they look at', async () => {
    const [alice, bob] = await twoPeople();
    await until(bob, () => bob.presence.others().length === 1);
    expect(bob.presence.others()).toMatchObject([
      { isMe: false, user: { subject: 'alice', name: 'alice', color: expect.stringMatching(/^#[0-9a-f]{6}$/) } },
    ]);
    alice.presence.set({ tableId: 'dataset_7_v1_x', selection: { row: 3, column: 'Sales' } });
    alice.presence.set({ viewId: 'v1' });
    await until(bob, () => bob.presence.others()[0]?.viewId === 'v1');
    expect(bob.presence.others()[0]).toMatchObject({ tableId: 'dataset_7_v1_x', selection: { row: 3, column: 'Sales' } });
    expect(fault(() => bob.presence.set({ user: { subject: 'alice' } }))).toMatchObject({ details: { rule: 'DOC9' } });
    alice.close();
    await until(bob, () => bob.presence.others().length === 0);
  });

  test('LIVE11 one can follow what another shows', async () => {
    const [alice, bob] = await twoPeople();
    await until(bob, () => bob.presence.others().length === 1);
    const shown: unknown[] = [];
    bob.presence.follow(alice.doc.clientID, (viewConfig) => shown.push(viewConfig));
    alice.presence.set({ viewConfig: { columns: ['Sales'] } });
    await until(bob, () => shown.length === 2);
    alice.presence.set({ selection: { row: 1 } });
    alice.close();
    await until(bob, () => shown.length === 3);
    expect(shown).toEqual([null, { columns: ['Sales'] }, null]);
  });

  test('LIVE11 who loses the connection is seen again with it, and sees nobody without', async () => {
    const relay = newRelay();
    const [alice, bob] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
    alice.presence.set({ viewId: 'v1' });
    await until(bob, () => bob.presence.others()[0]?.viewId === 'v1');
    // How many others there were after every change: a client may be back sooner than anybody looks.
    const others: number[] = [];
    bob.presence.observe((present) => others.push(present.filter(({ isMe }) => !isMe).length));
    relay.drop();
    await until(bob, () => others.includes(0));
    await until(bob, () => bob.presence.others()[0]?.viewId === 'v1');
    expect(alice.presence.me).toMatchObject({ viewId: 'v1' });
  });
});

describe('LIVE12 undo', () => {
  test('LIVE12 each takes back what is theirs, step by step, and nothing of others', async () => {
    const [alice, bob] = await twoPeople();
    const one = alice.savedViews().create({ name: 'one', config: {} });
    alice.savedViews().rename(one.id, 'uno');
    await until(bob, () => bob.savedViews().get(one.id)?.name === 'uno');
    bob.savedViews().create({ name: 'two', config: {} });
    await until(alice, () => alice.savedViews().list().length === 2);
    expect(alice.undo()).toBe(true);
    expect(alice.savedViews().get(one.id)?.name).toBe('one');
    expect(alice.undo()).toBe(true);
    expect(alice.undo()).toBe(false);
    expect({ canUndo: alice.canUndo, canRedo: alice.canRedo }).toEqual({ canUndo: false, canRedo: true });
    await until(bob, () => bob.savedViews().list().length === 1);
    expect(alice.redo()).toBe(true);
    expect(alice.redo()).toBe(true);
    expect(alice.redo()).toBe(false);
    await until(bob, () => bob.savedViews().get(one.id)?.name === 'uno');
    expect(bob.undo()).toBe(true);
    await until(
      alice,
      () =>
        alice
          .savedViews()
          .list()
          .map(({ name }) => name)
          .join() === 'uno',
    );
  });

  test('LIVE12 a step that would leave half an entry is given up', async () => {
    const relay = newRelay();
    const [alice, bob] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
    const { id } = alice.savedViews().create({ name: 'one', config: {} });
    await until(bob, () => bob.savedViews().get(id) !== undefined);
    const errors = errorsOf(alice);
    alice.savedViews().remove(id);
    bob.savedViews().rename(id, 'two');
    await Promise.all([alice.whenDurable(), bob.whenDurable()]);
    await until(bob, () => bob.savedViews().get(id) === undefined);
    const state = relay.doc.toJSON();
    alice.undo();
    await alice.whenDurable();
    await until(alice, () => errors.length > 0 || alice.savedViews().get(id) !== undefined);
    expect(errors).toMatchObject([{ code: 'conflict', details: { step: 'undo' } }]);
    expect(relay.doc.toJSON()).toEqual(state);
    expect(alice.undo()).toBe(false);
    expect(alice.canUndo).toBe(false);
  });

  test('LIVE5 who may only read from now on takes no step, and has the same copy', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    document.savedViews().create({ name: 'one', config: {} });
    document.savedViews().create({ name: 'two', config: {} });
    document.undo();
    await document.whenDurable();
    const { doc } = document;
    relay.opened = { ...relay.opened, canWrite: false };
    relay.drop();
    await until(document, () => !document.canWrite && document.state.kind === 'synced');
    expect({ canUndo: document.canUndo, canRedo: document.canRedo }).toEqual({ canUndo: false, canRedo: false });
    for (const step of ['undo', 'redo'] as const) expect(fault(() => document[step]())).toMatchObject({ code: 'forbidden' });
    relay.opened = { ...relay.opened, canWrite: true };
    relay.drop();
    await until(document, () => document.canWrite && document.state.kind === 'synced');
    expect(document.redo()).toBe(true);
    await document.whenDurable();
    expect({ isSame: document.doc === doc, errors, views: relay.doc.getMap('views').size }).toEqual({ isSame: true, errors: [], views: 2 });
  });

  test('LIVE5 no step is taken in a document that is closed', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    document.savedViews().create({ name: 'one', config: {} });
    await document.whenDurable();
    relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
    relay.drop();
    await until(document, () => document.state.kind === 'closed');
    const state = document.doc.toJSON();
    expect(fault(() => document.undo())).toMatchObject({ code: 'not_found' });
    expect({ canUndo: document.canUndo, state: document.doc.toJSON() }).toEqual({ canUndo: false, state });
  });

  test('LIVE12 a removed annotation comes back whole', async () => {
    const [alice, bob] = await twoPeople();
    const { id } = alice.annotations.add('Look', { column: 'Sales' });
    await until(bob, () => bob.annotations.get(id) !== undefined);
    bob.annotations.reply(id, 'Where?');
    await until(alice, () => alice.annotations.get(id)?.replies.length === 1);
    const before = alice.annotations.get(id);
    alice.annotations.remove(id);
    await until(bob, () => bob.annotations.list().length === 0);
    alice.undo();
    await until(bob, () => bob.annotations.list().length === 1);
    expect(bob.annotations.get(id)).toEqual(before);
  });
});

describe('LIVE13 documents of a person', () => {
  test('LIVE13 private views are listed by dataset, preferences by name', async () => {
    const document = await openAs(newRelay(), 'alice', { name: 'user/alice' });
    const views = document.savedViews(7);
    const view = views.create({ name: 'Mine', config: { columns: ['a'] } });
    expect(view).toMatchObject({ scope: 'private', datasetId: 7, author: 'alice' });
    expect(document.savedViews(8).list()).toEqual([]);
    expect(document.savedViews(8).remove(view.id)).toBe(false);
    expect(views.list()).toHaveLength(1);
    document.preferences.set('theme', { dark: true });
    document.preferences.set('rows', 50);
    expect(document.preferences.all()).toEqual({ theme: { dark: true }, rows: 50 });
    expect(document.preferences.get('theme')).toEqual({ dark: true });
    expect(document.preferences.remove('rows')).toBe(true);
    expect(fault(() => document.preferences.set('a b', 1))).toMatchObject({ details: { rule: 'DOC3' } });
    expect(fault(() => document.savedViews())).toMatchObject({ code: 'invalid_input' });
    expect(fault(() => document.annotations)).toMatchObject({ code: 'invalid_input' });
  });
});
