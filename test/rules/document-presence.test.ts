import { describe, expect, test } from 'vitest';
import { awarenessMessage, encodeAwareness } from '../../server/services/documents/messages.ts';
import { Presence, type Teller } from '../../server/services/documents/presence.ts';
import { memoryDocument, quiet } from '../support/live-document.ts';

const LIMITS = { awarenessKeepMs: 30_000, awarenessClientsMax: 2, awarenessStateBytesMax: 1_000, documentUpdateBytesMax: 8_000 };
const [ALICE, BOB] = [{ subject: 'alice' }, { subject: 'bob' }];

function presence(nowMs = { now: 0 }) {
  const board = new Presence(LIMITS, { now: () => nowMs.now });
  const tell = (teller: Teller, clientId: number, clock: number, state: unknown) =>
    board.receive(encodeAwareness([{ clientId, clock, json: JSON.stringify(state) }]), teller);
  return { board, tell, nowMs };
}

describe('presence', () => {
  test('DOC20 is told by oneself only', () => {
    const { board, tell } = presence();
    expect(tell(ALICE, 1, 1, { user: { subject: 'alice' } }).arrived).toEqual([1]);
    expect(tell(BOB, 1, 2, { user: { subject: 'bob' } }).arrived).toEqual([]);
    expect(tell(BOB, 1, 2, null).changed).toEqual([]);
    expect(board.present()).toEqual([1]);
    expect(tell(ALICE, 1, 1, null).changed).toEqual([1]);
    expect(board.present()).toEqual([]);
  });

  test('DOC9 what breaks a rule is not passed on, and the rest is', () => {
    const { board } = presence();
    const entry = (clientId: number, state: unknown) => ({ clientId, clock: 1, json: JSON.stringify(state) });
    const told = board.receive(encodeAwareness([entry(1, { user: { subject: 'bob' } }), entry(2, { user: { subject: 'alice' } })]), ALICE);
    expect(told).toMatchObject({ arrived: [2], fault: { rule: 'DOC9', path: ['user', 'subject'] } });
    expect(board.receive(encodeAwareness([{ clientId: 2, clock: 2, json: '{' }]), ALICE)).toMatchObject({ arrived: [], fault: { rule: 'DOC9' } });
  });

  test('DOC20 an echo brings nobody back who left', () => {
    const { board, tell } = presence();
    tell(ALICE, 1, 5, { a: 1 });
    expect(board.leave(ALICE)).toEqual([1]);
    expect(tell(BOB, 1, 5, { a: 1 }).arrived).toEqual([]);
    expect(board.present()).toEqual([]);
  });

  test('DOC20 who comes back as they were is there again, on a clock that others believe', () => {
    const { board, tell } = presence();
    tell(ALICE, 1, 5, { a: 1 });
    board.leave(ALICE);
    expect(tell({ ...ALICE }, 1, 5, { a: 1 }).arrived).toEqual([1]);
    expect(board.messages([1])).toEqual([awarenessMessage(encodeAwareness([{ clientId: 1, clock: 6, json: '{"a":1}' }]))]);
  });

  test('DOC20 that is not renewed is forgotten', () => {
    const { board, tell, nowMs } = presence();
    tell(ALICE, 1, 1, { a: 1 });
    nowMs.now = 29_000;
    tell(BOB, 2, 1, { a: 1 });
    expect(board.sweep()).toEqual([]);
    nowMs.now = 31_000;
    expect(board.sweep()).toEqual([1]);
    expect(board.present()).toEqual([2]);
  });

  test('DOC20 of more clients than one channel may have is left out', () => {
    const { board, tell } = presence();
    for (const clientId of [1, 2, 3]) tell(ALICE, clientId, 1, {});
    expect(board.present()).toEqual([1, 2]);
  });

  test('DOC20 nor do many clients come in with one message', () => {
    const { board } = presence();
    const many = Array.from({ length: 100 }, (_unused, index) => ({ clientId: index + 1, clock: 1, json: '{}' }));
    expect(board.receive(encodeAwareness(many), ALICE).arrived).toEqual([1, 2]);
    expect(board.present()).toEqual([1, 2]);
  });

  test('DOC20 of each client in one message only the last state counts', () => {
    const { board } = presence();
    const states = ['{', JSON.stringify({ user: { subject: 'bob' } }), '{"a":1}', '{"a":2}'];
    const again = states.map((json, index) => ({ clientId: 1, clock: index + 1, json }));
    const other = { clientId: 2, clock: 1, json: '{}' };
    const told = board.receive(encodeAwareness([...again.slice(0, 2), other, ...again.slice(2)]), ALICE);
    expect(told).toEqual({ changed: [], arrived: [1, 2], renewed: [], fault: undefined });
    expect(board.messages([1])).toEqual([awarenessMessage(encodeAwareness(again.slice(-1)))]);
  });

  test('DOC20 many states are told in several messages, and those of nobody in none', () => {
    const { board, tell } = presence();
    const tellers = [1, 2, 3, 4, 5].map((clientId) => ({ clientId, teller: { ...ALICE } }));
    for (const { clientId, teller } of tellers) tell(teller, clientId, 1, { text: 'x'.repeat(600) });
    const messages = board.messages(board.present());
    expect(messages).toHaveLength(3);
    for (const { length } of messages) expect(length).toBeLessThan(2_000);
    expect(board.messages([6])).toEqual([]);
  });

  test('DOC20 nobody makes others keep more of who left, nor of who never was there', () => {
    const { board, tell, nowMs } = presence();
    const many = Array.from({ length: 100_000 }, (_, index) => ({ clientId: index + 10, clock: 1, json: 'null' }));
    expect(board.receive(encodeAwareness(many), BOB)).toEqual({ changed: [], arrived: [], renewed: [], fault: undefined });
    for (const clientId of [1, 2, 3]) {
      tell(ALICE, clientId, 1, { a: 1 });
      tell(ALICE, clientId, 2, null);
    }
    expect(tell(ALICE, 4, 1, { a: 1 }).arrived).toEqual([]);
    expect(tell(BOB, 3, 1, { a: 1 }).arrived).toEqual([3]);
    nowMs.now = 31_000;
    board.sweep();
    expect(tell(ALICE, 4, 1, { a: 1 }).arrived).toEqual([4]);
  });

  test('DOC20 nobody takes the place of who left a moment ago', () => {
    const { board, tell, nowMs } = presence();
    tell(ALICE, 1, 5, { a: 1 });
    board.leave(ALICE);
    expect(tell(BOB, 1, 100, { user: { name: 'Alice' } }).arrived).toEqual([]);
    expect(tell({ ...ALICE }, 1, 6, { a: 2 }).arrived).toEqual([1]);
    nowMs.now = 31_000;
    board.sweep();
    nowMs.now = 62_000;
    board.sweep();
    expect(tell(BOB, 1, 1, { a: 1 }).arrived).toEqual([1]);
  });

  test('DOC9 a state counts as it was sent, with what is around its values', () => {
    const { board } = presence();
    for (const json of [`{"a":1${' '.repeat(2_000)}}`, `{"a":"${'x'.repeat(2_000)}","a":1}`])
      expect(board.receive(encodeAwareness([{ clientId: 1, clock: 1, json }]), ALICE)).toMatchObject({ arrived: [], fault: { rule: 'DOC9' } });
    expect(board.present()).toEqual([]);
  });

  test('DOC20 changes within an interval go together', async () => {
    const memory = memoryDocument({ awarenessIntervalMs: 300 });
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    await quiet();
    const before = bob.received.length;
    for (let step = 0; step < 50; step += 1) alice.awareness.setLocalState({ selection: { row: step } });
    await expect.poll(() => bob.awareness.getStates().get(alice.doc.clientID)).toEqual({ selection: { row: 49 } });
    expect(bob.received.length - before).toBeLessThanOrEqual(2);
  });

  test('DOC20 what is only renewed is told apart from what changed, and who comes from both', () => {
    const { tell } = presence();
    expect(tell(ALICE, 1, 1, { a: 1 })).toMatchObject({ changed: [], arrived: [1], renewed: [] });
    expect(tell(ALICE, 1, 2, { a: 1 })).toMatchObject({ changed: [], arrived: [], renewed: [1] });
    expect(tell(ALICE, 1, 3, { a: 2 })).toMatchObject({ changed: [1], arrived: [], renewed: [] });
    expect(tell(ALICE, 1, 4, null)).toMatchObject({ changed: [1], arrived: [], renewed: [] });
    expect(tell(ALICE, 1, 5, null)).toMatchObject({ changed: [], arrived: [], renewed: [1] });
  });

  test('DOC20 what is only renewed reaches the others', async () => {
    const memory = memoryDocument({ awarenessIntervalMs: 1, awarenessRenewalMs: 1 });
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    const clockAt = (client: typeof bob) => client.awareness.meta.get(alice.doc.clientID)?.clock;
    alice.awareness.setLocalState({ selection: { row: 1 } });
    await expect.poll(() => clockAt(bob)).toBe(clockAt(alice));
    alice.awareness.setLocalState({ selection: { row: 1 } });
    await expect.poll(() => clockAt(bob)).toBe(clockAt(alice));
    for (const client of [alice, bob]) client.close();
  });

  test('DOC20 many are told of who came, and of nobody who left before', async () => {
    const memory = memoryDocument({ awarenessIntervalMs: 1, awarenessRenewalMs: 60_000, awarenessGreetedMax: 2 });
    const [alice, bob, carol] = [memory.connect('alice'), memory.connect('bob'), memory.connect('carol')];
    await quiet();
    const seenBy = (client: typeof bob) => [alice, bob, carol].map(({ doc }) => client.awareness.getStates().get(doc.clientID)?.selection);
    alice.awareness.setLocalState({ selection: { row: 1 } });
    bob.awareness.setLocalState({ selection: { row: 2 } });
    await quiet();
    expect(seenBy(carol).slice(0, 2)).toEqual([undefined, undefined]);
    bob.close();
    // Whoever comes later is told of all who are there.
    const dora = memory.connect('dora');
    await quiet();
    expect(seenBy(dora)).toEqual([{ row: 1 }, undefined, undefined]);
    alice.awareness.setLocalState({ selection: { row: 3 } });
    await expect.poll(() => seenBy(carol)).toEqual([{ row: 3 }, undefined, undefined]);
    for (const client of [alice, carol, dora]) client.close();
  });

  test('DOC17 who is behind gets the latest of it later', async () => {
    const memory = memoryDocument({ awarenessIntervalMs: 1 });
    const [alice, bob, carol] = [memory.connect('alice'), memory.connect('bob'), memory.connect('carol')];
    await quiet();
    const stateAt = (client: typeof bob) => client.awareness.getStates().get(alice.doc.clientID);
    bob.queuedBytes = 100_000;
    for (let step = 0; step < 5; step += 1) {
      alice.awareness.setLocalState({ selection: { row: step } });
      await expect.poll(() => stateAt(carol)).toEqual({ selection: { row: step } });
    }
    expect(stateAt(bob)).toBeUndefined();
    const before = bob.received.length;
    bob.queuedBytes = 0;
    await expect.poll(() => stateAt(bob)).toEqual({ selection: { row: 4 } });
    expect(bob.received.length - before).toBe(1);
    for (const client of [alice, bob, carol]) client.close();
  });
});

describe('receipts', () => {
  test('DOC21 an edit is durable when it is committed, and others get it then', async () => {
    const memory = memoryDocument();
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    await quiet();
    const settledBefore = alice.durable;
    expect(settledBefore).toBe(alice.edits);
    const gate = Promise.withResolvers<void>();
    memory.beforeCommit = () => gate.promise;
    alice.doc.getMap('own').set('a', 1);
    alice.doc.getMap('own').set('b', 2);
    const late = memory.connect('carol');
    await quiet();
    expect(alice.durable).toBe(settledBefore);
    expect(bob.doc.getMap('own').toJSON()).toEqual({});
    expect(late.doc.getMap('own').toJSON()).toEqual({});
    gate.resolve();
    await quiet();
    expect(alice.durable).toBe(alice.edits);
    expect(bob.doc.getMap('own').toJSON()).toEqual({ a: 1, b: 2 });
    expect(late.doc.getMap('own').toJSON()).toEqual({ a: 1, b: 2 });
  });

  test('DOC21 edits that come while one is being committed share the next commit', async () => {
    const memory = memoryDocument();
    const alice = memory.connect('alice');
    await quiet();
    const gate = Promise.withResolvers<void>();
    memory.beforeCommit = () => gate.promise;
    for (let index = 0; index < 100; index += 1) {
      alice.doc.getMap('own').set('a', index);
      await quiet();
    }
    gate.resolve();
    await quiet();
    expect(memory.batches).toHaveLength(2);
    expect(memory.batches.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(alice.durable).toBe(alice.edits);
  });

  test('DOC21 what cannot be stored ends every channel, and nobody has it', async () => {
    const memory = memoryDocument();
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    await quiet();
    memory.beforeCommit = () => Promise.reject(new Error('the database is away'));
    alice.doc.getMap('own').set('a', 1);
    await quiet();
    expect([alice.closedBy, bob.closedBy]).toMatchObject([{ code: 'unavailable' }, { code: 'unavailable' }]);
    expect(bob.doc.getMap('own').toJSON()).toEqual({});
    expect(alice.durable).toBeLessThan(alice.edits);
  });
});
