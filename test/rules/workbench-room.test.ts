import { expect, test } from 'vitest';
import { Room } from '../../client/workbench/together/room.ts';
import { newRelay, openAs } from '../support/documents.ts';

/** A room whose shared document and whose document of the person are on servers of their own. */
async function entered() {
  const [shared, personal] = [newRelay(), newRelay()];
  const [document, own] = await Promise.all([openAs(shared, 'alice'), openAs(personal, 'alice', { name: 'user/alice' })]);
  const life = new AbortController();
  const room = new Room({ document, own, datasetId: 7, life: life.signal, closed: () => undefined });
  const view = room.keeping({ scope: 'private' }).create({ name: 'Mine', config: {} });
  await own.whenDurable();
  return { shared, personal, document, room, view, leave: () => life.abort() };
}

test('WB7 a view of one’s own that is updated waits for the document that it is in, and for no other', async () => {
  const { shared, document, room, view } = await entered();
  shared.rule = () => 'hold';
  document.annotations.add('not heard of');
  await room.update(view, { plugin: 'Y Bar' });
  expect(room.views.value).toMatchObject([{ id: view.id, plugin: 'Y Bar' }]);
});

test('WB7 who updates a view of their own learns that the change is lost', async () => {
  const { personal, room, view, leave } = await entered();
  personal.rule = () => 'hold';
  const update = room.update(view, { plugin: 'Y Bar' });
  leave();
  await expect(update).rejects.toMatchObject({ code: 'cancelled' });
});
