import type { Client, ConnectionState, CovistaError } from '../../index.ts';
import { loadViewer } from '../explore/viewer.ts';
import { showPages } from '../pages/pages.ts';
import { connectingPage, type Refusal, signInPage } from '../pages/sign-in.ts';
import { closeDialogs } from '../ui/dialog.ts';
import { type Readable, Signal } from '../ui/signal.ts';
import { clearToasts } from '../ui/toast.ts';
import { settleLeft } from '../upload/under-way.ts';
import type { App } from './app.ts';
import { connectAs } from './connect-as.ts';
import { isExploring, type Route } from './route.ts';
import { createShell } from './shell.ts';
import { openTheme } from './theme.ts';

interface BeginOptions {
  readonly token: Signal<string | null>;
  readonly route: Readable<Route>;
  /** One that was connected with the token before the pages were here. */
  readonly client: Client | undefined;
}

/** Shows the pages to whoever is signed in, and asks for a token where nobody is. */
export function begin({ token, route, client: first }: BeginOptions): void {
  const root = document.getElementById('workbench') as HTMLElement;
  const theme = openTheme();
  let early = first;
  let life = new AbortController();
  let refusal: Refusal | undefined;
  const signIn = (value: string): void => {
    refusal = undefined;
    token.set(value);
  };
  const signOut = (why?: Refusal): void => {
    refusal = why;
    token.set(null);
  };
  token.watch(new AbortController().signal, (value) => {
    life.abort();
    life = new AbortController();
    // What lies above the page belongs to the session that is over.
    closeDialogs();
    clearToasts();
    if (value === null) return root.replaceChildren(signInPage({ refusal, signIn }));
    const client = early ?? connectAs(value);
    early = undefined;
    beginSession({ root, client, route, theme, signOut }, life.signal);
  });
}

interface SessionOptions extends Pick<App, 'client' | 'route' | 'theme'> {
  readonly root: HTMLElement;
  readonly signOut: (why?: Refusal) => void;
}

/** Shows the pages once the server has said who the token belongs to. */
function beginSession({ root, client, route, theme, signOut }: SessionOptions, ending: AbortSignal): void {
  warmUp(route, ending);
  let wasIn = false;
  const refuse = (reason: CovistaError): void => signOut({ reason, wasIn });
  const connection = watchConnection(client, refuse, ending);
  ending.addEventListener('abort', () => client.close(), { once: true });
  root.replaceChildren(connectingPage({ life: ending, connection, giveUp: () => signOut() }));
  client.ready().then(
    async ({ subject }) => {
      await settleLeft(client, subject);
      if (ending.aborted) return;
      wasIn = true;
      const app = { client, subject, route, connection, theme, signOut: () => signOut() };
      const shell = createShell(app, ending);
      root.replaceChildren(shell.element);
      showPages(app, shell, ending);
    },
    (reason: CovistaError) => ending.aborted || refuse(reason),
  );
}

/** The viewer is what takes longest to load: at once where it is needed at once, or else as soon as there is nothing more to do. */
function warmUp(route: Readable<Route>, ending: AbortSignal): void {
  // What fails here is tried again, and said, where the viewer is needed.
  const load = (): void => void (ending.aborted || loadViewer().catch(() => undefined));
  if (isExploring(route.value)) load();
  else requestIdleCallback(load, { timeout: 2_000 });
}

function watchConnection(client: Client, refuse: (reason: CovistaError) => void, ending: AbortSignal): Signal<ConnectionState> {
  const connection = new Signal<ConnectionState>(client.state);
  const stop = client.onState((state) => {
    if (ending.aborted) return;
    connection.set(state);
    if (state.kind === 'closed') refuse(state.reason);
  });
  ending.addEventListener('abort', stop, { once: true });
  return connection;
}
