/**
 * A certificate authority for tests: X.509 certificates (RFC 5280) with P-256 keys. Node.js cannot
 * create certificates, and the tests need expired ones as well.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key (PKCS #8), as PEM. */
interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

interface CertificateOptions {
  /** The subject's common name: Kafka's principal is `User:CN=<name>`. */
  readonly name: string;
  /** The host names and IP addresses of a server. Without any it is a client certificate. */
  readonly hosts?: readonly string[];
  /** Seconds from now. Default: an hour ago, and a day ahead. */
  readonly validFrom?: number;
  readonly validUntil?: number;
}

export interface CertificateAuthority {
  /** The certificate that clients and servers trust, as PEM. */
  readonly certificate: string;
  issue(options: CertificateOptions): Certificate;
}

export function certificateAuthority(name: string): CertificateAuthority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension('55 1d 13', sequence(boolean(true)), true),
    // keyCertSign and cRLSign.
    extension('55 1d 0f', tagged(0x03, Buffer.from([1, 0x06])), true),
  ];
  const validity = { from: -3600, until: 86_400 };
  return {
    certificate: certificate({
      subject: name,
      issuer: name,
      publicKey: keys.publicKey,
      signer: keys.privateKey,
      ...validity,
      extensions,
    }),
    issue({ name: subject, hosts = [], validFrom: from = validity.from, validUntil: until = validity.until }) {
      const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return {
        certificate: certificate({
          subject,
          issuer: name,
          publicKey: own.publicKey,
          signer: keys.privateKey,
          from,
          until,
          extensions: hosts.length === 0 ? [] : [extension('55 1d 11', sequence(...hosts.map(alternativeName)))],
        }),
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  /** Seconds from now. */
  readonly from: number;
  readonly until: number;
  readonly extensions: readonly Buffer[];
}

function certificate({ subject, issuer, publicKey, signer, from, until, extensions }: Contents): string {
  const ecdsaWithSha256 = sequence(oid('2a 86 48 ce 3d 04 03 02'));
  // The first octet is between 1 and 0x7f: a positive number without leading zeros.
  const serial = randomBytes(12);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const content = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(utcTime(from), utcTime(until)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [tagged(0xa3, sequence(...extensions))]),
  );
  const der = sequence(content, ecdsaWithSha256, bitString(sign('sha256', content, signer)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** DER (X.690): tag, length, contents. */
function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => tagged(0x30, ...contents);
const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
const bitString = (bits: Buffer): Buffer => tagged(0x03, Buffer.from([0]), bits);
const oid = (hex: string): Buffer => tagged(0x06, Buffer.from(hex.replaceAll(' ', ''), 'hex'));

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('55 04 03'), tagged(0x0c, Buffer.from(name)))));
}

/** `YYMMDDHHMMSSZ`: valid until 2049. */
function utcTime(secondsFromNow: number): Buffer {
  const iso = new Date(Date.now() + secondsFromNow * 1000).toISOString();
  return tagged(0x17, Buffer.from(`${iso.slice(2, 19).replace(/[-:T]/g, '')}Z`));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function alternativeName(host: string): Buffer {
  if (isIP(host) === 4) return tagged(0x87, Buffer.from(host.split('.').map(Number)));
  return tagged(0x82, Buffer.from(host));
}
