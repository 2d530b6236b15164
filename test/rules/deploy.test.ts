import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { defaultLimits } from '../../protocol/limits.ts';
import { SETTINGS, settingsTable, variableOf } from '../../server/settings.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const DEPLOY = resolve(import.meta.dirname, '../../server/deploy');
const textOf = (file: string): string => readFileSync(join(DEPLOY, file), 'utf8');

/** The metrics that the requirements name. */
const REQUIRED = [
  ...['dataset_upload_duration', 'version_creation_rate', 'storage_usage_by_dataset', 'schema_change_frequency'],
  ...['table_creation_time', 'memory_usage_per_table', 'active_table_count', 'view_computation_time'],
  ...['end_to_end_latency', 'permission_check_duration', 'cache_hit_ratio', 'error_rate_by_endpoint'],
];

let server: TestServer;
/** Every sample that `/metrics` has or may have: of histograms `_bucket`, `_sum` and `_count`. */
const samples = new Set<string>();

beforeAll(async () => {
  server = await startTestServer();
  const text = await (await fetch(`${server.url}/metrics`)).text();
  for (const [, name = '', kind] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    if (kind === 'histogram') for (const suffix of ['_bucket', '_sum', '_count']) samples.add(`${name}${suffix}`);
    else samples.add(name);
  }
});

afterAll(() => server?.stop());

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly record?: string; readonly alert?: string; readonly expr: string }[] }[];
}

const rules = (parse(textOf('prometheus-rules.yml')) as Rules).groups.flatMap((group) => group.rules);
const recorded = new Set(rules.flatMap(({ record }) => (record === undefined ? [] : [record])));

/** Metrics that an expression names and that nothing tells. */
function unknownIn(expr: string): string[] {
  const names = expr.match(/\b(?:covista|process|nodejs)[a-z0-9_:]*/g) ?? [];
  return names.filter((name) => !samples.has(name) && !recorded.has(name) && name !== 'covista');
}

describe('what is deployed', () => {
  test('OPS12 the dashboard shows metrics that exist, all that the requirements name among them', () => {
    const { panels } = JSON.parse(textOf('grafana/dashboard.json')) as { panels: { id: number; targets: { expr: string }[] }[] };
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(expressions.flatMap(unknownIn)).toEqual([]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const all = [...expressions, ...rules.map(({ expr }) => expr)].join('\n');
    for (const name of REQUIRED) expect(all).toContain(`covista_${name}`);
  });

  test('OPS12 the rules of Prometheus use metrics that exist, and name the alerts of the requirements', () => {
    expect(rules.flatMap(({ expr }) => unknownIn(expr))).toEqual([]);
    const alerts = rules.flatMap(({ alert }) => alert ?? []);
    expect(alerts).toEqual(expect.arrayContaining(['high_memory_usage', 'slow_version_creation', 'permission_denial_spike']));
    for (const { expr } of rules) expect(expr.split('(').length, expr).toBe(expr.split(')').length);
  });

  test('OPS12 the chapter lists every metric of the requirements as it is exposed, and no metric that does not exist', () => {
    const chapter = textOf('OPERATIONS.md');
    const listed = new Map(
      [...chapter.matchAll(/^\| `([a-z_]+)` +\| `(covista_[a-z_]+)` +\|/gm)].map(([, name = '', exposed = '']) => [name, exposed]),
    );
    expect([...listed.keys()]).toEqual(REQUIRED);
    const exists = (name: string): boolean => samples.has(name) || samples.has(`${name}_bucket`);
    const told = [...chapter.matchAll(/`((?:covista|process|nodejs)_[a-z0-9_]+)`/g)].map(([, name = '']) => name);
    expect(told.filter((name) => !exists(name))).toEqual([]);
  });

  test('OPS12 the chapter lists every metric that the server has of its own', () => {
    const names = new Set([...samples].filter((name) => name.startsWith('covista_')).map((name) => name.replace(/_(?:bucket|sum)$/, '')));
    const chapter = textOf('OPERATIONS.md');
    // The count of a histogram goes by the name of the histogram.
    expect([...names].filter((name) => !chapter.includes(`\`${name}\``) && !chapter.includes(`\`${name.replace(/_count$/, '')}\``))).toEqual([]);
  });

  test('OPS12 rules that go by the job of a metric get it: the label of the scraped target does not take its place', () => {
    expect(textOf('prometheus-rules.yml')).toMatch(/\{job="backups"\}/);
    expect(textOf('prometheus.yml')).toMatch(/job_name: covista\n(?: +#.*\n)? +honor_labels: true/);
  });

  test('OPS13 a directory for backups that the environment names is made by the book, and the unit may write it', () => {
    const [, directory = ''] = /^COVISTA_BACKUP_DIR=(.+)$/m.exec(textOf('covista.env')) ?? [];
    expect(textOf('OPERATIONS.md')).toContain(`install -d -o covista -g covista -m 700 ${directory}`);
    expect(textOf('covista.service')).toContain(`ReadWritePaths=-${directory}`);
  });

  test('OPS13 the table of what a server takes is there, with the run that it is from', () => {
    const [, table = ''] = textOf('OPERATIONS.md').split(/<!-- bench: (?:begins|ends) -->/);
    expect(table.match(/^\| .+ \| .*\d (?:KiB|MiB)\b/gm)?.length).toBeGreaterThan(10);
    expect(table).toMatch(/^Commit [0-9a-f]{7,}, \d{4}-\d\d-\d\d, \d+ cores/m);
  });

  test('OPS13 the table of settings is that of the code', async () => {
    await expect(`# Settings\n\nMade from the code, with \`npx vitest run test/rules/deploy.test.ts -u\`.\n\n${settingsTable()}`).toMatchFileSnapshot(
      join(DEPLOY, 'SETTINGS.md'),
    );
  });

  test('OPS13 files and the chapter name settings and limits that exist', () => {
    const variables = new Set([...SETTINGS.map(variableOf), 'COVISTA_DOMAIN']);
    for (const file of ['compose.yaml', 'Dockerfile', 'covista.env', 'covista.service', 'Caddyfile', 'OPERATIONS.md']) {
      const named = textOf(file).match(/COVISTA_[A-Z_]+/g) ?? [];
      expect(
        named.filter((name) => !variables.has(name)),
        file,
      ).toEqual([]);
    }
    const limits = [...textOf('OPERATIONS.md').matchAll(/`([a-z]+(?:[A-Z][a-z]+)+)`/g)].map(([, name = '']) => name);
    expect(limits.filter((name) => !(name in defaultLimits) && name !== 'requestId' && name !== 'rowLimit')).toEqual([]);
  });

  test('OPS13 the composition is complete: images with a version, files that are there, time to drain, checks of health', () => {
    const { services, volumes, networks, secrets } = parse(textOf('compose.yaml')) as Composition;
    expect(Object.keys(services).sort()).toEqual(['covista', 'grafana', 'postgres', 'prometheus', 'proxy']);
    for (const [name, service] of Object.entries(services)) {
      if (service.build === undefined) expect(service.image, name).toMatch(/:v?\d/);
      for (const mount of service.volumes ?? []) {
        const [source = ''] = mount.split(':');
        if (source.startsWith('.')) expect(existsSync(join(DEPLOY, source)), mount).toBe(true);
        else expect(volumes, mount).toHaveProperty(source);
      }
      for (const network of Array.isArray(service.networks) ? service.networks : Object.keys(service.networks ?? {}))
        expect(networks).toHaveProperty(network);
      for (const secret of service.secrets ?? []) expect(secrets).toHaveProperty(secret);
      for (const needed of Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {}))
        expect(services).toHaveProperty(needed);
    }
    expect(services.proxy?.networks).toEqual({ inside: { ipv4_address: services.covista?.environment?.COVISTA_TRUSTED_PROXY } });
    expect(services.postgres).toHaveProperty('healthcheck');
    const drainSeconds = defaultLimits.drainTimeoutMs / 1_000;
    expect(Number.parseInt(services.covista?.stop_grace_period ?? '', 10)).toBeGreaterThan(drainSeconds);
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(textOf('covista.service'))?.[1])).toBeGreaterThan(drainSeconds);
  });

  test('OPS13 the image is built in stages, runs as nobody special, and tells its health', () => {
    const lines = textOf('Dockerfile')
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const known = /^(FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD) /;
    expect(lines.filter((line) => !known.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('FROM ')).length).toBe(2);
    expect(lines.filter((line) => /^FROM \S+:latest|^FROM [^:\s]+( |$)/.test(line))).toEqual([]);
    expect(lines.indexOf('USER node')).toBeGreaterThan(lines.lastIndexOf(lines.findLast((line) => line.startsWith('RUN ')) ?? ''));
    for (const line of lines)
      for (const json of line.match(/^(?:ENTRYPOINT|CMD|VOLUME) (\[.*\])$/)?.slice(1) ?? []) expect(() => JSON.parse(json) as unknown).not.toThrow();
    expect(lines.some((line) => line.startsWith('HEALTHCHECK ') && line.includes('/healthz'))).toBe(true);
    const { scripts } = JSON.parse(readFileSync(resolve(DEPLOY, '../../package.json'), 'utf8')) as { scripts: Record<string, string> };
    for (const [, script = ''] of textOf('Dockerfile').matchAll(/npm run -s (\S+)/g)) expect(scripts).toHaveProperty(script);
  });

  test('OPS13 the unit of systemd has sections and assignments only, and stops the server alone', () => {
    const unit = textOf('covista.service');
    for (const line of unit.split('\n')) expect(line, line).toMatch(/^(\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=\S.*|#.*|)$/);
    expect(unit).toMatch(/^KillMode=mixed$/m);
    expect(unit).toMatch(/^ExecStart=\S+ \S+dist\/server\/main\.js serve$/m);
    for (const file of ['prometheus.yml', 'grafana/provisioning/datasources/prometheus.yml', 'grafana/provisioning/dashboards/covista.yml']) {
      expect(parse(textOf(file)), file).toBeTypeOf('object');
    }
  });
});

interface Composition {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly build?: unknown;
        readonly volumes?: readonly string[];
        readonly networks?: readonly string[] | Readonly<Record<string, unknown>>;
        readonly secrets?: readonly string[];
        readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
        readonly environment?: Readonly<Record<string, string>>;
        readonly stop_grace_period?: string;
      }
    >
  >;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, unknown>>;
}
