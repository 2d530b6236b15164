import { type Child, html } from './dom.ts';
import { icon } from './icons.ts';
import { messageOf } from './resource.ts';

const SHOWN_MS = 6_000;
/** More would cover the page; the oldest goes first. */
const TOASTS_MAX = 4;

let stack: HTMLElement | undefined;

function place(): HTMLElement {
  stack ??= document.body.appendChild(html('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' }));
  return stack;
}

/** Says shortly that something happened. */
export function toast(message: Child, kind: 'done' | 'failed' = 'done'): void {
  const box: HTMLElement = html(
    'div',
    { class: `toast ${kind}` },
    icon(kind === 'done' ? 'check' : 'warning'),
    html('div', { class: 'toast-text' }, message),
    html('button', { type: 'button', class: 'button quiet square', 'aria-label': 'Dismiss', on: { click: () => box.remove() } }, icon('close')),
  );
  place().append(box);
  while (place().children.length > TOASTS_MAX) place().firstElementChild?.remove();
  setTimeout(() => box.remove(), SHOWN_MS);
}

/** Takes back what was said, as when the session ends to which it belongs. */
export function clearToasts(): void {
  stack?.replaceChildren();
}

/** Runs something that a person asked for, and says so when it fails. */
export function attempt(work: Promise<unknown>): void {
  work.catch((error: unknown) => toast(messageOf(error), 'failed'));
}

/** Does something that a person asked for at once, and says so when it cannot be done. */
export function perform(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    toast(messageOf(error), 'failed');
  }
}
