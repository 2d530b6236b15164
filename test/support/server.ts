import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import { readConfig } from '../../server/config.ts';
import type { Gateway } from '../../server/gateway/dispatch.ts';
import { mintToken, type TokenRequest } from '../../server/gateway/mint.ts';
import type { Parts } from '../../server/wiring/engines.ts';
import { startServer } from '../../server/wiring/server.ts';
import { createTestDatabase } from './database.ts';
import { freePort } from './process-server.ts';
import { type Rest, restClient } from './rest.ts';

export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  readonly databaseUrl: string;
  /** In-process dispatch. */
  readonly gateway: Gateway;
  token(subject: string, request?: Partial<TokenRequest>): Promise<string>;
  /** A connected client of the SDK; closed with the server. */
  client(subject: string, request?: Partial<TokenRequest>): Promise<Client>;
  rest(subject: string, request?: Partial<TokenRequest>): Promise<Rest>;
  /** Object keys of a dataset, sorted. */
  objects(datasetId: number): Promise<string[]>;
  /** Files that are in the staging area or among the uploads: what nothing that has ended may leave. */
  leftovers(): Promise<string[]>;
  /** Stops the server and starts it again on the same data and port, so that clients come back. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Of whoever makes tokens of their own for a test server. */
export const SECRET = 'test-secret-of-sufficient-length-0123456789';

/** Tests are refused much, and wait for nobody who does not finish. */
const SETTINGS = ['--alert-denials-per-minute', '0', '--drain-timeout-ms', '10000'];

export interface TestServerOptions extends Parts {
  /** The database of another server, to share. */
  readonly database?: string;
}

/** A whole server in this process, on a database cloned from the template, or that of another server, and a data directory of its own. */
export async function startTestServer(flags: readonly string[] = [], { database: given, ...parts }: TestServerOptions = {}): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'covista-test-'));
  const database = given === undefined ? await createTestDatabase() : { url: given, drop: async () => {} };
  const clients: Client[] = [];
  const start = (port: string) =>
    startServer(
      readConfig(['--port', port, '--data-dir', dataDir, '--log-level', 'error', '--no-log-pretty', ...SETTINGS, ...flags], {
        COVISTA_DATABASE_URL: database.url,
        COVISTA_JWT_SECRET: SECRET,
      }),
      parts,
    );
  // A restart takes the same port, which the system would keep for a while had it chosen the port itself.
  let running = await start(String(await freePort()));
  const token = (subject: string, request: Partial<TokenRequest> = {}): Promise<string> => mintToken(SECRET, { subject, ...request });
  return {
    get url() {
      return running.url;
    },
    dataDir,
    databaseUrl: database.url,
    get gateway() {
      return running.gateway;
    },
    token,
    client: async (subject, request) => {
      const client = connect({ url: running.url, token: await token(subject, request) });
      clients.push(client);
      return client;
    },
    rest: async (subject, request) => restClient(running.url, await token(subject, request)),
    objects: (datasetId) => filesBelow(join(dataDir, 'objects', 'datasets', String(datasetId))),
    leftovers: async () => [
      ...(await filesBelow(join(dataDir, 'work'))).filter((file) => file.includes('/staging/')),
      ...(await filesBelow(join(dataDir, 'uploads'))),
    ],
    restart: async () => {
      await running.stop();
      running = await start(new URL(running.url).port);
    },
    stop: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await running.stop();
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}
