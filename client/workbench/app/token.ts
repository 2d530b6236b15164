import { Signal } from '../ui/signal.ts';

const KEY = 'covista-token';

/**
 * The token of this window. It is kept for as long as the window is open and no longer; a token that came in the URL behind
 * the hash is taken out of it at once, so that it stays neither in the history nor in what is copied from there.
 */
export function openToken(): Signal<string | null> {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get('token');
  if (given !== null) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  }
  const token = new Signal(sessionStorage.getItem(KEY));
  token.watch(new AbortController().signal, (value) => {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  });
  return token;
}
