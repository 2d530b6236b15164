import type { AnnotationEntry } from '../../index.ts';
import { avatar } from '../app/avatar.ts';
import { openForm, textField, textOf } from '../ui/dialog.ts';
import { type Child, html, live, submitOnEnter } from '../ui/dom.ts';
import { ago, dateTime } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { type MenuEntry, menuButton } from '../ui/menu.ts';
import type { Readable } from '../ui/signal.ts';
import { perform } from '../ui/toast.ts';
import type { Room } from './room.ts';

interface ThreadOptions {
  readonly room: Room;
  readonly life: AbortSignal;
  readonly entry: Readable<AnnotationEntry>;
  /** What the note is about, in words. */
  readonly about: string;
}

/** One note with its replies. */
export function thread({ room, life, entry, about }: ThreadOptions): HTMLElement {
  const { id, anchor } = entry.value;
  const content = live(life, entry, (note) => [
    remark({ author: note.author, at: note.createdAt, body: note.body, edited: note.updatedAt !== undefined, aside: actions(room, note) }),
    note.replies.map((reply) => remark({ author: reply.author, at: reply.at, body: reply.body, edited: reply.editedAt !== undefined, aside: null })),
    note.resolved !== null &&
      html('p', { class: 'muted small thread-resolved' }, icon('check'), `Resolved by ${note.resolved.by} ${ago(note.resolved.at)}`),
  ]);
  return html(
    'li',
    { class: 'thread', 'data-note': id, 'data-anchor': JSON.stringify(anchor) },
    html('div', { class: 'thread-about' }, icon('note'), html('span', { class: 'clipped' }, about)),
    content,
    room.canWrite && replyForm(room, id),
  );
}

interface Remark {
  readonly author: string;
  readonly at: string;
  readonly body: string;
  readonly edited: boolean;
  readonly aside: Child;
}

function remark({ author, at, body, edited, aside }: Remark): HTMLElement {
  return html(
    'div',
    { class: 'remark' },
    avatar(author, 'small'),
    html(
      'div',
      { class: 'remark-text' },
      html(
        'div',
        { class: 'remark-head' },
        html('span', { class: 'strong' }, author),
        html('time', { class: 'muted small', datetime: at, title: dateTime(at) }, ago(at)),
        edited && html('span', { class: 'muted small' }, '· edited'),
        aside,
      ),
      html('p', {}, body),
    ),
  );
}

function actions(room: Room, { id, author, body, resolved }: AnnotationEntry): Child {
  if (!room.canWrite) return null;
  const edit = (): void =>
    void openForm({
      title: 'Edit note',
      submit: 'Save',
      fields: [textField({ label: 'Note', name: 'body', value: body, required: true, lines: 4 })],
      send: async (values) => void room.annotations.edit(id, textOf(values, 'body')),
    });
  const own: MenuEntry[] = [
    { label: 'Edit…', icon: 'edit', run: edit },
    { label: 'Delete', icon: 'trash', danger: true, run: () => perform(() => room.annotations.remove(id)) },
  ];
  const settle: MenuEntry =
    resolved === null
      ? { label: 'Resolve', icon: 'check', run: () => perform(() => room.annotations.resolve(id)) }
      : { label: 'Reopen', icon: 'undo', run: () => perform(() => room.annotations.reopen(id)) };
  return menuButton({
    label: `Actions for the note of ${author}`,
    face: icon('more'),
    class: 'button quiet square tiny',
    entries: author === room.subject ? [settle, ...own] : [settle],
  });
}

function replyForm(room: Room, id: string): HTMLElement {
  const text = html('textarea', { class: 'input', rows: 1, placeholder: 'Reply…', 'aria-label': 'Reply' });
  const form = html(
    'form',
    { class: 'reply' },
    text,
    html('button', { type: 'submit', class: 'button quiet square', 'aria-label': 'Send the reply' }, icon('right')),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const body = text.value.trim();
    if (body === '') return;
    perform(() => {
      room.annotations.reply(id, body);
      text.value = '';
    });
  });
  submitOnEnter(text, form);
  return form;
}
