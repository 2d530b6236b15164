import { html, replace, uniqueId } from '../ui/dom.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { anchor } from '../ui/menu.ts';
import type { Readable } from '../ui/signal.ts';
import type { DatasetContext } from './context.ts';

interface RefPickerOptions {
  readonly context: DatasetContext;
  readonly life: AbortSignal;
  /** What is chosen, such as `From`. */
  readonly label: string;
  readonly value: Readable<string>;
  readonly choose: (ref: string) => void;
}

interface Candidate {
  readonly ref: string;
  readonly picture: IconName;
  readonly note: string;
}

/** Most that are listed at once; what is searched for narrows them. */
const LISTED_MAX = 60;

/** A button that shows a ref and opens a list of branches and tags to choose from; any other ref can be typed. */
export function refPicker({ context, life, label, value, choose }: RefPickerOptions): HTMLElement {
  const id = uniqueId('refs');
  const button = html('button', { type: 'button', class: 'button ref-button', popovertarget: id, 'aria-haspopup': 'listbox' });
  const input = html('input', {
    class: 'input',
    placeholder: 'Branch, tag, 12, main~2 …',
    role: 'combobox',
    'aria-label': `${label}: search or type a ref`,
    'aria-controls': `${id}-list`,
    'aria-expanded': 'true',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const list = html('ul', { class: 'ref-list', id: `${id}-list`, role: 'listbox', 'aria-label': label });
  const popup = html('div', { id, class: 'menu ref-popup', popover: 'auto' }, input, list);
  const pick = (ref: string): void => {
    popup.hidePopover();
    button.focus();
    if (ref !== '') choose(ref);
  };
  const draw = (): void =>
    replace(
      list,
      candidates(context, input.value.trim()).map((candidate, index) => option(candidate, index === 0, pick)),
    );
  input.addEventListener('input', draw);
  input.addEventListener('keydown', (event) =>
    navigate(event, list, () => pick(list.querySelector<HTMLElement>('[aria-selected=true]')?.dataset.ref ?? input.value.trim())),
  );
  popup.addEventListener('toggle', (event) => {
    if ((event as ToggleEvent).newState !== 'open') return;
    input.value = '';
    draw();
    anchor(popup, button);
    input.focus();
  });
  value.watch(life, (ref) => {
    button.setAttribute('aria-label', `${label}: ${ref}`);
    replace(button, icon(pictureOf(context, ref)), html('span', { class: 'clipped' }, ref), icon('down'));
  });
  context.tags.watch(life, () => button.firstElementChild?.replaceWith(icon(pictureOf(context, value.value))));
  return html('span', { class: 'menu-holder' }, button, popup);
}

function pictureOf({ branches, tags }: DatasetContext, ref: string): IconName {
  if (tags.latest?.some(({ name }) => name === ref) === true) return 'tag';
  return branches.latest?.some(({ name }) => name === ref) === true || ref === 'main' ? 'branch' : 'version';
}

function candidates({ branches, tags }: DatasetContext, typed: string): Candidate[] {
  const all: Candidate[] = [
    ...(branches.latest ?? []).map(({ name, versionId }) => ({ ref: name, picture: 'branch' as const, note: `v${versionId}` })),
    ...(tags.latest ?? []).map(({ name, versionId }) => ({ ref: name, picture: 'tag' as const, note: `v${versionId}` })),
  ];
  const found = all.filter(({ ref }) => ref.toLowerCase().includes(typed.toLowerCase())).slice(0, LISTED_MAX);
  const other: Candidate[] = typed === '' || found.some(({ ref }) => ref === typed) ? [] : [{ ref: typed, picture: 'version', note: 'as typed' }];
  return [...found, ...other];
}

function option({ ref, picture, note }: Candidate, isSelected: boolean, pick: (ref: string) => void): HTMLElement {
  const attributes = { class: 'ref-option', role: 'option', 'data-ref': ref, 'aria-selected': String(isSelected), on: { click: () => pick(ref) } };
  return html('li', attributes, icon(picture), html('span', { class: 'clipped' }, ref), html('span', { class: 'muted small' }, note));
}

function navigate(event: KeyboardEvent, list: HTMLElement, accept: () => void): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === 'Enter') accept();
  else if (step !== undefined) {
    const options = [...list.children];
    const at = options.findIndex((candidate) => candidate.getAttribute('aria-selected') === 'true');
    const next = options[(at + step + options.length) % options.length];
    for (const candidate of options) candidate.setAttribute('aria-selected', String(candidate === next));
    next?.scrollIntoView({ block: 'nearest' });
  } else return;
  event.preventDefault();
}
