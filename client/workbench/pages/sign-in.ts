import type { ConnectionState, CovistaError } from '../../index.ts';
import { logo } from '../app/shell.ts';
import { textField, textOf } from '../ui/dialog.ts';
import { html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { messageOf } from '../ui/resource.ts';
import type { Readable } from '../ui/signal.ts';

/** Why somebody has to sign in again. */
export interface Refusal {
  readonly reason: CovistaError;
  /** Whether they had been let in with the token. */
  readonly wasIn: boolean;
}

interface SignInOptions {
  readonly refusal: Refusal | undefined;
  readonly signIn: (token: string) => void;
}

/** Asks for a token. */
export function signInPage({ refusal, signIn }: SignInOptions): HTMLElement {
  const form = html(
    'form',
    { class: 'form' },
    textField({
      label: 'Token',
      name: 'token',
      required: true,
      lines: 4,
      placeholder: 'eyJhbGciOi…',
      hint: 'It is kept in this window until you close it or sign out.',
    }),
    html('button', { type: 'submit', class: 'button primary large' }, 'Sign in'),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const token = textOf(new FormData(form), 'token');
    if (token !== '') signIn(token);
  });
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit();
  });
  // There is nothing else to do on this page.
  requestAnimationFrame(() => form.querySelector('textarea')?.focus());
  document.title = 'Sign in · Covista';
  return html(
    'main',
    { class: 'door' },
    html(
      'div',
      { class: 'door-card' },
      html('div', { class: 'door-brand' }, logo(), html('h1', {}, 'Covista')),
      html('p', { class: 'door-lead' }, 'Versioned tables, explored together.'),
      refusal && html('div', { class: 'notice warning', role: 'alert' }, icon('warning'), html('p', {}, wordsOf(refusal))),
      form,
      html(
        'details',
        { class: 'door-help' },
        html('summary', {}, 'Where do I get a token?'),
        html(
          'p',
          {},
          'From whoever runs this server. They mint one with ',
          html('code', {}, 'covista token --sub you'),
          '; ',
          html('code', {}, 'npm run demo'),
          ' prints links that sign in at once.',
        ),
      ),
    ),
  );
}

const wordsOf = ({ reason, wasIn }: Refusal): string =>
  `${wasIn ? 'You were signed out' : 'This token does not let you in'}: ${messageOf(reason)}.`.replace('..', '.');

interface ConnectingOptions {
  readonly life: AbortSignal;
  readonly connection: Readable<ConnectionState>;
  readonly giveUp: () => void;
}

export function connectingPage({ life, connection, giveUp }: ConnectingOptions): HTMLElement {
  const state = live(life, connection, ({ kind }) =>
    html('p', { role: 'status' }, kind === 'waiting' ? 'The server cannot be reached. Trying again…' : 'Connecting…'),
  );
  return html(
    'main',
    { class: 'door' },
    html(
      'div',
      { class: 'door-card calm' },
      html('div', { class: 'door-brand' }, logo(), html('h1', {}, 'Covista')),
      html('div', { class: 'spinner', 'aria-hidden': 'true' }),
      state,
      html('button', { type: 'button', class: 'button quiet', on: { click: giveUp } }, 'Use another token'),
    ),
  );
}
