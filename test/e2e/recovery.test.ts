import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { onPlace, Places } from '../support/backups.ts';
import { programsOfMachine } from '../support/postgres-programs.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { commandsBelow, follow, type Runbook } from '../support/runbook.ts';
import { csv } from '../support/samples.ts';

const places = new Places();
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await places.remove();
});

async function prepared(programs: string | undefined) {
  const postgres = await PostgresServer.make(programs);
  cleanUps.push(() => postgres.remove());
  const backups = await places.directory();
  const place = { dataDir: await places.directory(), databaseUrl: postgres.url };
  const server = await prepareProcessServer({ dataDir: place.dataDir, environment: { COVISTA_DATABASE_URL: postgres.url } });
  cleanUps.push(() => server.dispose());
  let covista: ServerProcess | undefined;
  const stopCovista = async (): Promise<void> => {
    covista?.kill('SIGTERM');
    await covista?.ended;
  };
  const startCovista = async (): Promise<void> => {
    covista = await server.start();
  };
  return { postgres, backups, place, server, startCovista, stopCovista };
}

/** The package has no tools: what they do is done by the functions of the server that they use. */
const withoutTools = (postgres: PostgresServer, base: string): Runbook['instead'] => ({
  'psql --command=': async (rest) => {
    await postgres.query(/^"(.*)"$/.exec(rest)?.[1] ?? '');
  },
  pg_basebackup: () => postgres.copyTo(base),
  pg_verifybackup: async () => undefined,
});

const ofMachine = programsOfMachine();
const SERVERS = [
  { title: 'the PostgreSQL of the package, without tools', programs: undefined },
  ...(ofMachine ? [{ title: `PostgreSQL ${ofMachine.major} of this machine, with its pg_basebackup`, programs: ofMachine.directory }] : []),
];

test.for(SERVERS)(
  'BAK8 what the recovery chapter says brings a PostgreSQL that archives its log back to a time, and the files with it: $title',
  {
    timeout: 240_000,
  },
  async ({ programs }) => {
    const { postgres, backups, place, server, startCovista, stopCovista } = await prepared(programs);
    const [archive, base, passwords] = ['archive', 'base', 'passwords'].map((name) => join(postgres.directory, name)) as [string, string, string];
    const names: Record<string, string> = {
      '/etc/postgresql/postgresql.conf': join(postgres.data, 'postgresql.conf'),
      '/etc/postgresql/pg_hba.conf': join(postgres.data, 'pg_hba.conf'),
      '/var/lib/postgresql/data': postgres.data,
      '/base/$(date +%F)': base,
      '/base/2026-11-26': base,
      '/archive': archive,
      '127.0.0.1:5432': `127.0.0.1:${postgres.port}`,
      '~/.pgpass': passwords,
      'runuser -u postgres -- ': '',
      'postgres:': postgres.owner,
    };
    const verified: string[] = [];
    const instead = {
      'systemctl stop covista postgresql': async () => {
        await stopCovista();
        await postgres.stop();
      },
      'systemctl restart postgresql': async () => {
        await postgres.stop();
        await postgres.start();
      },
      'systemctl start postgresql': () => postgres.start(),
      'systemctl start covista': startCovista,
      'covista verify --from /backups': async () => {
        verified.push((await onPlace(place, 'verify', '--from', backups)).out);
      },
      ...(programs === undefined && withoutTools(postgres, base)),
    };
    const runbook = { names, instead, environment: { ...postgres.environment, PGPASSFILE: passwords } };
    const [toArchive = '', toCopy = '', toRecover = ''] = commandsBelow('Point in time, on a PostgreSQL of your own');
    await postgres.start();
    await follow(toArchive, runbook);
    await startCovista();
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Recovered' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    expect((await onPlace(place, 'backup', backups)).status).toBe(0);
    await follow(toCopy, runbook);
    // Only `pg_basebackup` writes one.
    expect((await readdir(base)).includes('backup_manifest')).toBe(programs !== undefined);
    await alice.version.commit({ datasetId, branch: 'main', mode: 'append' }, { body: csv('id', '2') });
    const [moment] = await postgres.query<{ at: string }>('SELECT clock_timestamp()::text AS at');
    names['2026-11-26 14:30:00+00'] = moment?.at ?? '';
    // What must not have happened: with the dataset went a file, as if its grace were over.
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '666') });
    await alice.dataset.delete({ datasetId });
    const [gone] = await postgres.query<{ key: string }>('SELECT object_key AS key FROM data_files ORDER BY file_id LIMIT 1');
    const path = join(place.dataDir, 'objects', gone?.key ?? '');
    const content = await readFile(path);
    await rm(path);
    await postgres.archiveAll(archive);

    await follow(toRecover, runbook);
    expect(verified).toEqual([expect.stringContaining(' 1 mended, 0 problems')]);
    expect(await readFile(path)).toEqual(content);
    const again = await server.client('alice');
    const { versionId } = await again.ref.resolve({ datasetId, ref: 'main' });
    expect(versionId).toBe(2);
    expect((await again.version.preview({ datasetId, versionId })).rows).toEqual([{ id: 1 }, { id: 2 }]);
    await again.version.commit({ datasetId, branch: 'main', mode: 'append' }, { body: csv('id', '3') });
    expect((await again.version.preview({ datasetId, versionId: 3 })).rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect((await onPlace(place, 'verify')).out).toContain(' 0 problems');
  },
);
