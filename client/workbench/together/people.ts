import type { PresentClient } from '../../index.ts';
import { avatar } from '../app/avatar.ts';
import type { Drawing } from '../explore/explorer.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import type { Readable } from '../ui/signal.ts';
import type { Room } from './room.ts';

/** More are counted only. */
const SHOWN_MAX = 5;

export const nameOf = ({ user }: PresentClient): string => user?.subject ?? user?.name ?? 'somebody';

/** Who else is here, each by a circle that says what they look at and lets one follow them. */
export function peopleStrip(room: Room, life: AbortSignal, follow: (client: PresentClient) => void): HTMLElement {
  return live(life, room.people, (people) => {
    const others = people.filter(({ isMe }) => !isMe);
    if (others.length === 0) return null;
    const more = others.length - SHOWN_MAX;
    return html(
      'div',
      { class: 'people', role: 'group', 'aria-label': `${others.length} other${others.length === 1 ? '' : 's'} here` },
      others.slice(0, SHOWN_MAX).map((client) => personButton(client, follow)),
      more > 0 && html('span', { class: 'muted small' }, `+${more}`),
    );
  });
}

function personButton(client: PresentClient, follow: (client: PresentClient) => void): HTMLElement {
  const name = nameOf(client);
  const circle = avatar(name);
  circle.style.setProperty('--ring', client.user?.color ?? 'var(--accent)');
  circle.title = `${name} ${activityOf(client)}`;
  return menuButton({
    label: `${name} ${activityOf(client)}`,
    class: 'avatar-button',
    face: circle,
    entries: [{ label: `Follow ${name}`, icon: 'eye', run: () => follow(client) }],
  });
}

function activityOf({ ref, viewConfig, selection, editing }: PresentClient): string {
  if (editing !== undefined && editing !== null) return 'is writing a note';
  if (ref === undefined || ref === null) return 'is here';
  const plugin = (viewConfig as Partial<Drawing> | null | undefined)?.plugin;
  const at = selection?.column === undefined ? '' : `, at ${selection.column}`;
  return `looks at ${ref}${plugin === undefined ? '' : ` as ${plugin}`}${at}`;
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
