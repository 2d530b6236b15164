import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { YjsClients } from '../../server/services/documents/yjs-clients.ts';
import { savedView } from '../support/entries.ts';
import { type MemoryDocument, memoryDocument, quiet } from '../support/live-document.ts';

const LIMITS = { documentNewClientsMax: 10, documentClientsMax: 10, documentToldClientsMax: 3, documentToldClientsKeptMax: 2 };

const added = (clientId: number) => [{ clientId, clock: 0, length: 1 }];

/** Clients of nobody but of those who tell of them. */
function clientsOf(told: Readonly<Record<string, readonly number[]>>): YjsClients {
  const clients = new YjsClients({ bindings: [], told: [], own: 99, limits: LIMITS });
  for (const [subject, clientIds] of Object.entries(told)) clients.told(clientIds, subject);
  return clients;
}

/** The presence of somebody who lost the connection so long ago that nothing of it is known any more. */
async function tellAndLeave(memory: MemoryDocument, subject: string, canWrite: boolean): Promise<Y.Doc> {
  const client = memory.connect(subject, { canWrite });
  client.awareness.setLocalState({ user: { name: subject } });
  await quiet();
  client.close();
  for (let sweep = 0; sweep < 2; sweep += 1) {
    await setTimeout(5);
    memory.document.presence.sweep();
  }
  const away = new Y.Doc();
  away.clientID = client.doc.clientID;
  return away;
}

function editUnder(clientId: number, author: string): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = clientId;
  doc.getMap('views').set('squatted', savedView(author));
  return Y.encodeStateAsUpdate(doc);
}

test('DOC16 the id of somebody who told presence stays theirs however long they are away, and so do their edits', async () => {
  const memory = memoryDocument({ awarenessKeepMs: 1 });
  const mallory = memory.connect('mallory');
  const away = await tellAndLeave(memory, 'alice', true);
  mallory.sendEdit(editUnder(away.clientID, 'mallory'));
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC16', code: 'forbidden', rebuild: true }]);
  away.getMap('views').set('offline', savedView('alice'));
  const alice = memory.connect('alice', { doc: away });
  await quiet();
  expect([alice.refusals, alice.closedBy]).toEqual([[], undefined]);
  expect([...memory.document.doc.getMap('views').keys()]).toEqual(['offline']);
});

test('DOC16 a mere reader keeps nobody from an id', async () => {
  const memory = memoryDocument({ awarenessKeepMs: 1 });
  const { clientID } = await tellAndLeave(memory, 'eve', false);
  const bob = memory.connect('bob');
  bob.sendEdit(editUnder(clientID, 'bob'));
  await quiet();
  expect(bob.refusals).toEqual([]);
});

test('DOC16 an id is kept for who told of it first, and for nobody once it is bound', () => {
  const clients = clientsOf({ alice: [1], mallory: [1, 2] });
  expect([clients.areTheirs(added(1), 'alice'), clients.areTheirs(added(1), 'mallory')]).toEqual([true, false]);
  clients.bind(added(2), 'mallory');
  clients.told([2], 'alice');
  expect([clients.areTheirs(added(2), 'mallory'), clients.areTheirs(added(2), 'alice')]).toEqual([true, false]);
  clients.told([99], 'alice');
  expect(clients.areTheirs(added(99), 'alice')).toBe(false);
});

test('DOC16 of more ids than are kept for one person the oldest of theirs goes, and none of others', () => {
  const clients = clientsOf({ alice: [1, 2], mallory: [11, 12, 13, 14, 15] });
  const isKeptFrom = (clientId: number): boolean => !clients.areTheirs(added(clientId), 'somebody else');
  expect([1, 2, 11, 12, 13, 14, 15].filter(isKeptFrom)).toEqual([1, 2, 13, 14, 15]);
  // Those that they edit under take no place.
  clients.bind(added(13), 'mallory');
  clients.told([16], 'mallory');
  expect([13, 14, 15, 16].filter(isKeptFrom)).toEqual([13, 14, 15, 16]);
});

test('DOC16 the newest ids of each person are stored if they have changed, and are kept for them when they are loaded', () => {
  const clients = clientsOf({ alice: [1, 2, 3], mallory: [11] });
  const stored = clients.toldToStore;
  expect(stored).toEqual([
    ['alice', [2, 3]],
    ['mallory', [11]],
  ]);
  const loaded = new YjsClients({ bindings: [], told: stored ?? [], own: 99, limits: LIMITS });
  expect(loaded.toldToStore).toBeUndefined();
  expect([1, 2, 3, 11].filter((clientId) => !loaded.areTheirs(added(clientId), 'somebody else'))).toEqual([2, 3, 11]);
  loaded.bind(added(11), 'mallory');
  expect(loaded.toldToStore).toEqual([['alice', [2, 3]]]);
});
