import { onTestFinished } from 'vitest';
import { type Client, type ConnectionState, type ConnectOptions, connect } from '../../client/index.ts';
import { type NetworkProxy, startProxy } from './proxy.ts';
import { startTestServer, type TestServer, type TestServerOptions } from './socket-server.ts';

/** Reconnects without delay worth waiting for. */
export const QUICK = { backoffBaseMs: 5, backoffMaxMs: 20 } as const;

export interface SdkTest {
  readonly server: TestServer;
  readonly proxy: NetworkProxy;
  readonly client: Client;
  /** Further clients through the same proxy. */
  connect(options?: Partial<ConnectOptions>): Promise<Client>;
}

/** A server with handlers of the test, a proxy in front of it and a client of the SDK behind that; all ended with the test. */
export async function startSdk(options: TestServerOptions = {}, connecting: Partial<ConnectOptions> = {}): Promise<SdkTest> {
  const server = await startTestServer(options);
  const proxy = await startProxy(server.port);
  const clients: Client[] = [];
  const open = async (own: Partial<ConnectOptions> = {}): Promise<Client> => {
    const token = own.token ?? connecting.token ?? (await server.token());
    const client = connect({ url: proxy.url, ...connecting, ...own, token, settings: { ...QUICK, ...connecting.settings, ...own.settings } });
    clients.push(client);
    return client;
  };
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await proxy.close();
    server.close();
  });
  return { server, proxy, client: await open(), connect: open };
}

/** Resolves with the next state of the kind, or with the present one. */
export function untilState<Kind extends ConnectionState['kind']>(client: Client, kind: Kind): Promise<Extract<ConnectionState, { kind: Kind }>> {
  return new Promise((resolve) => {
    const check = (state: ConnectionState): void => {
      if (state.kind !== kind) return;
      stop();
      resolve(state as Extract<ConnectionState, { kind: Kind }>);
    };
    const stop = client.onState(check);
    check(client.state);
  });
}

/** A promise that the test settles. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}
