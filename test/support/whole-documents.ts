import * as Y from 'yjs';
import type { Client } from '../../client/index.ts';
import { parseDocumentName } from '../../protocol/documents/name.ts';
import { DOCUMENT_SHAPES } from '../../protocol/documents/shape.ts';
import { query } from './inspect.ts';
import type { ProcessServer } from './process-server.ts';
import { synced, yjsClient } from './yjs-clients.ts';

/** A document by its name, and who reads it. */
export interface Reading {
  readonly name: string;
  readonly subject: string;
}

/** What a document is to whoever has never seen it: two are equal when every item, every deletion and every author is the same. */
export interface WholeDocument extends Reading {
  /** What each root type holds, as plain JSON. */
  readonly roots: Readonly<Record<string, unknown>>;
  /** Hexadecimal, as Yjs encodes them: up to where each client is known, what of it was deleted, and every item of it. */
  readonly stateVector: string;
  readonly deletions: string;
  readonly state: string;
  /** Those with a label: the others come at times of the server's own. */
  readonly snapshots: readonly unknown[];
  readonly authors: readonly unknown[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Read as a published client of y-websocket reads it, and its authors and snapshots by the SDK. */
export async function readWhole(server: ProcessServer, { name, subject }: Reading): Promise<WholeDocument> {
  const reader = await yjsClient(server, subject, name);
  await synced(reader);
  const { doc, provider } = reader;
  const kind = parseDocumentName(name)?.kind ?? 'dataset';
  const roots = Object.fromEntries(Object.keys(DOCUMENT_SHAPES[kind]).map((map) => [map, doc.getMap(map).toJSON()]));
  const client = await server.client(subject);
  const [authors, snapshots] = [
    await all(client.items(client.document.attribution, { name })),
    await all(client.items(client.document.snapshots, { name })),
  ];
  const whole = {
    ...{ name, subject, roots, authors, snapshots: snapshots.filter(({ label }) => label !== null) },
    stateVector: hex(Y.encodeStateVector(doc)),
    deletions: hex(Y.encodeSnapshot(Y.snapshot(doc))),
    state: hex(Y.encodeStateAsUpdate(doc)),
  };
  provider.destroy();
  client.close();
  return whole;
}

/** What the database says of each document, beside who has it open. */
export const documentRows = (databaseUrl: string): Promise<{ readonly name: string }[]> =>
  query(databaseUrl, 'SELECT document_id, name, dataset_id, scope, created_at, updated_at, last_sequence FROM documents ORDER BY name');

/**
 * Documents of a dataset, of those who see a part of it, and of two people, with something of every kind: entries made, changed and removed, by several
 * hands, taken back, published, and kept as snapshots. Everything is durable when it resolves.
 */
export async function writeDocuments(
  datasetId: number,
  { alice, bob, carol }: { readonly alice: Client; readonly bob: Client; readonly carol: Client },
): Promise<{ readonly readings: readonly Reading[]; readonly viewId: string }> {
  const name = `dataset/${datasetId}`;
  const document = await alice.document.open(name);
  await document.whenSynced();
  const views = document.savedViews();
  const { id: viewId } = views.create({ name: 'Regions', config: { columns: ['region'] } });
  const { id: gone } = views.create({ name: 'Not kept', config: { columns: ['id'] } });
  const note = document.annotations.add('Odd', { rowKey: { id: 1 }, column: 'region' });
  await document.whenDurable();
  views.update(viewId, { description: 'Where they are' });
  views.remove(gone);
  document.annotations.edit(note.id, 'Odd indeed, 七');
  await document.whenDurable();
  views.rename(viewId, 'Taken back');
  document.undo();
  await document.whenDurable();
  await alice.document.saveSnapshot({ name, label: 'Before the others' });

  const others = await carol.document.open(name);
  await others.whenSynced();
  others.annotations.reply(note.id, 'It is');
  const { id: second } = others.annotations.add('Of the whole');
  others.annotations.reply(second, 'Agreed');
  await others.whenDurable();

  // Who sees a part of the dataset has a document of their own, into which others publish.
  const part = await bob.document.open(name);
  await part.whenSynced();
  const { items: scopes } = await alice.document.scopes({ datasetId });
  const scopeId = scopes[0]?.scopeId ?? '';
  await alice.document.publish({ datasetId, scopeId, map: 'views', id: viewId });
  await alice.document.publish({ datasetId, scopeId, map: 'annotations', id: second });
  for (const [subject, person] of [['alice', alice] as const, ['bob', bob] as const]) await writeOwn(datasetId, subject, person);
  const readings = [
    { name, subject: 'alice' },
    { name, subject: 'bob' },
    ...['alice', 'bob'].map((subject) => ({ name: `user/${subject}`, subject })),
  ];
  return { readings, viewId };
}

async function writeOwn(datasetId: number, subject: string, person: Client): Promise<void> {
  const own = await person.document.open(`user/${subject}`);
  await own.whenSynced();
  own.savedViews(datasetId).create({ name: `Of ${subject}`, config: { columns: ['id'], sort: [['id', 'desc']] } });
  own.preferences.set('theme', 'dark');
  own.preferences.set('widths', { id: 80, region: [1, 2.5, null] });
  await own.whenDurable();
  own.preferences.set('theme', 'light');
  own.preferences.remove('widths');
  await own.whenDurable();
}
