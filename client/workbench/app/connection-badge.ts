import type { ConnectionState } from '../../index.ts';
import { html, live } from '../ui/dom.ts';
import { derive, type Readable } from '../ui/signal.ts';

type Standing = 'online' | 'connecting' | 'offline';

const WORDS: Readonly<Record<Standing, string>> = { online: 'Live', connecting: 'Connecting…', offline: 'Offline' };

/** A first attempt is part of connecting; what follows a failure is being offline, whether it tries or waits to. */
function standingOf(state: ConnectionState): Standing {
  if (state.kind === 'open') return 'online';
  return state.kind === 'connecting' && state.attempt === 0 ? 'connecting' : 'offline';
}

/** Whether the server is there, in one word. */
export function connectionBadge(life: AbortSignal, connection: Readable<ConnectionState>): HTMLElement {
  const standing = derive(life, connection, standingOf);
  const badge = live(life, standing, (now) => html('span', { class: `connection ${now}` }, html('span', { class: 'dot' }), WORDS[now]));
  badge.setAttribute('role', 'status');
  return badge;
}

/** Says above the page that the server is away. */
export function offlineBanner(life: AbortSignal, connection: Readable<ConnectionState>): HTMLElement {
  const standing = derive(life, connection, standingOf);
  const text = 'The server cannot be reached. What you see stays, and everything goes on by itself when it is back.';
  return live(life, standing, (now) => now === 'offline' && html('div', { class: 'banner', role: 'alert' }, text));
}
