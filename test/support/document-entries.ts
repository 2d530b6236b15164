import { expect } from 'vitest';
import * as Y from 'yjs';
import type { Limits } from '../../protocol/limits.ts';
import { annotation, reply, savedView } from './entries.ts';
import { type MemoryClient, memoryDocument, quiet } from './live-document.ts';

/** A document that these people have open. */
export async function people(
  subjects: readonly string[],
  limits: Partial<Limits> = {},
): Promise<{ readonly memory: ReturnType<typeof memoryDocument>; readonly clients: MemoryClient[] }> {
  const memory = memoryDocument(limits);
  const clients = subjects.map((subject) => memory.connect(subject));
  await quiet();
  return { memory, clients };
}

export const stateOf = (doc: Y.Doc): unknown => ({ views: doc.getMap('views').toJSON(), annotations: doc.getMap('annotations').toJSON() });

/** Everybody has what the server has, and what its log comes to. */
export function expectOneState(memory: ReturnType<typeof memoryDocument>, clients: readonly MemoryClient[]): void {
  const state = stateOf(memory.document.doc);
  for (const client of clients) expect(stateOf(client.doc)).toEqual(state);
  expect(stateOf(memory.reloaded())).toEqual(state);
}

/** Alice has made a view and an annotation with a reply in it. */
export async function withEntries(limits: Partial<Limits> = {}): Promise<Awaited<ReturnType<typeof people>>> {
  const { memory, clients } = await people(['alice', 'bob', 'mallory'], limits);
  const [alice] = clients as [MemoryClient];
  alice.views().set('v1', savedView('alice'));
  alice.annotations().set('a1', annotation('alice', 'Odd price', { replies: Y.Array.from([reply('alice', 'r1')]) }));
  await quiet();
  return { memory, clients };
}

export const repliesOf = (client: MemoryClient): Y.Array<unknown> => client.annotations().get('a1')?.get('replies') as Y.Array<unknown>;
