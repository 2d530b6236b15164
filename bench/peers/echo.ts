import { pack, unpack } from 'msgpackr';
import { defaultLimits } from '../../protocol/limits.ts';
import { loadEngine } from '../../server/socket/engine.ts';

/** What any server on uWebSockets.js and msgpackr pays at least: every message decoded, encoded again and sent back. */
const engine = loadEngine(defaultLimits.httpHeaderBytesMax);

engine
  .App()
  .ws('/rpc', {
    maxPayloadLength: defaultLimits.frameBytesMax,
    message: (socket, message) => {
      socket.send(pack(unpack(new Uint8Array(message))), true);
    },
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('the echo server cannot listen');
    process.stdout.write(`ws://127.0.0.1:${engine.us_socket_local_port(socket)}\n`);
  });
