import { initTRPC } from '@trpc/server';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { WebSocketServer } from 'ws';

/** A query that answers with who calls, as `session.whoami` does, over tRPC's WebSocket link. */
const trpc = initTRPC.create();
const router = trpc.router({
  whoami: trpc.procedure.query(() => ({ subject: 'bench', groups: [], serverAdmin: false, expiresAt: null })),
});

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`ws://127.0.0.1:${(server.address() as { port: number }).port}\n`);
});
applyWSSHandler({ wss: server, router });
