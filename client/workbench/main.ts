import { connectAs } from './app/connect-as.ts';
import { isExploring, openRoute } from './app/route.ts';
import { openToken } from './app/token.ts';
import { loadViewer } from './explore/viewer.ts';

// What the first look needs is asked for at once and side by side, the answer of the server first: it is what takes turns.
const token = openToken();
const route = openRoute();
const client = token.value === null ? undefined : connectAs(token.value);
const pages = import('./app/begin.ts');
// What fails here is tried again, and said, where the viewer is needed.
if (client !== undefined && isExploring(route.value)) loadViewer().catch(() => undefined);
(await pages).begin({ token, route, client });
