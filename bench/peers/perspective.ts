import { readFileSync } from 'node:fs';
import { Server } from 'node:net';
import perspective, { WebSocketServer } from '@perspective-dev/client/node';

/**
 * Perspective's own server, in a process of its own: what people share tables with otherwise. Takes `NAME=FILE` for each of its tables,
 * FILE being Arrow, and prints its address when they are loaded.
 */
const listen = Server.prototype.listen;
// It would listen on every address of the machine.
Server.prototype.listen = function (this: Server, port: number, ready: () => void) {
  return listen.call(this, { port, host: '127.0.0.1' }, ready);
} as typeof listen;

for (const argument of process.argv.slice(2)) {
  const [name = '', path = ''] = argument.split('=');
  const bytes = new Uint8Array(readFileSync(path));
  await perspective.table(bytes.buffer, { name });
}
// The first line is the address; what it says of itself is no use to anybody.
console.log = () => undefined;
const { _server: server } = new WebSocketServer({ port: 0 });
server.once('listening', () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));
