import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import type { LiveDocument } from '../../client/documents/live-document.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { errorsOf, newRelay, openAs, text, until, write } from '../support/documents.ts';
import { MemoryKeeper } from '../support/memory-keeper.ts';

const TOO_LARGE = { code: 'payload_too_large', details: { rule: 'DOC15', path: [] } };

function relayOfSmallMessages() {
  const relay = newRelay();
  relay.messageBytesMax = 50_000;
  return relay;
}

const files = ({ doc }: LiveDocument): Y.Map<unknown> => doc.getMap('files');
const setLarge = (document: LiveDocument): unknown => files(document).set('large', new Uint8Array(60_000));

test('LIVE4 an edit that is larger than any request may be is given up with the copy, and what follows counts', async () => {
  const relay = relayOfSmallMessages();
  const document = await openAs(relay, 'alice');
  const errors = errorsOf(document);
  write(document, 'good ');
  await document.whenDurable();
  const { doc } = document;
  setLarge(document);
  expect(doc.isDestroyed).toBe(false);
  const large = document.whenDurable();
  write(document, 'lost with it ');
  await expect(large).rejects.toMatchObject(TOO_LARGE);
  await until(document, () => document.doc !== doc && document.state.kind === 'synced');
  write(document, 'better');
  await document.whenDurable();
  expect(errors).toMatchObject([TOO_LARGE]);
  expect([text(document), relay.doc.getText('note').toString()]).toEqual(['good better', 'good better']);
  expect(files(document).has('large')).toBe(false);
});

test('LIVE4 such an edit is given up too where it waits for others to be sent, which are', async () => {
  const relay = relayOfSmallMessages();
  const document = await openAs(relay, 'alice');
  // The first is sent at once, the others an interval later.
  write(document, 'at once ');
  files(document).set('before', new Uint8Array(defaultLimits.documentUpdateBytesMax));
  relay.messageBytesMax = 2 * defaultLimits.documentUpdateBytesMax;
  files(document).set('large', new Uint8Array(relay.messageBytesMax));
  await expect(document.whenDurable()).rejects.toMatchObject(TOO_LARGE);
  await until(document, () => document.state.kind === 'synced');
  await document.whenSynced();
  expect([...files(document).keys()]).toEqual(['before']);
  expect([...relay.doc.getMap('files').keys()]).toEqual(['before']);
});

test('LIVE4 such an edit of a time without a connection is given up at the next, from a kept copy too', async () => {
  const relay = relayOfSmallMessages();
  const keeper = new MemoryKeeper();
  const document = await openAs(relay, 'alice', { keeper });
  const errors = errorsOf(document);
  relay.refuseOpening = new CovistaError('unavailable', 'away');
  relay.drop();
  await until(document, () => document.state.kind === 'connecting');
  const { doc } = document;
  setLarge(document);
  const durable = document.whenDurable();
  relay.refuseOpening = undefined;
  await expect(durable).rejects.toMatchObject(TOO_LARGE);
  await until(document, () => document.doc !== doc && document.state.kind === 'synced');
  await document.whenKept();
  expect(errors).toMatchObject([TOO_LARGE]);
  expect(keeper.kept.get('dataset/7')).toMatchObject({ unsettled: false, updates: [] });
});

test.each([
  ['a message', defaultLimits.documentUpdateBytesMax],
  ['a request', 60_000],
])('LIVE11 presence that is more than %s may have is told of and not sent, and nothing else stops', async (_, bytes) => {
  const relay = relayOfSmallMessages();
  const [document, other] = await Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
  const errors = errorsOf(document);
  document.awareness.setLocalState({ note: 'x'.repeat(bytes) });
  await until(document, () => errors.length > 0);
  expect(errors).toMatchObject([{ code: 'payload_too_large', details: { rule: 'DOC9' } }]);
  document.awareness.setLocalState({ note: 'short' });
  write(document, 'still here');
  await until(other, () => other.awareness.getStates().get(document.awareness.clientID)?.note === 'short');
  await document.whenDurable();
});
