import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy in front of a server, which does to connections what networks do. */
export interface NetworkProxy {
  readonly url: string;
  /** Connections that were opened so far. */
  readonly opened: number;
  /** Bytes that clients sent so far. */
  readonly sentBytes: number;
  /** New connections go to the server at this port. */
  target(port: number): void;
  /** Ends every connection without a word. */
  cut(): void;
  /** Connections are refused until `resume`. */
  refuse(): void;
  /** Nothing passes any more in either direction, and nobody is told. */
  freeze(): void;
  /** What is sent is held back until `resume`. */
  hold(): void;
  resume(): void;
  /** Cuts the connection on which so many more bytes were sent. */
  cutAfter(bytes: number): void;
  /** Cuts the connection on which so many more bytes were received. */
  cutAfterReceiving(bytes: number): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export async function startProxy(port: number): Promise<NetworkProxy> {
  const pairs = new Set<Pair>();
  const state = {
    port,
    opened: 0,
    sentBytes: 0,
    refusing: false,
    frozen: false,
    held: false,
    sendsLeft: Number.POSITIVE_INFINITY,
    receivesLeft: Number.POSITIVE_INFINITY,
  };

  const drop = (pair: Pair): void => {
    pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  };
  const relay = (pair: Pair, from: Socket, to: Socket, counter: 'sendsLeft' | 'receivesLeft'): void => {
    from.on('data', (chunk) => {
      if (state.frozen) return;
      if (counter === 'sendsLeft') state.sentBytes += chunk.length;
      state[counter] -= chunk.length;
      if (state[counter] < 0) {
        state[counter] = Number.POSITIVE_INFINITY;
        drop(pair);
      } else if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    // Either side may go at any time: that is what the proxy is for.
    from.on('error', () => drop(pair));
    from.on('close', () => drop(pair));
  };

  const hold = ({ client, server }: Pair): void => {
    client.pause();
    server.pause();
  };

  const listener = createServer((client) => {
    if (state.refusing) {
      client.destroy();
      return;
    }
    state.opened += 1;
    const pair = { client, server: connect(state.port, '127.0.0.1') };
    pairs.add(pair);
    relay(pair, client, pair.server, 'sendsLeft');
    relay(pair, pair.server, client, 'receivesLeft');
    if (state.held) hold(pair);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get opened() {
      return state.opened;
    },
    get sentBytes() {
      return state.sentBytes;
    },
    target: (next) => {
      state.port = next;
    },
    cut: () => [...pairs].forEach(drop),
    refuse: () => {
      state.refusing = true;
    },
    freeze: () => {
      state.frozen = true;
    },
    hold: () => {
      state.held = true;
      for (const pair of pairs) hold(pair);
    },
    resume: () => {
      state.refusing = false;
      state.frozen = false;
      if (!state.held) return;
      state.held = false;
      for (const { client, server } of pairs) {
        client.resume();
        server.resume();
      }
    },
    cutAfter: (bytes) => {
      state.sendsLeft = bytes;
    },
    cutAfterReceiving: (bytes) => {
      state.receivesLeft = bytes;
    },
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      [...pairs].forEach(drop);
      await closed;
    },
  };
}
