/** Everything of the protocol that a client or a server in this language needs; other languages go by SPEC.md. */
export * from './close-codes.ts';
export * from './define.ts';
export * from './documents/index.ts';
export * from './errors.ts';
export * from './fingerprint.ts';
export * from './fragments.ts';
export * from './frame.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './msgpack.ts';
export { openApi } from './openapi.ts';
export { type OperationName, type Operations, operations, operationsByName } from './operations/index.ts';
export * from './version.ts';
