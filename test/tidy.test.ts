import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/** House rules that no linter knows. The tables at the top are the rules; an exception is an entry with its reason. */

const ROOT = resolve(import.meta.dirname, '..');
const LINES_PER_FILE_MAX = 300;
const LINES_PER_FUNCTION_MAX = 70;

/** Files that may be longer, with the reason. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'server/storage/stores.ts': 'The interfaces of storage are read together',
  'protocol/limits.ts': 'Every bound is stated in one place',
};

/** What each module may import beside itself and the built-in modules of Node. */
const IMPORT_TABLE: Readonly<Record<string, { readonly own: readonly string[]; readonly packages: readonly string[] | 'any' }>> = {
  protocol: { own: [], packages: ['zod/v4', 'zod/v4/core', 'msgpackr'] },
  client: { own: ['protocol'], packages: 'any' },
  'server/socket': { own: ['protocol', 'server/gateway', 'server/shared'], packages: ['uws-20.69', 'uws-20.51'] },
  'server/gateway': {
    own: ['protocol', 'server/operations', 'server/services/access', 'server/shared', 'server/storage/stores.ts'],
    packages: 'any',
  },
  'server/operations': {
    own: ['protocol', 'server/services', 'server/shared', 'server/storage/stores.ts', 'server/storage/content-store.ts'],
    packages: 'any',
  },
  'server/services': { own: ['protocol', 'server/shared', 'server/storage/stores.ts', 'server/storage/content-store.ts'], packages: 'any' },
  'server/storage': { own: ['protocol', 'server/shared', 'server/workers'], packages: 'any' },
  'server/workers': {
    own: [
      'protocol',
      'server/shared',
      'server/storage/parquet',
      'server/storage/postgres',
      'server/storage/stores.ts',
      'server/storage/content-store.ts',
    ],
    packages: 'any',
  },
  'server/shared': { own: ['protocol'], packages: 'any' },
  'server/cli': {
    own: ['protocol', 'client', 'server/config.ts', 'server/settings.ts', 'server/gateway', 'server/shared', 'server/storage'],
    packages: 'any',
  },
};

/** Where the storage layer may be imported from by name: types only, or the wiring. */
const ONE_IMPORTER: Readonly<Record<string, readonly string[]>> = {
  'uws-20.69': ['server/socket/', 'bench/', 'test/'],
  'uws-20.51': ['server/socket/', 'bench/', 'test/'],
  slonik: ['server/storage/postgres/', 'bench/', 'test/'],
  pg: ['server/storage/postgres/', 'bench/', 'test/'],
  '@duckdb/node-api': ['server/storage/parquet/', 'server/workers/', 'bench/', 'test/'],
};

/** Text that must not appear, where, and why. */
const BANS: readonly { readonly pattern: RegExp; readonly within: RegExp; readonly why: string }[] = [
  { pattern: /SELECT \*/i, within: /^server\/storage\/postgres\//, why: 'columns are named, so that a new one changes nothing unseen' },
  { pattern: /(?::|<|\bas)\s*any\s*[;,)>=|\]&]/, within: /\.ts$/, why: 'any switches the types off' },
  { pattern: /\bparentPort\b/, within: /^(?!.*\.worker\.ts$)server\//, why: 'only a worker speaks to its port' },
  { pattern: /new Worker\(/, within: /^(?!.*\.client\.ts$)server\//, why: 'only a client starts its worker' },
  {
    pattern: /process\.env/,
    within: /^(?!server\/(main|wiring\/server|socket\/engine)\.ts$)(server|protocol|client)\//,
    why: 'the environment is read in one place',
  },
  {
    pattern: /\bz\s*\.record\(/,
    within: /^(?!protocol\/record\.ts$)(protocol|client|server)\//,
    why: 'it refuses a field named constructor; protocol/record.ts does not',
  },
  { pattern: /read_parquet/, within: /^server\/(?!storage\/parquet\/relation\.ts$)/, why: 'Parquet is read through the scoped relation' },
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, within: /^(protocol|server|client|bench|migrations)\//, why: 'what is landed is finished' },
  { pattern: /@ts-(ignore|expect-error|nocheck)|biome-ignore|eslint-disable/, within: /\.ts$/, why: 'checks are not switched off' },
  { pattern: /\.(skip|only|todo)\(/, within: /^test\//, why: 'every test runs' },
];

const SELF = 'test/tidy.test.ts';
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)));
const sources = files.filter((file) => /\.(ts|sql|js|mjs)$/.test(file) && file !== SELF);
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

interface Import {
  readonly specifier: string;
  /** Path below the root, or undefined for a package. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const found = textOf(file).matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm);
  return [...found].map(([, typeWord, from, bare, dynamic]) => {
    const specifier = (from ?? bare ?? dynamic) as string;
    const target = specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), specifier)) : undefined;
    return { specifier, target, typeOnly: typeWord !== undefined };
  });
}

const moduleOf = (file: string): string | undefined => Object.keys(IMPORT_TABLE).find((module) => file.startsWith(`${module}/`));
const packageOf = (specifier: string): string =>
  specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] as string);
const isBuiltIn = (specifier: string): boolean => specifier.startsWith('node:') || builtinModules.includes(specifier);

describe('imports', () => {
  test('each module imports only what the table allows', () => {
    const broken = sources
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const module = moduleOf(file);
        const allowed = module === undefined ? undefined : IMPORT_TABLE[module];
        if (module === undefined || allowed === undefined) return [];
        return importsOf(file)
          .filter(({ specifier, target }) => {
            if (target === undefined) return !isBuiltIn(specifier) && allowed.packages !== 'any' && !allowed.packages.includes(specifier);
            return ![module, ...allowed.own].some((prefix) => target === prefix || target.startsWith(`${prefix}/`));
          })
          .map(({ specifier }) => `${file} imports ${specifier}`);
      });
    expect(broken).toEqual([]);
  });

  test('the protocol and the client run in a browser: no built-in module of Node', () => {
    const broken = sources
      .filter((file) => /^(protocol|client)\/.*\.ts$/.test(file))
      .flatMap((file) =>
        importsOf(file)
          .filter(({ specifier }) => isBuiltIn(specifier))
          .map(({ specifier }) => `${file} imports ${specifier}`),
      );
    expect(broken).toEqual([]);
  });

  test('an engine has one importer', () => {
    const broken = sources.flatMap((file) =>
      importsOf(file)
        .filter(
          ({ specifier, target }) => target === undefined && !(ONE_IMPORTER[packageOf(specifier)] ?? ['']).some((prefix) => file.startsWith(prefix)),
        )
        .map(({ specifier }) => `${file} imports ${specifier}`),
    );
    expect(broken).toEqual([]);
  });

  const isWiring = (target: string | undefined): boolean => target === 'server/main.ts' || target === 'server/wiring/server.ts';

  test('nobody imports a worker entry, and the wiring is imported by nobody but the command line', () => {
    const broken = sources
      .filter((file) => /^(server|client|protocol)\//.test(file))
      .flatMap((file) =>
        importsOf(file)
          .filter(({ target, typeOnly }) => target?.endsWith('.worker.ts') === true || (isWiring(target) && !typeOnly && file !== 'server/main.ts'))
          .map(({ specifier }) => `${file} imports ${specifier}`),
      );
    expect(broken).toEqual([]);
  });

  test('no file of the server, the protocol or the client needs itself by way of others', () => {
    // Types vanish before anything runs.
    const within = sources.filter((file) => /^(server|protocol|client)\/.*\.ts$/.test(file));
    const needs = new Map(
      within.map((file) => [file, importsOf(file).flatMap(({ target, typeOnly }) => (target === undefined || typeOnly ? [] : [target]))]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      else if (!done.has(file)) for (const target of needs.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of within) visit(file, []);
    expect(circles).toEqual([]);
  });

  test('every source file is reached from an entry', () => {
    const entries = sources.filter((file) =>
      /^(server\/main\.ts|client\/(index|browser|workbench\/main)\.ts|protocol\/(index|openapi)\.ts|bench\/|.*\.worker\.ts|.*\.config\.ts)/.test(
        file,
      ),
    );
    const reached = new Set(entries);
    for (const file of reached)
      for (const { target } of importsOf(file)) if (target !== undefined && existsSync(join(ROOT, target))) reached.add(target);
    const dead = sources.filter((file) => /^(server|client|protocol)\/.*\.ts$/.test(file) && !reached.has(file) && !file.endsWith('.d.ts'));
    expect(dead).toEqual([]);
  });
});

describe('size', () => {
  test(`no file has more than ${LINES_PER_FILE_MAX} lines`, () => {
    const long = sources.filter((file) => file.endsWith('.ts') && !(file in LONG_FILES) && textOf(file).split('\n').length > LINES_PER_FILE_MAX + 1);
    expect(long).toEqual([]);
  });

  test(`no function has more than ${LINES_PER_FUNCTION_MAX} lines`, () => {
    const long = sources.filter((file) => /^(protocol|server|client|bench)\/.*\.ts$/.test(file)).flatMap((file) => longFunctions(file));
    expect(long).toEqual([]);
  });
});

/** Functions by their indentation: formatted code closes one on the column where its line begins. */
function longFunctions(file: string): string[] {
  const lines = textOf(file).split('\n');
  return lines.flatMap((line, start) => {
    const head =
      /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\b|(?:const|let) \w+ = (?:async )?\(|(?:static |async |get |set |\*|#)*\w+\(.*\).*\{$)/.exec(
        line,
      );
    if (head === null || !line.trimEnd().endsWith('{') || /^\s*(if|for|while|switch|return|else|describe|test|it)\b/.test(line)) return [];
    const end = lines.findIndex((later, index) => index > start && new RegExp(`^${head[1]}[})]`).test(later));
    return end - start > LINES_PER_FUNCTION_MAX ? [`${file}:${start + 1} has ${end - start} lines`] : [];
  });
}

describe('bans', () => {
  test.each(BANS)('$pattern does not appear: $why', ({ pattern, within }) => {
    const found = sources
      .filter((file) => within.test(file))
      .flatMap((file) =>
        textOf(file)
          .split('\n')
          .flatMap((line, index) => (pattern.test(line) && !/^\s*(\/?\*|\/\/)/.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
      );
    expect(found).toEqual([]);
  });
});

describe('rules', () => {
  const spec = textOf('protocol/SPEC.md');
  const rules = new Set([...spec.matchAll(/^- \*\*([A-Z]+\d+)\*\*/gm)].map(([, rule]) => rule as string));
  const areas = [...new Set([...rules].map((rule) => rule.replace(/\d+$/, '')))];
  const citation = new RegExp(`\\b(?:${areas.join('|')})\\d+\\b`, 'g');
  const tests = files.filter((file) => /^test\/.*\.ts$/.test(file) && file !== SELF);
  const cited = new Set(tests.flatMap((file) => textOf(file).match(citation) ?? []));

  test('every rule of SPEC.md is cited by a test', () => {
    expect([...rules].filter((rule) => !cited.has(rule))).toEqual([]);
  });

  test('every rule that a test cites is in SPEC.md', () => {
    expect([...cited].filter((rule) => !rules.has(rule))).toEqual([]);
  });

  test('no rule is numbered twice', () => {
    const all = [...spec.matchAll(/^- \*\*([A-Z]+\d+)\*\*/gm)].map(([, rule]) => rule);
    expect(all.filter((rule, index) => all.indexOf(rule) !== index)).toEqual([]);
  });
});
