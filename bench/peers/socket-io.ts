import { createServer } from 'node:http';
import { Server } from 'socket.io';

/** A call with an acknowledgement that answers with who calls, as `session.whoami` does. */
const http = createServer();
const server = new Server(http, { transports: ['websocket'] });

server.on('connection', (socket) => {
  socket.on('whoami', (reply: (answer: object) => void) => reply({ subject: 'bench', groups: [], serverAdmin: false, expiresAt: null }));
});

http.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ws://127.0.0.1:${(http.address() as { port: number }).port}\n`);
});
