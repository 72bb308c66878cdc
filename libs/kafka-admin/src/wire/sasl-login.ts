/**
 * SASL as a Kafka client speaks it: the messages of a mechanism, one after the other. SCRAM is RFC
 * 5802 (without channel binding, as Kafka has it: KIP-84), PLAIN RFC 4616, OAUTHBEARER RFC 7628
 * with a token by client credentials (RFC 6749, section 4.4).
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { promisify } from 'node:util';
import type { KafkaConnectionConfig } from '../connection-config.js';
import { pemText } from './tls-options.js';

/**
 * Sends a message of the mechanism, and brings the broker's answer.
 * @throws Error when the broker refuses
 */
export type Exchange = (message: Buffer) => Promise<Buffer>;

type Login = (config: KafkaConnectionConfig, exchange: Exchange) => Promise<void>;

const logins: Readonly<Record<string, Login>> = {
  PLAIN: async ({ kafkaSaslUsername, kafkaSaslPassword }, exchange) => {
    await exchange(Buffer.from(`\0${kafkaSaslUsername}\0${kafkaSaslPassword}`));
  },
  'SCRAM-SHA-256': (config, exchange) => scram('sha256', config, exchange),
  'SCRAM-SHA-512': (config, exchange) => scram('sha512', config, exchange),
  OAUTHBEARER: async (config, exchange) => {
    const answer = await exchange(Buffer.from(`n,,\u0001auth=Bearer ${await token(config)}\u0001\u0001`));
    if (answer.length > 0) throw new Error('the broker did not take the token');
  },
};

/** Whether this client can log in by the mechanism: GSSAPI takes a Kerberos library. */
export function canLogIn(mechanism: string): boolean {
  return Object.hasOwn(logins, mechanism);
}

/** Whether a WireConnection can log in: with Kerberos only the Kafka client can. */
export function canConnect({ kafkaSecurityProtocol, kafkaSaslMechanism }: KafkaConnectionConfig): boolean {
  return !kafkaSecurityProtocol.startsWith('sasl_') || canLogIn(kafkaSaslMechanism);
}

/** @throws Error when the broker, or the identity provider, says no */
export async function logIn(config: KafkaConnectionConfig, exchange: Exchange): Promise<void> {
  await logins[config.kafkaSaslMechanism]?.(config, exchange);
}

const minIterations = 4096;
/** RFC 5802 names none. More would let a broker that is none keep this process busy. */
const maxIterations = 1_000_000;

async function scram(hash: 'sha256' | 'sha512', config: KafkaConnectionConfig, exchange: Exchange): Promise<void> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const user = config.kafkaSaslUsername.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const nonce = randomBytes(24).toString('base64');
  const first = `n=${user},r=${nonce}`;
  const serverFirst = String(await exchange(Buffer.from(`n,,${first}`)));
  const [, serverNonce = '', salt = '', rounds = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst) ?? [];
  const iterations = Number(rounds);
  if (!serverNonce.startsWith(nonce) || iterations < minIterations || iterations > maxIterations)
    throw new Error('the broker does not follow RFC 5802');

  const length = createHash(hash).digest().length;
  const salted = await promisify(pbkdf2)(
    config.kafkaSaslPassword,
    Buffer.from(salt, 'base64'),
    iterations,
    length,
    hash,
  );
  const withoutProof = `c=${Buffer.from('n,,').toString('base64')},r=${serverNonce}`;
  const messages = `${first},${serverFirst},${withoutProof}`;
  const clientKey = hmac(salted, 'Client Key');
  const signature = hmac(createHash(hash).update(clientKey).digest(), messages);
  const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
  const serverFinal = String(await exchange(Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)));
  const serverSignature = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? '', 'base64');
  const expected = hmac(hmac(salted, 'Server Key'), messages);
  if (serverSignature.length !== expected.length || !timingSafeEqual(serverSignature, expected))
    throw new Error('the broker does not know the password itself: it is none of this cluster');
}

const tokenTimeoutMs = 10_000;
const maxTokenBytes = 1 << 20;

/**
 * A new access token.
 * @throws Error naming the endpoint, and never what it answered: that may hold secrets
 */
async function token(config: KafkaConnectionConfig): Promise<string> {
  const { kafkaOauthTokenUrl: url, kafkaOauthClientId: id, kafkaOauthClientSecret: secret } = config;
  const failed = (why: string): Error => new Error(`no token from ${url}: ${why}`);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(config.kafkaOauthScope === '' ? {} : { scope: config.kafkaOauthScope }),
  });
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  const answer = await new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
          authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
        },
        signal: AbortSignal.timeout(tokenTimeoutMs),
        ...pemText('ca', config.kafkaOauthCa),
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > maxTokenBytes) response.destroy(new Error('it is too long'));
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    sent.on('error', (error) => reject(failed(error.message)));
    sent.end(form.toString());
  });
  if (answer.status !== 200) throw failed(`it answered ${answer.status}`);
  const found = accessToken(answer.body);
  if (found === undefined) throw failed('its answer holds no access_token');
  return found;
}

function accessToken(body: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== 'object' || answer === null || !('access_token' in answer)) return undefined;
    return typeof answer.access_token === 'string' ? answer.access_token : undefined;
  } catch {
    return undefined;
  }
}
