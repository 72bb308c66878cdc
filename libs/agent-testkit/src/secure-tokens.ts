/**
 * An identity provider for tests: it issues access tokens (JWT, RFC 7519) for client credentials
 * (RFC 6749, section 4.4).
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** The answers of the token endpoint: valid tokens, an error, or tokens with a wrong signature. */
type TokenAnswer = 'token' | 'unavailable' | 'forged';

export interface TokenProvider {
  /** The token endpoint; its address does not change. */
  readonly url: string;
  /** The public keys (RFC 7517) with which brokers verify tokens. */
  readonly jwks: string;
  /** The number of issued tokens by client. */
  readonly issued: ReadonlyMap<string, number>;
  answer: TokenAnswer;
  /** The secret of each client; tests may change it. */
  readonly secrets: Map<string, string>;
  close(): Promise<void>;
}

export interface TokenProviderOptions {
  readonly secrets: Readonly<Record<string, string>>;
  readonly audience: string;
  readonly scope: string;
  /** Of a token. */
  readonly lifetimeSeconds: number;
}

export async function startTokenProvider(options: TokenProviderOptions): Promise<TokenProvider> {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomUUID();
  const issued = new Map<string, number>();
  const secrets = new Map(Object.entries(options.secrets));

  const tokenFor = (client: string, forged: boolean): string => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'https://identity.test',
      sub: client,
      aud: options.audience,
      scope: options.scope,
      iat: now,
      exp: now + options.lifetimeSeconds,
      jti: randomUUID(),
    };
    const content = `${encoded({ alg: 'RS256', typ: 'JWT', kid })}.${encoded(claims)}`;
    const key = forged ? foreign.privateKey : keys.privateKey;
    return `${content}.${sign('sha256', Buffer.from(content), key).toString('base64url')}`;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const form = new URLSearchParams(body);
    if (provider.answer === 'unavailable') return answer(503, { error: 'temporarily_unavailable' });
    const { client, secret } = credentials(request, form);
    if (!secrets.has(client) || secrets.get(client) !== secret) return answer(401, { error: 'invalid_client' });
    if (form.get('grant_type') !== 'client_credentials') return answer(400, { error: 'unsupported_grant_type' });
    if (form.get('scope') !== options.scope) return answer(400, { error: 'invalid_scope' });
    issued.set(client, (issued.get(client) ?? 0) + 1);
    const token = tokenFor(client, provider.answer === 'forged');
    answer(200, { access_token: token, token_type: 'Bearer', expires_in: options.lifetimeSeconds });
  };

  const server = createServer((request, response) => void handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the token endpoint has no port');
  const provider: TokenProvider = {
    url: `http://127.0.0.1:${address.port}/token`,
    jwks: JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] }),
    issued,
    answer: 'token',
    secrets,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return provider;
}

/**
 * The credentials in the Authorization header or in the form (RFC 6749, section 2.3.1). librdkafka
 * does not encode those in the header.
 */
function credentials(request: IncomingMessage, form: URLSearchParams): { client: string; secret: string } {
  const basic = /^Basic (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic === undefined) return { client: form.get('client_id') ?? '', secret: form.get('client_secret') ?? '' };
  const text = Buffer.from(basic, 'base64').toString();
  const colon = text.indexOf(':');
  return { client: text.slice(0, colon), secret: text.slice(colon + 1) };
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
