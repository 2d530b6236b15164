import { describe, expect, test } from 'vitest';
import type { Operation } from '../../protocol/define.ts';
import { fingerprint } from '../../protocol/fingerprint.ts';
import { openApi } from '../../protocol/openapi.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { PROTOCOL_HISTORY, PROTOCOL_VERSION, SUPPORTED_VERSIONS } from '../../protocol/version.ts';
import { createRouteTable } from '../../server/gateway/route-table.ts';

interface PathOperation {
  readonly operationId: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: Record<string, unknown>;
  }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly properties?: object }; readonly example?: object }>>;
  };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, object>> }>>;
}

const document = openApi() as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, PathOperation>>>>;
  readonly components: { readonly schemas: object };
};
const described = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => [operation.operationId, { path, method, operation }] as const),
);

describe('the description of the REST face', () => {
  test('REST12 it has every operation that has a route, once, and says so in JSON', () => {
    const routed = [...operationsByName].filter(([, { http }]) => http !== undefined).map(([name]) => name);
    expect(described.map(([name]) => name).sort()).toEqual([...routed].sort());
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test.each(described)('REST12 %s: every input field has one place, and the route finds it', (name, { path, method, operation }) => {
    const declared = operationsByName.get(name as never);
    const inBody = Object.values(operation.requestBody?.content ?? {}).flatMap(({ schema }) => Object.keys(schema.properties ?? {}));
    const inPlace = (place: string): string[] =>
      operation.parameters.filter((parameter) => parameter.in === place).map((parameter) => parameter.name);
    const fromHeaders = Object.keys(declared?.http?.headers ?? {});
    const fields = Object.keys(declared?.input.shape ?? {});
    const placed = [...inPlace('path'), ...inPlace('query'), ...inBody];
    expect([...new Set([...placed, ...fromHeaders])].sort()).toEqual(fields.sort());
    expect(new Set(placed).size).toBe(placed.length);
    expect([...path.matchAll(/\{(.+?)\}/g)].map(([, parameter]) => parameter)).toEqual(inPlace('path'));
    expect(createRouteTable().match(method.toUpperCase(), path.replaceAll(/[{}]/g, '')).route.name).toBe(name);
  });

  test.each(described)('REST12 %s: its errors and its success are described, and references resolve', (_name, { operation }) => {
    expect(Object.keys(operation.responses).filter((status) => status.startsWith('2')).length).toBeGreaterThan(0);
    for (const status of ['400', '401', '403', '404', '429', '500', '503']) expect(operation.responses[status]?.description).toBeTruthy();
    for (const [, reference] of JSON.stringify(operation).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
      expect(document.components.schemas).toHaveProperty(reference as string);
  });

  test.each(described)('REST12 %s: what its way over HTTP answers is described as well', (name, { method, operation }) => {
    const { kind, http, stepUp } = operationsByName.get(name as never) as Operation;
    const answers = (status: number): string => operation.responses[status]?.description ?? '';
    expect(answers(409).includes('`conflict`') || kind !== 'command').toBe(true);
    expect(answers(413).includes('`payload_too_large`') || operation.requestBody === undefined || kind === 'query').toBe(true);
    expect(answers(403).includes('`step_up_required`')).toBe(stepUp === true);
    const isRevalidated = http?.response === 'file' || (kind === 'query' && method === 'get');
    expect(304 in operation.responses).toBe(isRevalidated);
    expect(operation.parameters.some(({ name: header }) => header === 'if-none-match')).toBe(isRevalidated);
    const takesRanges = operation.parameters.some(({ name: header }) => header === 'range');
    expect([206 in operation.responses, 416 in operation.responses]).toEqual([takesRanges, takesRanges]);
  });

  test('REST12 a window of a view is described as JSON, and as bytes where a format asks for these', () => {
    const content = document.paths['/api/explore/perspective/table/{tableId}/view/{viewId}/data']?.get?.responses['200']?.content ?? {};
    expect(Object.keys(content)).toEqual(['application/json', '*/*']);
    expect(JSON.stringify(content['application/json'])).not.toContain('contentType');
  });

  test('REST12 the examples of the registry are valid input', () => {
    const refused = [...operationsByName].filter(([, { input, example }]) => !input.safeParse(example.input).success).map(([name]) => name);
    expect(refused).toEqual([]);
  });
});

describe('the version of the protocol', () => {
  test('RPC3 a change of the wire changes the version or its history', async () => {
    const latest = PROTOCOL_HISTORY.at(-1);
    expect(latest?.version).toBe(PROTOCOL_VERSION);
    expect(SUPPORTED_VERSIONS).toContain(PROTOCOL_VERSION);
    // On purpose: a new dated line in protocol/version.ts, with a new version if old clients cannot live with the change.
    expect(latest?.fingerprint).toBe(await fingerprint());
  });

  test('RPC3 the history is in order of time and version', () => {
    const lines = PROTOCOL_HISTORY.map(({ version, date }) => `${String(version).padStart(5, '0')} ${date}`);
    expect(lines).toEqual([...lines].sort());
    expect(PROTOCOL_HISTORY.every(({ date }) => /^\d{4}-\d{2}-\d{2}$/.test(date))).toBe(true);
  });
});
