import type { PresentClient } from '../../index.ts';
import { avatar } from '../app/avatar.ts';
import type { Drawing } from '../explore/explorer.ts';
import { kindOf } from '../explore/kind-menu.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import type { Readable } from '../ui/signal.ts';
import type { Room } from './room.ts';

/** More are counted only. */
const SHOWN_MAX = 5;

export const nameOf = ({ user }: PresentClient): string => user?.subject ?? user?.name ?? 'somebody';

/**
 * Who else is here, each by a circle that says what they look at and lets one follow them. A circle stays as long as its
 * person does, so that its menu is not taken away while they move.
 */
export function peopleStrip(room: Room, life: AbortSignal, follow: (client: PresentClient) => void): HTMLElement {
  const circles = new Map<number, HTMLElement>();
  const more = html('span', { class: 'muted small' });
  const strip = html('div', { class: 'people', role: 'group', 'aria-label': 'Others who are here' }, more);
  room.people.watch(life, (people) => {
    const others = people.filter(({ isMe }) => !isMe);
    const listed = new Map(others.slice(0, SHOWN_MAX).map((client) => [client.clientId, client]));
    for (const [clientId, circle] of circles) {
      if (listed.has(clientId)) continue;
      circle.remove();
      circles.delete(clientId);
    }
    for (const [clientId, client] of listed) {
      const circle = circles.get(clientId) ?? personButton(client, follow);
      if (!circles.has(clientId)) more.before(circle);
      circles.set(clientId, circle);
      describe(circle, client);
    }
    more.textContent = others.length > SHOWN_MAX ? `+${others.length - SHOWN_MAX}` : '';
    strip.hidden = others.length === 0;
  });
  return strip;
}

function personButton(client: PresentClient, follow: (client: PresentClient) => void): HTMLElement {
  const name = nameOf(client);
  const circle = avatar(name);
  circle.style.setProperty('--ring', client.user?.color ?? 'var(--accent)');
  return menuButton({
    label: name,
    class: 'avatar-button',
    face: circle,
    entries: [{ label: `Follow ${name}`, icon: 'eye', run: () => follow(client) }],
  });
}

function describe(circle: HTMLElement, client: PresentClient): void {
  const words = `${nameOf(client)} ${activityOf(client)}`;
  circle.querySelector('button')?.setAttribute('aria-label', words);
  circle.querySelector('.avatar')?.setAttribute('title', words);
}

function activityOf({ ref, viewConfig, selection, editing }: PresentClient): string {
  if (editing !== undefined && editing !== null) return 'is writing a note';
  if (ref === undefined || ref === null) return 'is here';
  const plugin = (viewConfig as Partial<Drawing> | null | undefined)?.plugin;
  const at = selection?.column === undefined ? '' : `, at ${selection.column}`;
  return `looks at ${ref}${plugin === undefined ? '' : ` as ${kindOf(plugin)}`}${at}`;
}

/** Says whom one follows, and lets one stop. */
export function followBar(life: AbortSignal, followed: Readable<PresentClient | undefined>, stop: () => void): HTMLElement {
  return live(life, followed, (client): Child => {
    if (client === undefined) return null;
    return html(
      'div',
      { class: 'follow-bar', role: 'status', style: `--ring: ${client.user?.color ?? 'var(--accent)'}` },
      icon('eye'),
      html('span', {}, `Following ${nameOf(client)}`),
      html('button', { type: 'button', class: 'button small', on: { click: stop } }, 'Stop'),
    );
  });
}
