import type { AddressInfo } from 'node:net';
import { Server } from '@hocuspocus/server';

/** Hocuspocus without extensions: it keeps nothing on disk and lets everybody in. */
const server = new Server({ address: '127.0.0.1', port: 0, quiet: true });
await server.listen();
process.stdout.write(`ws://127.0.0.1:${(server.httpServer.address() as AddressInfo).port}\n`);
