import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import { requiresClient } from '../config/box-check.js';
import type { SslConfig } from '../config/box-schema.js';
import { describeError, UserError } from '../lib/errors.js';
import type { TlsSettings } from './listener.js';

/** A Python SSLContext's settings as Node's. @throws UserError that names the file that cannot be used */
export function tlsSettings(ssl: SslConfig): TlsSettings {
  const { certfile, keyfile = certfile, cafile, password, ciphers, minimum_version } = ssl;
  const context: SecureContextOptions = {
    minVersion: minimum_version === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    ...(certfile !== undefined && { cert: read('certfile', certfile) }),
    ...(keyfile !== undefined && { key: read('keyfile', keyfile) }),
    ...(cafile !== undefined && { ca: read('cafile', cafile) }),
    ...(password !== undefined && { passphrase: password }),
    ...(ciphers !== undefined && { ciphers }),
  };
  try {
    createSecureContext(context);
  } catch (error) {
    throw new UserError(`listen.ssl: ${describeError(error)}; check that keyfile belongs to certfile`);
  }
  return { context, clientCertificate: requiresClient(ssl) ? 'required' : wish(ssl) };
}

function wish({ verify_mode, cert_reqs = verify_mode, cafile }: SslConfig): 'optional' | 'none' {
  const isOptional = cert_reqs === 1 || cert_reqs === 'CERT_OPTIONAL';
  return isOptional && cafile !== undefined ? 'optional' : 'none';
}

function read(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UserError(`listen.ssl.${key}: ${path}: ${describeError(error)}`);
  }
}
