import type * as Y from 'yjs';
import type { Client } from '../../index.ts';
import { person } from '../app/avatar.ts';
import { openDialog } from '../ui/dialog.ts';
import { html } from '../ui/dom.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import type { Room } from './room.ts';

export interface Attribution {
  readonly field: string;
  /** Whose edit it was, as the server bound it to the token; undefined: nobody's that it knows of. */
  readonly subject: string | undefined;
}

/** Who wrote each field of a shared entry as it is now. */
export async function attributionOf(client: Client, room: Room, id: string, signal: AbortSignal): Promise<Attribution[]> {
  const entry = room.document.doc.getMap('views').get(id) as Y.Map<unknown> | undefined;
  if (entry === undefined) return [];
  const subjects = new Map<number, string | null>();
  for await (const { clientId, subject } of client.items(client.document.attribution, { name: room.document.name }, { signal }))
    subjects.set(clientId, subject);
  const fields = [...entry._map].filter(([, item]) => !item.deleted);
  return fields.map(([field, item]) => ({ field, subject: subjects.get(item.id.client) ?? undefined }));
}

const WORDS: Readonly<Record<string, string>> = {
  name: 'Name',
  config: 'What is shown',
  plugin: 'How it is drawn',
  pluginConfig: 'Settings of the drawing',
  columnsConfig: 'Formatting',
  ref: 'Ref',
  description: 'Description',
};

/** Shows who changed what of a saved view last; the server attests it, whatever the entry itself says. */
export function showAttribution(client: Client, room: Room, view: { readonly id: string; readonly name: string }): void {
  void openDialog({
    title: `Who changed “${view.name}”`,
    content: (_close, life) => {
      const found = new Resource(life, (signal) => attributionOf(client, room, view.id, signal));
      return shown(
        life,
        found,
        (list) =>
          html(
            'dl',
            { class: 'facts' },
            list
              .filter(({ field }) => field in WORDS)
              .map(({ field, subject }) => [
                html('dt', {}, WORDS[field]),
                html('dd', {}, subject === undefined ? html('span', { class: 'muted' }, 'not known') : person(subject)),
              ]),
          ),
        () => skeleton(4),
      );
    },
  });
}
