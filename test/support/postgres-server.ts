import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { createLog } from '../../server/shared/log.ts';
import { type DatabaseUser, databaseUser, findPrograms } from '../../server/storage/postgres/embedded-programs.ts';
import { freePort } from './process-server.ts';

const run = promisify(execFile);
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };
const SAID_CHARS_MAX = 4_000;

/** A PostgreSQL as an operator runs it, apart from Covista: with a directory of its own, and settings in the files of its cluster. */
export class PostgresServer {
  /** Everything of it is below this. */
  readonly directory: string;
  /** Its cluster. */
  readonly data: string;
  readonly port: number;
  readonly #programs: string;
  readonly #user: DatabaseUser | undefined;
  #process: ChildProcess | undefined;

  private constructor(directory: string, port: number, programs: string, user: DatabaseUser | undefined) {
    this.directory = directory;
    this.data = join(directory, 'data');
    this.port = port;
    this.#programs = programs;
    this.#user = user;
  }

  /** Of the programs of a directory that has `bin`, or of those of the package, which has no tools. */
  static async make(ofMachine?: string): Promise<PostgresServer> {
    const log = createLog('error', false);
    const directory = await mkdtemp(join(tmpdir(), 'covista-test-postgres-'));
    const user = await databaseUser(directory, log);
    const programs = ofMachine ?? (await findPrograms(user, join(tmpdir(), 'covista-test-programs'), log));
    if (user) await chown(directory, user.uid, user.gid);
    const server = new PostgresServer(directory, await freePort(), programs, user);
    const flags = ['-D', server.data, '--username=covista', '--auth=trust', '--encoding=UTF8', '--locale=C'];
    await run(join(programs, 'bin', 'initdb'), flags, { env: ENVIRONMENT, cwd: directory, ...user });
    // Nobody else, and nobody for replication, so that what an administrator adds is what lets them in.
    await writeFile(join(server.data, 'pg_hba.conf'), 'host all covista 127.0.0.1/32 trust\n');
    return server;
  }

  /** What finds its tools, and has them come as its administrator to it. */
  get environment(): Record<string, string> {
    const path = [join(this.#programs, 'bin'), process.env.PATH].join(delimiter);
    return { PATH: path, PGHOST: '127.0.0.1', PGPORT: String(this.port), PGUSER: 'covista', PGDATABASE: 'postgres' };
  }

  get url(): string {
    return `postgresql://covista@127.0.0.1:${this.port}/postgres`;
  }

  /** Whom its files belong to, as `chown` takes it. */
  get owner(): string {
    return this.#user === undefined ? `${process.getuid?.()}:${process.getgid?.()}` : `${this.#user.uid}:${this.#user.gid}`;
  }

  /** Waits until it takes changes: when it recovers, until it has. */
  async start(): Promise<void> {
    const settings = { port: String(this.port), listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off' };
    const flags = ['-D', this.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const started = spawn(join(this.#programs, 'bin', 'postgres'), flags, {
      env: ENVIRONMENT,
      cwd: this.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...this.#user,
    });
    this.#process = started;
    let said = '';
    started.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-SAID_CHARS_MAX);
    });
    while (!(await this.#isWritable())) {
      if (started.exitCode !== null) throw new Error(`PostgreSQL ended: ${said}`);
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    if (this.#process === undefined || this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGINT');
    await ended;
  }

  async query<Row>(text: string): Promise<Row[]> {
    return this.#connected(async (client) => (await client.query(text)).rows as Row[]);
  }

  /** A base backup by the functions of the server, as `pg_basebackup` uses them, which is not among the programs of the package. */
  async copyTo(target: string): Promise<void> {
    await this.#connected(async (client) => {
      await client.query(`SELECT pg_backup_start('base', true)`);
      const skipped = (path: string): boolean => /\/(postmaster\.(pid|opts)|pg_wal\/.+|pg_replslot\/.+)$/.test(path);
      await cp(this.data, target, { recursive: true, filter: (path) => !skipped(path) });
      const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
      await writeFile(join(target, 'backup_label'), rows[0]?.labelfile ?? '');
    });
  }

  /** Waits until everything that was committed is in the archive. */
  async archiveAll(archive: string): Promise<void> {
    const [switched] = await this.query<{ file: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS file');
    while (!(await readdir(archive)).includes(switched?.file ?? '')) await delay(50);
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #isWritable(): Promise<boolean> {
    try {
      return (await this.query<{ recovers: boolean }>('SELECT pg_is_in_recovery() AS recovers'))[0]?.recovers === false;
    } catch (error) {
      // Not there yet, or it takes nobody yet.
      if (['ECONNREFUSED', 'ECONNRESET', '57P03'].includes((error as { code?: string }).code ?? '')) return false;
      throw error;
    }
  }

  async #connected<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}
