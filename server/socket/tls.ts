import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { CovistaError } from '../../protocol/errors.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Reads the files first, because the engine does not say what is wrong with them. It speaks TLS 1.2 and newer. */
export function tlsOptions({ certificate, key }: TlsFiles): { cert_file_name: string; key_file_name: string } {
  try {
    createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CovistaError('invalid_input', `the TLS certificate ${certificate} and the key ${key} cannot be used: ${reason}`, {}, cause);
  }
  return { cert_file_name: certificate, key_file_name: key };
}
