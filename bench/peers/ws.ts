import { WebSocketServer } from 'ws';

/** The usual WebSocket library of Node: every message is JSON, decoded, encoded again and sent back. */
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`ws://127.0.0.1:${(server.address() as { port: number }).port}\n`);
});

server.on('connection', (socket) => {
  socket.on('message', (message: Buffer) => socket.send(JSON.stringify(JSON.parse(message.toString()))));
});
