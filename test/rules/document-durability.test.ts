import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { errorsOf, hubOf, newRelay, openAs, text, until, write } from '../support/documents.ts';
import { MemoryKeeper } from '../support/memory-keeper.ts';

test('LIVE3 whenDurable waits for what was made before it, deletions included', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  write(document, 'abc');
  await document.whenDurable();
  relay.rule = () => 'hold';
  document.doc.getText('note').delete(0, 1);
  let isDurable = false;
  const durable = document.whenDurable().then(() => {
    isDurable = true;
  });
  await new Promise<void>((resolve) => relay.doc.on('update', () => resolve()));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDurable).toBe(false);
  relay.settle();
  await durable;
});

test('LIVE3 what was not acknowledged before a loss is after it', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  relay.rule = () => 'hold';
  write(document, 'abc');
  const durable = document.whenDurable();
  await new Promise<void>((resolve) => relay.doc.on('update', () => resolve()));
  relay.rule = () => undefined;
  relay.drop();
  await durable;
  expect(relay.doc.getText('note').toString()).toBe('abc');
});

test.each(['before', 'while'] as const)(
  'LIVE3 a refusal of which the word is lost is not taken for an acknowledgement: taken back %s its author comes back',
  async (when) => {
    const relay = newRelay();
    const document = await openAs(relay, 'alice');
    const errors = errorsOf(document);
    write(document, 'kept ');
    await document.whenDurable();
    relay.rule = () => 'hold';
    write(document, 'refused');
    const durable = document.whenDurable();
    await new Promise<void>((resolve) => relay.doc.once('update', () => resolve()));
    // As a server that takes an edit back, and cannot say so any more.
    const takeBack = (): void => relay.doc.getText('note').delete(5, 7);
    if (when === 'before') takeBack();
    else relay.beforeAnswering = takeBack;
    relay.rule = () => undefined;
    relay.drop();
    await expect(durable).rejects.toMatchObject({ code: 'conflict' });
    await document.whenSynced();
    expect(errors).toMatchObject([{ code: 'conflict' }]);
    write(document, 'again');
    await document.whenDurable();
    expect(relay.doc.getText('note').toString()).toBe('kept again');
  },
);

test('LIVE3 a refusal of which the word is lost is told from what the server had before the refused edit', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  const reached = (): Promise<void> => new Promise((resolve) => relay.doc.once('update', () => resolve()));
  relay.rule = () => 'hold';
  write(document, 'kept ');
  await reached();
  const away = new Promise<void>((resolve) => document.onState(({ kind }) => kind === 'connecting' && resolve()));
  relay.drop();
  await away;
  write(document, 'refused');
  const durable = document.whenDurable();
  await reached();
  relay.doc.getText('note').delete(5, 7);
  relay.rule = () => undefined;
  relay.drop();
  await expect(durable).rejects.toMatchObject({ code: 'conflict' });
  await until(document, () => text(document) === 'kept ');
});

test('LIVE3 what an earlier page edited and a refusal of which the word is lost has taken back is not taken for kept', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  const online = await openAs(relay, 'alice', { keeper });
  write(online, 'kept ');
  await online.whenDurable();
  online.close();
  relay.refuseOpening = new CovistaError('unavailable', 'down');
  const offline = await hubOf(relay, 'alice').open('dataset/7', { keeper });
  write(offline, 'refused');
  await offline.whenKept();
  offline.close();
  relay.refuseOpening = undefined;
  relay.rule = () => 'hold';
  const reached = new Promise<void>((resolve) => relay.doc.once('update', () => resolve()));
  const document = await hubOf(relay, 'alice').open('dataset/7', { keeper });
  const errors = errorsOf(document);
  const durable = document.whenDurable();
  await reached;
  relay.doc.getText('note').delete(5, 7);
  relay.rule = () => undefined;
  relay.drop();
  await expect(durable).rejects.toMatchObject({ code: 'conflict' });
  await until(document, () => text(document) === 'kept ');
  expect(errors).toMatchObject([{ code: 'conflict' }]);
});

test('LIVE3 of what goes in several messages, one of which the refusal is lost is not taken for kept', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  const away = new Promise<void>((resolve) => document.onState(({ kind }) => kind === 'connecting' && resolve()));
  relay.refuseOpening = new CovistaError('unavailable', 'down');
  relay.drop();
  await away;
  const half = Math.round(defaultLimits.documentUpdateBytesMax * 0.7);
  write(document, 'r'.repeat(half));
  write(document, 'k'.repeat(half));
  const durable = document.whenDurable();
  const parts: number[] = [];
  relay.rule = (update) => {
    parts.push(update.length);
    return 'hold';
  };
  relay.refuseOpening = undefined;
  await expect.poll(() => parts.length).toBe(2);
  relay.doc.getText('note').delete(0, half);
  relay.rule = () => undefined;
  relay.drop();
  await expect(durable).rejects.toMatchObject({ code: 'conflict' });
  await until(document, () => text(document) === 'k'.repeat(half));
});

test('LIVE3 what others remove once it is settled is no refusal', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  const errors = errorsOf(document);
  relay.rule = () => 'hold';
  write(document, 'kept');
  const durable = document.whenDurable();
  await new Promise<void>((resolve) => relay.doc.once('update', () => resolve()));
  relay.rule = () => undefined;
  relay.drop();
  await durable;
  const other = await openAs(relay, 'bob');
  other.doc.getText('note').delete(0, 4);
  await until(document, () => text(document) === '');
  expect(errors).toEqual([]);
});

test('LIVE3 closing fails who waits', async () => {
  const relay = newRelay();
  const document = await openAs(relay, 'alice');
  relay.rule = () => 'hold';
  write(document, 'abc');
  const durable = document.whenDurable();
  document.close();
  await expect(durable).rejects.toMatchObject({ code: 'cancelled' });
});
