/** Certificates and keys of the settings, as Node takes them. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { isPem, type KafkaConnectionConfig } from '../connection-config.js';

/** Where Linux keeps what it trusts: librdkafka looks there as well, Node does not. */
const systemBundles = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

/**
 * A setting that is a path or the PEM text itself; nothing where it is empty.
 * @throws Error when the file cannot be read
 */
export function pemText(name: 'ca' | 'cert' | 'key', value: string): Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> {
  if (value !== '') return { [name]: isPem(value) ? value : readFileSync(value, 'utf8') };
  const bundle = name === 'ca' ? systemBundles.find((path) => existsSync(path)) : undefined;
  return bundle === undefined ? {} : { ca: readFileSync(bundle, 'utf8') };
}

/** The broker's certificate must be of its host name, as librdkafka demands it too. */
export function tlsOptions(config: KafkaConnectionConfig, host: string): ConnectionOptions {
  return {
    ...pemText('ca', config.kafkaSslCa),
    ...pemText('cert', config.kafkaSslCertificate),
    ...pemText('key', config.kafkaSslKey),
    ...(config.kafkaSslKeyPassword === '' ? {} : { passphrase: config.kafkaSslKeyPassword }),
    // An address is no server name (RFC 6066, section 3).
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
}
