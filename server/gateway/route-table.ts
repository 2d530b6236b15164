import type { HttpRoute, Operation } from '../../protocol/define.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { operationsByName } from '../../protocol/operations/index.ts';

export interface Route {
  readonly name: string;
  readonly operation: Operation;
  readonly http: HttpRoute;
}

export interface Match {
  readonly route: Route;
  /** Decoded path parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface RouteTable {
  /** The route of a method and path; throws `unknown_operation`, or `method_not_allowed` with `details.allow`. */
  match(method: string, path: string): Match;
}

/** One segment of all paths: exact texts are tried before the parameter. */
interface Node {
  readonly exact: Map<string, Node>;
  parameter: Node | undefined;
  /** By method; the names of the parameters on the way in order. */
  readonly routes: Map<string, { readonly route: Route; readonly names: readonly string[] }>;
}

const newNode = (): Node => ({ exact: new Map(), parameter: undefined, routes: new Map() });

export function createRouteTable(): RouteTable {
  const root = newNode();
  for (const [name, operation] of operationsByName) {
    if (operation.http !== undefined) insert(root, { name, operation, http: operation.http });
  }
  return {
    match: (method, path) => {
      const found = walk(root, path.split('/').slice(1), []);
      if (found === undefined) throw new CovistaError('unknown_operation', 'there is nothing at this path');
      const entry = found.node.routes.get(method === 'HEAD' ? 'GET' : method);
      if (entry === undefined) throw notAllowed(method, found.node);
      const parameters = Object.fromEntries(entry.names.map((parameter, index) => [parameter, decode(parameter, found.values[index] as string)]));
      return { route: entry.route, parameters };
    },
  };
}

function insert(root: Node, route: Route): void {
  let node = root;
  const names: string[] = [];
  for (const segment of route.http.path.split('/').slice(1)) {
    const name = /^\{(.+)\}$/.exec(segment)?.[1];
    if (name === undefined) {
      const next = node.exact.get(segment) ?? newNode();
      node.exact.set(segment, next);
      node = next;
    } else {
      names.push(name);
      node.parameter ??= newNode();
      node = node.parameter;
    }
  }
  node.routes.set(route.http.method, { route, names });
}

function walk(node: Node, segments: readonly string[], values: readonly string[]): { node: Node; values: readonly string[] } | undefined {
  const [segment, ...rest] = segments;
  if (segment === undefined) return node.routes.size > 0 ? { node, values } : undefined;
  const exact = node.exact.get(segment);
  const found = exact === undefined ? undefined : walk(exact, rest, values);
  if (found !== undefined || node.parameter === undefined || segment === '') return found;
  return walk(node.parameter, rest, [...values, segment]);
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new CovistaError(
      'invalid_input',
      `the path parameter ${name} is not properly percent-encoded`,
      { issues: [{ path: name, message: 'must be percent-encoded UTF-8' }] },
      cause,
    );
  }
}

function notAllowed(method: string, node: Node): CovistaError {
  const allow = [...node.routes.keys()].flatMap((known) => (known === 'GET' ? ['GET', 'HEAD'] : [known])).sort();
  return new CovistaError('method_not_allowed', `${method.slice(0, 20)} is not for this path; ${allow.join(', ')} are`, { allow });
}
