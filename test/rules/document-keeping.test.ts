import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import { connect } from '../../client/index.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { errorsOf, hubOf, newRelay, openAs, until } from '../support/documents.ts';
import { MemoryKeeper } from '../support/memory-keeper.ts';

const OFFLINE = new CovistaError('unavailable', 'no connection');
const NAME = 'dataset/7';

test('LIVE15 a kept copy opens without a connection, and what is edited over several starts reaches the server once', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  const first = await openAs(relay, 'alice', { keeper });
  first.savedViews().create({ name: 'online', config: {} });
  await first.whenDurable();
  first.close();
  relay.refuseOpening = OFFLINE;
  for (const name of ['offline 1', 'offline 2']) {
    const document = await hubOf(relay, 'alice').open(NAME, { keeper });
    document.savedViews().create({ name, config: {} });
    await document.whenKept();
    document.close();
  }
  relay.refuseOpening = undefined;
  const [last, other] = await Promise.all([openAs(relay, 'alice', { keeper }), openAs(relay, 'bob')]);
  await last.whenDurable();
  await until(other, () => other.savedViews().list().length === 3);
  expect(
    other
      .savedViews()
      .list()
      .map(({ name }) => name),
  ).toEqual(['offline 1', 'offline 2', 'online']);
  expect(other.doc.toJSON()).toEqual(last.doc.toJSON());
  await until(last, () => keeper.kept.get(NAME)?.unsettled === false);
});

class HeldKeeper extends MemoryKeeper {
  writable: Promise<void> = Promise.resolve();

  override async append(name: string, update: Uint8Array, unsettled: boolean): Promise<void> {
    await this.writable;
    await super.append(name, update, unsettled);
  }
}

test('LIVE15 a document that is opened again while its copy is still being written has what was edited before', async () => {
  const relay = newRelay();
  const keeper = new HeldKeeper();
  await openAs(relay, 'alice', { keeper }).then((document) => document.close());
  relay.refuseOpening = OFFLINE;
  const hub = hubOf(relay, 'alice');
  const before = await hub.open(NAME, { keeper });
  const { promise, resolve } = Promise.withResolvers<void>();
  keeper.writable = promise;
  before.annotations.add('one');
  await setImmediate();
  before.annotations.add('two');
  before.close();
  const opening = hub.open(NAME, { keeper });
  await setImmediate();
  resolve();
  const document = await opening;
  expect(document.annotations.list().map(({ body }) => body)).toEqual(['one', 'two']);
  await before.whenKept();
  expect(keeper.kept.get(NAME)?.unsettled).toBe(true);
  relay.refuseOpening = undefined;
  await document.whenDurable();
  expect(relay.doc.getMap('annotations').size).toBe(2);
  await document.whenKept();
  expect(keeper.kept.get(NAME)?.unsettled).toBe(false);
});

test('LIVE16 a copy that cannot be kept is told of, and the document goes on', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  const document = await openAs(relay, 'alice', { keeper });
  const errors = errorsOf(document);
  keeper.fault = new CovistaError('storage_full', 'there is no room');
  document.savedViews().create({ name: 'one', config: {} });
  document.savedViews().create({ name: 'two', config: {} });
  await document.whenDurable();
  await until(document, () => errors.length === 1);
  expect(errors).toMatchObject([{ code: 'storage_full' }]);
  await expect(document.whenKept()).rejects.toMatchObject({ code: 'storage_full' });
});

test('LIVE17 the copy of a document that was deleted meanwhile is erased, and the deletion reported', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  await openAs(relay, 'alice', { keeper }).then((document) => document.close());
  relay.refuseOpening = OFFLINE;
  const document = await hubOf(relay, 'alice').open(NAME, { keeper });
  document.savedViews().create({ name: 'too late', config: {} });
  relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
  await until(document, () => document.state.kind === 'closed');
  await until(document, () => keeper.kept.size === 0);
  expect(document.state).toMatchObject({ reason: { code: 'not_found' } });
});

test('LIVE17 a copy that could not be kept on is erased with its document all the same', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  const document = await openAs(relay, 'alice', { keeper });
  document.savedViews().create({ name: 'kept', config: {} });
  await document.whenDurable();
  await document.whenKept();
  keeper.fault = new CovistaError('storage_full', 'there is no room');
  document.savedViews().create({ name: 'too much', config: {} });
  await expect(document.whenKept()).rejects.toMatchObject({ code: 'storage_full' });
  expect(keeper.kept.get(NAME)?.updates.length).toBeGreaterThan(0);
  relay.refuseOpening = new CovistaError('not_found', 'there is no dataset 7');
  relay.drop();
  await until(document, () => document.state.kind === 'closed');
  await expect.poll(() => keeper.kept.size).toBe(0);
});

test('LIVE15 what ends a document otherwise leaves its copy, such as closing the client while it has no connection', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  await openAs(relay, 'alice', { keeper }).then((document) => document.close());
  for (const code of ['cancelled', 'unsupported_version'] as const) {
    relay.refuseOpening = OFFLINE;
    const document = await hubOf(relay, 'alice').open(NAME, { keeper });
    document.savedViews().create({ name: code, config: {} });
    await document.whenKept();
    relay.refuseOpening = new CovistaError(code, 'no further');
    await until(document, () => document.state.kind === 'closed');
    await document.whenKept();
  }
  relay.refuseOpening = undefined;
  const last = await openAs(relay, 'alice', { keeper });
  await last.whenDurable();
  expect([...relay.doc.getMap<Y.Map<unknown>>('views').values()].map((view) => view.get('name')).sort()).toEqual([
    'cancelled',
    'unsupported_version',
  ]);
});

test('LIVE15 closing a client that never had a connection leaves what is kept', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  await openAs(relay, 'alice', { keeper }).then((document) => document.close());
  const client = connect({ url: 'http://127.0.0.1:9', token: '' });
  const document = await client.document.open(NAME, { keeper });
  document.savedViews().create({ name: 'offline', config: {} });
  await document.whenKept();
  client.close();
  await until(document, () => document.state.kind === 'closed');
  await document.whenKept();
  expect(keeper.kept.get(NAME)?.unsettled).toBe(true);
});

test('LIVE17 a revoked token erases every copy', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  const hub = hubOf(relay, 'alice');
  await hub.open(NAME, { keeper });
  await hub.open('user/alice', { keeper });
  hub.close(new CovistaError('session_revoked', 'revoked'));
  expect(keeper.kept.size).toBe(0);
  await expect(hub.open(NAME, { keeper })).rejects.toMatchObject({ code: 'session_revoked' });
});

test('LIVE17 the copy of one person is not sent as another’s', async () => {
  const relay = newRelay();
  const keeper = new MemoryKeeper();
  await openAs(relay, 'alice', { keeper }).then((document) => document.close());
  relay.refuseOpening = OFFLINE;
  const offline = await hubOf(relay, 'alice').open(NAME, { keeper });
  offline.savedViews().create({ name: 'of alice', config: {} });
  await offline.whenKept();
  offline.close();
  relay.refuseOpening = undefined;
  const document = await openAs(relay, 'bob', { keeper });
  await document.whenDurable();
  expect(document.savedViews().list()).toEqual([]);
  expect(relay.doc.getMap('views').size).toBe(0);
});
