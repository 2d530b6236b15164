import { type Child, html, uniqueId } from './dom.ts';
import { type IconName, icon } from './icons.ts';

export interface MenuEntry {
  readonly label: string;
  readonly icon?: IconName;
  readonly danger?: boolean;
  readonly run: () => void;
}

interface MenuOptions {
  readonly label: string;
  readonly face: Child;
  readonly class?: string;
  readonly entries: readonly MenuEntry[];
}

/** A button that opens a list of things to do; arrow keys move in it. */
export function menuButton({ label, face, class: className = 'button quiet square', entries }: MenuOptions): HTMLElement {
  const id = uniqueId('menu');
  const list = html('div', { id, class: 'menu', role: 'menu', popover: 'auto', 'aria-label': label });
  const button = html(
    'button',
    { type: 'button', class: className, 'aria-label': label, 'aria-haspopup': 'menu', 'aria-expanded': 'false', popovertarget: id },
    face,
  );
  for (const entry of entries) {
    const run = (): void => {
      list.hidePopover();
      entry.run();
    };
    const item = html(
      'button',
      { type: 'button', role: 'menuitem', tabindex: '-1', class: entry.danger === true ? 'menu-item danger' : 'menu-item', on: { click: run } },
      entry.icon && icon(entry.icon),
      entry.label,
    );
    list.append(item);
  }
  list.addEventListener('keydown', (event) => moveFocus(list, event));
  list.addEventListener('toggle', (event) => {
    const isOpen = (event as ToggleEvent).newState === 'open';
    button.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) return;
    anchor(list, button);
    list.querySelector<HTMLElement>('[role=menuitem]')?.focus();
  });
  return html('span', { class: 'menu-holder' }, button, list);
}

/** Puts what popped up below its button, or above it where there is no room. */
export function anchor(popup: HTMLElement, button: HTMLElement): void {
  const from = button.getBoundingClientRect();
  const { width, height } = popup.getBoundingClientRect();
  const below = from.bottom + 4;
  const top = below + height > innerHeight - 8 ? Math.max(8, from.top - height - 4) : below;
  const left = Math.max(8, Math.min(from.left, innerWidth - width - 8));
  popup.style.inset = `${top}px auto auto ${left}px`;
}

function moveFocus(list: HTMLElement, event: KeyboardEvent): void {
  const items = [...list.querySelectorAll<HTMLElement>('[role=menuitem]')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  const steps: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 };
  const next = steps[event.key];
  if (next === undefined) return;
  event.preventDefault();
  items[next % items.length]?.focus();
}
