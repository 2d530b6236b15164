import type { AnnotationEntry } from '../../index.ts';
import type { Explorer } from '../explore/explorer.ts';
import { html, live, submitOnEnter, uniqueId } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { type Readable, Signal } from '../ui/signal.ts';
import { perform } from '../ui/toast.ts';
import type { Room } from './room.ts';
import { anchorOf, describeAnchor, type Selection } from './selection.ts';
import { thread } from './thread.ts';

export interface NotesContext {
  readonly room: Room;
  readonly explorer: Explorer;
  readonly life: AbortSignal;
  readonly selection: Readable<Selection | undefined>;
  /** The saved view that is applied. */
  readonly applied: Readable<string | undefined>;
  /** Goes back to where cells are chosen. */
  readonly leave: () => void;
}

/** The notes on cells, rows, columns and views, each with its thread. */
export function notesPanel(context: NotesContext): HTMLElement {
  const { room, life } = context;
  const showResolved = new Signal(false);
  const toggle = html('input', { type: 'checkbox' });
  toggle.addEventListener('change', () => showResolved.set(toggle.checked));
  const threads = threadList(context, showResolved);
  return html(
    'div',
    { class: 'panel-body' },
    room.canWrite ? composer(context) : html('p', { class: 'muted small' }, 'You may read notes here; writing them needs the permission to write.'),
    html('label', { class: 'check small muted' }, toggle, 'Show resolved'),
    threads,
    live(
      life,
      room.notes,
      (notes) =>
        notes.length === 0 &&
        html(
          'div',
          { class: 'empty' },
          icon('note'),
          html('p', {}, 'No notes yet. Choose a cell, with the pointer or the arrow keys, and say what you see.'),
        ),
    ),
  );
}

/** Threads stay as they are while others change, so that what somebody is writing in one is not lost. */
function threadList({ room, life }: NotesContext, showResolved: Signal<boolean>): HTMLElement {
  const list = html('ol', { class: 'threads' });
  const shown = new Map<string, { readonly element: HTMLElement; readonly entry: Signal<AnnotationEntry> }>();
  const nameOfView = (id: string): string | undefined => room.views.value.find((view) => view.id === id)?.name;
  const draw = (): void => {
    const wanted = room.notes.value.filter(({ resolved }) => resolved === null || showResolved.value).toReversed();
    const ids = new Set(wanted.map(({ id }) => id));
    for (const [id, { element }] of shown) {
      if (ids.has(id)) continue;
      element.remove();
      shown.delete(id);
    }
    for (const note of wanted) {
      const known = shown.get(note.id);
      if (known !== undefined) known.entry.set(note);
      else {
        const entry = new Signal(note);
        const element = thread({ room, life, entry, about: describeAnchor(note.anchor, nameOfView) });
        shown.set(note.id, { element, entry });
      }
    }
    const order = wanted.flatMap(({ id }) => shown.get(id)?.element ?? []);
    for (const [index, element] of order.entries()) if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  };
  room.notes.watch(life, draw);
  showResolved.watch(life, draw);
  return list;
}

function composer({ room, explorer, life, selection, applied, leave }: NotesContext): HTMLElement {
  const id = uniqueId('note');
  const about = html('select', { class: 'input small', 'aria-label': 'What the note is about' });
  const text = html('textarea', { id, class: 'input', rows: 2, placeholder: 'What do you see?', 'aria-label': 'New note', required: true });
  const anchors = (): readonly { readonly label: string; readonly anchor: AnnotationEntry['anchor'] }[] => {
    const cell = anchorOf(selection.value, explorer.table);
    const viewId = applied.value;
    const nameOfView = (wanted: string): string | undefined => room.views.value.find((view) => view.id === wanted)?.name;
    return [
      cell,
      ...(cell.rowKey !== undefined && cell.column !== undefined ? [{ rowKey: cell.rowKey }, { column: cell.column }] : []),
      ...(cell.row !== undefined && cell.column !== undefined ? [{ row: cell.row, versionId: cell.versionId }, { column: cell.column }] : []),
      ...(viewId === undefined || nameOfView(viewId) === undefined ? [] : [{ viewId }]),
      {},
      // Columns can be chosen without a pointer.
      ...(explorer.table?.schema.map(({ name }) => ({ column: name })) ?? []),
    ]
      .filter((anchor, index, all) => all.findIndex((other) => JSON.stringify(other) === JSON.stringify(anchor)) === index)
      .map((anchor) => ({ anchor, label: describeAnchor(anchor, nameOfView) }));
  };
  const offer = (): void => about.replaceChildren(...anchors().map(({ label }, index) => html('option', { value: index }, `On ${label}`)));
  selection.watch(life, offer);
  applied.watch(life, offer);
  explorer.state.watch(life, offer);
  const form = html('form', { class: 'composer' }, about, text, html('button', { type: 'submit', class: 'button primary small' }, 'Add note'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const body = text.value.trim();
    if (body === '') return;
    perform(() => {
      room.annotations.add(body, anchors()[Number(about.value)]?.anchor ?? {});
      text.value = '';
    });
  });
  submitOnEnter(text, form);
  text.addEventListener('keydown', ({ key }) => key === 'Escape' && leave());
  return form;
}
