import type { SocketRoute } from '../../protocol/define.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import type { RawTarget } from './raw-connection.ts';

export interface RawRoute extends SocketRoute {
  readonly operation: string;
}

/** The addresses of channels that have a socket of their own. */
export function rawRoutes(): readonly RawRoute[] {
  return [...operationsByName].flatMap(([operation, { socket }]) => (socket === undefined ? [] : [{ ...socket, operation }]));
}

/**
 * What a socket at this address asks for. Its token comes from the Authorization header or else from `?token=`; a name may be
 * percent-encoded or not, since clients differ in that.
 */
export function rawTarget(route: RawRoute, asked: { readonly path: string; readonly query: string; readonly authorization: string }): RawTarget {
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(asked.authorization) ?? [];
  const token = bearer ?? new URLSearchParams(asked.query).get('token') ?? '';
  return { operation: route.operation, input: { [route.field]: decode(asked.path.slice(route.prefix.length)) }, token };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new CovistaError('invalid_input', 'the path is not properly percent-encoded', {}, cause);
  }
}
