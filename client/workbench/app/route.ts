import { type Readable, Signal } from '../ui/signal.ts';

/** Where in the page somebody is, as the part of the URL behind the hash says. */
export interface Route {
  readonly path: readonly string[];
  readonly query: ReadonlyMap<string, string>;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return {
    path: path
      .split('/')
      .filter((part) => part !== '')
      .map(decoded),
    query: new Map(new URLSearchParams(query)),
  };
}

/** A part of an address that somebody typed may not be encoded at all; then it is what it says. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Whether a version is to be seen in the viewer. */
export function isExploring({ path }: Route): boolean {
  return path[0] === 'datasets' && (path[2] === undefined || path[2] === 'explore');
}

/** The address of a place; what is undefined in the query is left out. */
export function linkTo(path: readonly (string | number)[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = new URLSearchParams(given).toString();
  return `#/${path.map((part) => encodeURIComponent(part)).join('/')}${search === '' ? '' : `?${search}`}`;
}

export function openRoute(): Readable<Route> {
  const route = new Signal(parseRoute(location.hash));
  addEventListener('hashchange', () => route.set(parseRoute(location.hash)));
  return route;
}

export function go(link: string): void {
  location.hash = link;
}

/** Changes the address without a step in the browser's history, as when a choice within a page changes. */
export function goQuietly(link: string): void {
  history.replaceState(null, '', link);
  dispatchEvent(new HashChangeEvent('hashchange'));
}
