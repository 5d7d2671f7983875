import { z } from 'zod';

const text = (what: string) => z.string({ error: what }).min(1, { error: `${what}, not an empty one` });
const flag = z.union([z.boolean(), z.literal(0), z.literal(1)], { error: 'true or false' });
const verifyNames = ['CERT_NONE', 'CERT_OPTIONAL', 'CERT_REQUIRED'] as const;
const verify = z.union([z.enum(verifyNames), z.literal([0, 1, 2])], {
  error: 'CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED',
});
const tlsVersion = z.enum(['TLSv1_2', 'TLSv1_3'], { error: 'TLSv1_2 or TLSv1_3' });

/** The `ssl` section: settings of Python's SSLContext by their names there. */
export const sslSchema = z.looseObject(
  {
    certfile: text('a file name').optional().describe('certificate chain (PEM) this side shows'),
    keyfile: text('a file name').optional().describe('its private key; default: in certfile'),
    password: text('a password').optional().describe('password of the private key'),
    cafile: text('a file name').optional().describe('certificates (PEM) of the authorities that are trusted'),
    verify_mode: verify
      .optional()
      .describe(
        'whether the other side must show a certificate: CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED; default: CERT_REQUIRED with cafile',
      ),
    cert_reqs: verify.optional().describe('the same as verify_mode'),
    cert: text('a file name').optional().describe('the same as certfile, as the Python original has it'),
    key: text('a file name').optional().describe('the same as keyfile'),
    pass: text('a password').optional().describe('the same as password'),
    verify: verify.optional().describe('the same as verify_mode'),
    check_hostname: flag
      .optional()
      .describe('clients: whether the name of the server must fit its certificate'),
    ciphers: text('a list of ciphers').optional().describe('ciphers, in the form of OpenSSL'),
    minimum_version: tlsVersion.optional().describe('least version: TLSv1_2 (default) or TLSv1_3'),
  },
  { error: 'a mapping of TLS settings' },
);
