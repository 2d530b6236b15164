import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';

/** Whether a server that takes no new work still answers an operation: those of server admins. */
export function isDrainExempt(operation: string): boolean {
  return operationsByName.get(operation as OperationName)?.permission.action === 'server-admin';
}

const EXEMPT_PATHS = new Set([
  '/metrics',
  ...[...operationsByName.values()].flatMap(({ permission, http }) =>
    permission.action === 'server-admin' && http !== undefined ? [http.path] : [],
  ),
]);

/** The same of a path over HTTP; no path of a server admin's operation has parameters. */
export function isDrainExemptPath(path: string): boolean {
  return EXEMPT_PATHS.has(path);
}
