import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client, CovistaError, LiveDocument } from '../../client/index.ts';
import { errorsOf, until } from '../support/documents.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let clients: { readonly alice: Client; readonly bob: Client };
let alice: LiveDocument;
let bob: LiveDocument;
let errors: CovistaError[][];

beforeAll(async () => {
  server = await startTestServer();
  clients = { alice: await server.client('alice'), bob: await server.client('bob') };
});

afterAll(async () => {
  await server?.stop();
});

beforeEach(async () => {
  const { datasetId } = await clients.alice.dataset.create({ name: 'Orders' });
  await clients.alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
  [alice, bob] = (await Promise.all([clients.alice, clients.bob].map((client) => client.document.open(`dataset/${datasetId}`)))) as [
    LiveDocument,
    LiveDocument,
  ];
  await Promise.all([alice.whenSynced(), bob.whenSynced()]);
  errors = [errorsOf(alice), errorsOf(bob)];
});

/** Everything made so far is kept, and both have it. */
async function settled(): Promise<void> {
  await Promise.all([alice.whenDurable(), bob.whenDurable()]);
  await until(alice, () => JSON.stringify(alice.doc.toJSON()) === JSON.stringify(bob.doc.toJSON()));
}

const viewOf = (document: LiveDocument, id: string) => document.savedViews().get(id);

describe('LIVE12 taking back what others changed too', () => {
  test('LIVE12 a change of what somebody else had changed goes back to theirs, as the work of who takes it back', async () => {
    const { id } = alice.savedViews().create({ name: 'one', config: {} });
    await settled();
    bob.savedViews().rename(id, 'two');
    await settled();
    alice.savedViews().rename(id, 'three');
    await settled();
    for (const [step, name] of [
      ['undo', 'two'],
      ['redo', 'three'],
      ['undo', 'two'],
    ] as const) {
      expect(alice[step]()).toBe(true);
      await settled();
      expect(viewOf(bob, id)).toMatchObject({ name, updatedBy: 'alice' });
    }
    expect(errors).toEqual([[], []]);
  });

  test('LIVE12 edits of a text are taken back and done again, one after the other', async () => {
    const { id } = alice.annotations.add('one');
    alice.annotations.edit(id, 'one two');
    alice.annotations.edit(id, 'one two three');
    for (const [step, text] of [
      ['undo', 'one two'],
      ['redo', 'one two three'],
      ['undo', 'one two'],
      ['undo', 'one'],
      ['redo', 'one two'],
    ] as const) {
      expect([step, alice[step](), alice.annotations.get(id)?.body]).toEqual([step, true, text]);
    }
    await settled();
    expect(errors).toEqual([[], []]);
  });

  test('LIVE12 what somebody else changed since stays, and tells who took something back', async () => {
    const { id } = alice.savedViews().create({ name: 'one', config: {} });
    alice.savedViews().rename(id, 'two');
    await settled();
    bob.savedViews().update(id, { config: { columns: ['a'] } });
    await settled();
    expect(alice.undo()).toBe(true);
    await settled();
    expect(viewOf(bob, id)).toMatchObject({ name: 'one', config: { columns: ['a'] }, updatedBy: 'alice' });
    expect(errors).toEqual([[], []]);
  });

  test('LIVE12 the first change of a view of somebody else is taken back in one’s own name', async () => {
    const { id } = alice.savedViews().create({ name: 'one', config: {} });
    await settled();
    bob.savedViews().rename(id, 'two');
    await settled();
    expect(bob.undo()).toBe(true);
    await settled();
    expect(viewOf(alice, id)).toMatchObject({ name: 'one', author: 'alice', updatedBy: 'bob' });
    expect(errors).toEqual([[], []]);
  });

  test('LIVE12 a step of which others left nothing is given up, and the step before it is not taken instead', async () => {
    const { id } = alice.savedViews().create({ name: 'one', config: {} });
    alice.savedViews().rename(id, 'two');
    await settled();
    bob.savedViews().rename(id, 'three');
    await settled();
    expect(alice.undo()).toBe(false);
    await until(alice, () => errors[0]?.length === 1);
    expect(errors[0]).toMatchObject([{ code: 'conflict', details: { step: 'undo' } }]);
    expect(alice.canUndo).toBe(true);
    await settled();
    expect(viewOf(bob, id)).toMatchObject({ name: 'three', updatedBy: 'bob' });
  });

  test('LIVE12 a note that is reopened and resolved again by taking that back is resolved by who does so, and may be reopened again', async () => {
    const { id } = alice.annotations.add('Odd');
    await settled();
    bob.annotations.resolve(id);
    await settled();
    alice.annotations.reopen(id);
    await settled();
    for (const [step, resolved] of [
      ['undo', { by: 'alice' }],
      ['redo', null],
      ['undo', { by: 'alice' }],
      ['redo', null],
    ] as const) {
      expect([step, alice[step]()]).toEqual([step, true]);
      await settled();
      expect(bob.annotations.get(id)?.resolved).toEqual(resolved && expect.objectContaining(resolved));
    }
    expect(errors).toEqual([[], []]);
  });

  test('LIVE12 a reply of somebody else that was removed returns as it was', async () => {
    const { id } = alice.annotations.add('Odd');
    await settled();
    const reply = bob.annotations.reply(id, 'Indeed');
    await settled();
    alice.annotations.removeReply(id, reply.id);
    await settled();
    expect(alice.undo()).toBe(true);
    await settled();
    expect(bob.annotations.get(id)?.replies).toEqual([reply]);
    expect(errors).toEqual([[], []]);
  });
});
