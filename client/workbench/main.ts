import { type Client, type ConnectionState, type CovistaError, connect } from '../index.ts';
import type { App } from './app/app.ts';
import { openRoute } from './app/route.ts';
import { createShell } from './app/shell.ts';
import { openTheme } from './app/theme.ts';
import { openToken } from './app/token.ts';
import { perspectiveOfViewer } from './explore/open-table.ts';
import { loadViewer } from './explore/viewer.ts';
import { showPages } from './pages/pages.ts';
import { connectingPage, signInPage } from './pages/sign-in.ts';
import { closeDialogs } from './ui/dialog.ts';
import { Signal } from './ui/signal.ts';
import { clearToasts } from './ui/toast.ts';
import { settleLeft } from './upload/under-way.ts';

const root = document.getElementById('workbench') as HTMLElement;
const token = openToken();
const theme = openTheme();
const route = openRoute();

let life = new AbortController();
/** Why somebody has to sign in again. */
let refusal: CovistaError | undefined;

token.watch(new AbortController().signal, (value) => {
  life.abort();
  life = new AbortController();
  // What lies above the page belongs to the session that is over.
  closeDialogs();
  clearToasts();
  if (value === null) root.replaceChildren(signInPage({ refusal, signIn }));
  else begin(value, life.signal);
});

function signIn(value: string): void {
  refusal = undefined;
  token.set(value);
}

function signOut(reason?: CovistaError): void {
  refusal = reason;
  token.set(null);
}

/** Connects, and shows the pages once the server has said who the token belongs to. */
function begin(value: string, ending: AbortSignal): void {
  const client = connect({ url: location.origin, token: value, name: 'covista-workbench', perspective: perspectiveOfViewer });
  warmUp(ending);
  const connection = watchConnection(client, ending);
  ending.addEventListener('abort', () => client.close(), { once: true });
  root.replaceChildren(connectingPage({ life: ending, connection, giveUp: () => signOut() }));
  client.ready().then(
    async ({ subject }) => {
      await settleLeft(client, subject);
      if (!ending.aborted) open({ client, subject, route, connection, theme, signOut: () => signOut() }, ending);
    },
    // The state says so too, and the window goes back to signing in.
    () => undefined,
  );
}

/** The viewer is what takes longest to load: at once where it is needed at once, or else as soon as there is nothing more to do. */
function warmUp(ending: AbortSignal): void {
  // What fails here is tried again, and said, where the viewer is needed.
  const load = (): void => void (ending.aborted || loadViewer().catch(() => undefined));
  const { path } = route.value;
  if (path[0] === 'datasets' && (path[2] === undefined || path[2] === 'explore')) load();
  else requestIdleCallback(load, { timeout: 2_000 });
}

function watchConnection(client: Client, ending: AbortSignal): Signal<ConnectionState> {
  const connection = new Signal<ConnectionState>(client.state);
  const stop = client.onState((state) => {
    if (ending.aborted) return;
    connection.set(state);
    if (state.kind === 'closed') signOut(state.reason);
  });
  ending.addEventListener('abort', stop, { once: true });
  return connection;
}

function open(app: App, ending: AbortSignal): void {
  const shell = createShell(app, ending);
  root.replaceChildren(shell.element);
  showPages(app, shell, ending);
}
