import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { errorsOf, hubOf, newRelay, openAs, text, until, write } from '../support/documents.ts';

const REFUSAL = { code: 'forbidden', rule: 'DOC6', message: 'not you', path: ['views', 'v1'], rebuild: false };

describe('LIVE1 opening', () => {
  test('LIVE1 what was there is here once the document is synced, and edits reach everyone', async () => {
    const relay = newRelay();
    relay.doc.getText('note').insert(0, 'before ');
    const [one, other] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
    expect(text(one)).toBe('before ');
    write(one, 'now');
    await until(other, () => text(other) === 'before now');
    expect({ subject: other.subject, canWrite: other.canWrite, state: other.state }).toEqual({
      subject: 'bob',
      canWrite: true,
      state: { kind: 'synced' },
    });
  });

  test('LIVE1 a client has one copy of a document, which it leaves when the last who opened it closes', async () => {
    const relay = newRelay();
    const hub = hubOf(relay, 'alice');
    const [one, other] = await Promise.all([hub.open('dataset/7'), hub.open('dataset/7')]);
    expect(one.doc).toBe(other.doc);
    await one.whenSynced();
    expect(relay.lines).toBe(1);
    one.close();
    one.close();
    write(other, 'still here');
    await other.whenDurable();
    other.close();
    expect(other.state.kind).toBe('closed');
    await hub.open('dataset/7').then((again) => again.whenSynced());
    expect(relay.lines).toBe(1);
  });

  test('LIVE1 a document that may not be opened says so, and so does a name that is none', async () => {
    const relay = newRelay();
    relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
    const hub = hubOf(relay, 'alice');
    await expect(hub.open('dataset/7')).rejects.toMatchObject({ code: 'not_found' });
    await expect(hub.open('table/7')).rejects.toMatchObject({ code: 'invalid_input' });
    relay.refuseOpening = undefined;
    await expect(hub.open('dataset/7').then(({ subject }) => subject)).resolves.toBe('alice');
  });
});

describe('LIVE2 connections that come and go', () => {
  test('LIVE2 edits without a channel are there after it, once', async () => {
    const relay = newRelay();
    const [one, other] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
    write(one, 'a');
    await until(other, () => text(other) === 'a');
    // Told at once: asked for later, it might have connected again.
    const away = new Promise<void>((resolve) => one.onState(({ kind }) => kind === 'connecting' && resolve()));
    relay.drop();
    await away;
    write(one, 'b');
    write(other, 'c');
    await Promise.all([one.whenDurable(), other.whenDurable()]);
    await until(one, () => text(one).length === 3);
    await until(other, () => text(other).length === 3);
    expect(text(one)).toBe(text(other));
    expect(relay.doc.getText('note').toString()).toBe(text(one));
  });

  test('LIVE2 nothing is sent that rests on what the server lacks', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    let round = 0;
    document.onState(({ kind }) => kind === 'syncing' && write(document, `${round}" `));
    for (; round < 20; round += 1) {
      write(document, `${round} `);
      relay.drop();
      write(document, `${round}' `);
      await until(document, () => text(document).includes(`${round}" `));
    }
    await document.whenSynced();
    await document.whenDurable();
    expect(relay.doc.getText('note').toString()).toBe(text(document));
    expect(text(document).match(/19/g)).toHaveLength(3);
  });

  test('LIVE2 more edits than a message takes go in several', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    relay.refuseOpening = new CovistaError('unavailable', 'away');
    relay.drop();
    await until(document, () => document.state.kind === 'connecting');
    const { documentUpdateBytesMax } = defaultLimits;
    for (let count = 0; count < 50; count += 1) document.savedViews().create({ name: `large ${count}`, config: { note: 'x'.repeat(60_000) } });
    document.undo();
    let largest = 0;
    relay.rule = (update) => {
      largest = Math.max(largest, update.length);
      return update.length > documentUpdateBytesMax ? { ...REFUSAL, code: 'payload_too_large', rebuild: true } : undefined;
    };
    relay.refuseOpening = undefined;
    await document.whenDurable();
    expect(relay.doc.getMap('views').size).toBe(49);
    expect(largest).toBeGreaterThan(documentUpdateBytesMax / 2);
  });

  test('LIVE2 more edits at once than a message takes go in several, also with a channel', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const { documentUpdateBytesMax: bytesMax } = defaultLimits;
    relay.rule = (update) => (update.length > bytesMax ? { ...REFUSAL, code: 'payload_too_large', rebuild: true } : undefined);
    for (let count = 0; count < 50; count += 1) document.savedViews().create({ name: `large ${count}`, config: { note: 'x'.repeat(60_000) } });
    document.undo();
    await document.whenDurable();
    expect(relay.doc.getMap('views').size).toBe(49);
  });

  test('LIVE2 more items than a message takes go in several, few bytes as they are', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    relay.refuseOpening = new CovistaError('unavailable', 'away');
    relay.drop();
    await until(document, () => document.state.kind === 'connecting');
    const { documentUpdateStructsMax } = defaultLimits;
    const notes = document.doc.getMap('notes');
    const edits = 30;
    const values = documentUpdateStructsMax / 20;
    for (let edit = 0; edit < edits; edit += 1) {
      document.doc.transact(() => {
        for (let value = 0; value < values; value += 1) notes.set(`${edit}-${value}`, value);
      });
    }
    relay.rule = (update) =>
      Y.decodeUpdate(update).structs.length > documentUpdateStructsMax ? { ...REFUSAL, code: 'payload_too_large', rebuild: true } : undefined;
    relay.refuseOpening = undefined;
    await document.whenDurable();
    expect(relay.doc.getMap('notes').size).toBe(edits * values);
  });

  test('LIVE2 a document that cannot be opened for now is tried again', async () => {
    const relay = newRelay();
    relay.refuseOpening = new CovistaError('unavailable', 'another server has it');
    const opening = openAs(relay, 'alice');
    await new Promise((resolve) => setImmediate(resolve));
    relay.refuseOpening = undefined;
    expect((await opening).state).toEqual({ kind: 'synced' });
  });
});

describe('LIVE4 refusals', () => {
  test('LIVE4 a refused edit is reported with its rule, and the copy goes on where the server took it back', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    relay.rule = () => {
      relay.rule = () => undefined;
      return REFUSAL;
    };
    const { doc } = document;
    doc.getMap('views').set('v1', 'forged');
    await expect(document.whenDurable()).rejects.toMatchObject({ code: 'forbidden', details: { rule: 'DOC6' } });
    await until(document, () => errors.length === 1);
    expect(errors[0]).toMatchObject({ code: 'forbidden', message: 'not you', details: { rule: 'DOC6', path: ['views', 'v1'] } });
    expect(document.doc).toBe(doc);
  });

  test('LIVE4 a copy that holds what was not taken up is given up, and the next edits count', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    write(document, 'good ');
    await document.whenDurable();
    relay.rule = () => ({ ...REFUSAL, rebuild: true });
    const { doc } = document;
    const bound: string[] = [];
    document.onReplaced(() => bound.push(text(document)));
    write(document, 'bad ');
    await until(document, () => document.doc !== doc);
    relay.rule = () => undefined;
    await document.whenSynced();
    write(document, 'better');
    await document.whenDurable();
    expect(text(document)).toBe('good better');
    expect(relay.doc.getText('note').toString()).toBe('good better');
    expect({ bound: bound.length, errors: errors.length, isDestroyed: doc.isDestroyed }).toEqual({ bound: 1, errors: 1, isDestroyed: true });
  });

  test('LIVE4 a channel that is closed for what this client sent gives the copy up too', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    const { doc } = document;
    relay.drop(new CovistaError('unprocessable_data', 'an edit rests on another that is missing'));
    await until(document, () => document.doc !== doc && document.state.kind === 'synced');
    expect(errors).toMatchObject([{ code: 'unprocessable_data' }]);
  });
});

test('LIVE3 edits that the server had not settled when the document was closed do not count as durable afterwards', async () => {
  const relay = newRelay();
  const [left, deleted, settled] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob'), openAs(relay, 'carol')]);
  write(settled, 'here');
  await settled.whenDurable();
  relay.rule = () => 'hold';
  for (const document of [left, deleted]) write(document, 'unheard');
  left.close();
  relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
  relay.drop();
  await Promise.all([until(deleted, () => deleted.state.kind === 'closed'), until(settled, () => settled.state.kind === 'closed')]);
  await expect(left.whenDurable()).rejects.toMatchObject({ code: 'cancelled' });
  await expect(deleted.whenDurable()).rejects.toMatchObject({ code: 'not_found' });
  await settled.whenDurable();
});

test('LIVE5 who may only read is told so and keeps nothing of an edit', async () => {
  const relay = newRelay();
  relay.doc.getText('note').insert(0, 'as it is');
  relay.opened = { ...relay.opened, canWrite: false };
  const document = await openAs(relay, 'alice');
  const errors = errorsOf(document);
  expect(() => document.savedViews().create({ name: 'Mine', config: {} })).toThrow(expect.objectContaining({ code: 'forbidden' }));
  const { doc } = document;
  write(document, ' no');
  await expect(document.whenDurable()).rejects.toMatchObject({ code: 'forbidden' });
  await until(document, () => document.doc !== doc && document.state.kind === 'synced');
  expect(text(document)).toBe('as it is');
  expect(errors).toMatchObject([{ code: 'forbidden' }]);
  expect(relay.received.filter((kind) => kind === 'update' || kind === 'difference')).toEqual([]);
});

describe('LIVE6 documents that end or change', () => {
  test('LIVE6 one that is deleted, or may not be read any more, is closed with the reason', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
    relay.drop(new CovistaError('forbidden', 'what you may see has changed'));
    await until(document, () => document.state.kind === 'closed');
    expect(document.state).toMatchObject({ reason: { code: 'not_found' } });
    await expect(document.whenSynced()).rejects.toMatchObject({ code: 'not_found' });
    expect(() => document.savedViews().create({ name: 'x', config: {} })).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  test('LIVE6 a grant that changes opens the document anew, as another one where its scope is another', async () => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    write(document, 'of the first scope');
    await document.whenDurable();
    relay.doc = newRelay().doc;
    relay.doc.getText('note').insert(0, 'of the second');
    relay.opened = { documentId: 'second', canWrite: true };
    relay.drop(new CovistaError('forbidden', 'what you may see has changed'));
    await until(document, () => text(document) === 'of the second');
    expect(errors).toMatchObject([{ code: 'conflict', details: { documentId: 'second' } }]);
    expect(relay.doc.getText('note').toString()).toBe('of the second');
  });
});

test('LIVE7 presence that changes often is told now and then', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  const other = await openAs(relay, 'bob');
  for (let row = 0; row < 100; row += 1) document.presence.set({ selection: { row } });
  await until(other, () => other.presence.others()[0]?.selection?.row === 99);
  expect(relay.received.filter((kind) => kind === 'awareness').length).toBeLessThan(10);
});

test('LIVE7 edits that follow each other soon travel together', async () => {
  const relay = newRelay();
  const hub = hubOf(relay, 'alice');
  const document = await hub.open('dataset/7');
  await document.whenSynced();
  await document.whenDurable();
  const before = relay.received.length;
  for (let count = 0; count < 100; count += 1) write(document, 'x');
  await document.whenDurable();
  expect(relay.received.slice(before).filter((kind) => kind === 'update').length).toBeLessThan(10);
  expect(relay.doc.getText('note').length).toBe(100);
});
