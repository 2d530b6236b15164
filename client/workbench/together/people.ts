import type { PresentClient } from '../../index.ts';
import { avatar } from '../app/avatar.ts';
import type { Drawing } from '../explore/drawing.ts';
import { kindOf } from '../explore/kind-menu.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import type { Readable } from '../ui/signal.ts';
import type { Room } from './room.ts';

/** More are counted only. */
const SHOWN_MAX = 5;

export const nameOf = ({ user }: PresentClient): string => user?.subject ?? user?.name ?? 'somebody';

/** Everybody but oneself, whose other windows are nobody else either. */
export const othersOf = ({ people, subject }: Room): PresentClient[] => people.value.filter(({ isMe, user }) => !isMe && user?.subject !== subject);

interface Circle {
  readonly element: HTMLElement;
  /** The window of the person in which something happened last. */
  client: PresentClient;
}

/**
 * Who else is here, each by a circle that says what they look at and lets one follow them; who has several windows is one
 * person all the same. A circle stays as long as its person does, so that its menu is not taken away while they move.
 */
export function peopleStrip(room: Room, life: AbortSignal, follow: (client: PresentClient) => void): HTMLElement {
  const circles = new Map<string, Circle>();
  const latestOf = latestWindows();
  const more = html('span', { class: 'muted small' });
  const strip = html('div', { class: 'people', role: 'group', 'aria-label': 'Others who are here' }, more);
  room.people.watch(life, () => {
    const others = latestOf(othersOf(room));
    const listed = new Map(others.slice(0, SHOWN_MAX).map((client) => [nameOf(client), client]));
    for (const [name, { element }] of circles) {
      if (listed.has(name)) continue;
      element.remove();
      circles.delete(name);
    }
    for (const [name, client] of listed) {
      const circle = circles.get(name) ?? circleOf(client, follow);
      if (!circles.has(name)) more.before(circle.element);
      circles.set(name, circle);
      circle.client = client;
      describe(circle.element, client);
    }
    more.textContent = others.length > SHOWN_MAX ? `+${others.length - SHOWN_MAX}` : '';
    strip.hidden = others.length === 0;
  });
  return strip;
}

/** Of each person the window in which something happened last, in the order in which the persons came. */
function latestWindows(): (clients: readonly PresentClient[]) => PresentClient[] {
  let changes = 0;
  let known = new Map<number, { readonly doing: string; readonly change: number }>();
  return (clients) => {
    changes += 1;
    const now: typeof known = new Map();
    const latest = new Map<string, PresentClient>();
    for (const client of clients) {
      const doing = JSON.stringify([activityOf(client), client.selection ?? null, client.viewId ?? null]);
      const before = known.get(client.clientId);
      now.set(client.clientId, before?.doing === doing ? before : { doing, change: changes });
      const other = latest.get(nameOf(client));
      const isLater = other === undefined || changeOf(now, client) > changeOf(now, other);
      if (isLater) latest.set(nameOf(client), client);
    }
    known = now;
    return [...latest.values()];
  };
}

const changeOf = (known: ReadonlyMap<number, { readonly change: number }>, { clientId }: PresentClient): number => known.get(clientId)?.change ?? 0;

function circleOf(client: PresentClient, follow: (client: PresentClient) => void): Circle {
  const name = nameOf(client);
  const face = avatar(name);
  face.style.setProperty('--ring', client.user?.color ?? 'var(--accent)');
  const run = (): void => follow(circle.client);
  const element = menuButton({ label: name, class: 'avatar-button', face, entries: [{ label: `Follow ${name}`, icon: 'eye', run }] });
  const circle: Circle = { element, client };
  return circle;
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
