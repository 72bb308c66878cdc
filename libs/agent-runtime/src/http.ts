/**
 * Health, metrics, a status page and the log level over HTTP (SPEC 11). It answers in JSON (metrics
 * in Prometheus text, the page in HTML), shows no stack traces, and takes one kind of change, `PUT
 * /loglevel`: for that an admin token is needed, or a loopback address.
 */
import { messageOf } from '@kafnus/kafka-admin';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { logLevels } from './config.js';
import type { LogLevel } from './config.js';
import { limitConnections } from './http-connections.js';
import { Activity, sampleSeconds } from './page/activity.js';
import type { ActivitySample } from './page/activity.js';
import { pageHeaders, statusPage } from './page/status-page.js';
import type { AgentStatus, StatusReport } from './status.js';
import type { Telemetry } from './telemetry.js';

export interface HttpOptions {
  readonly status: () => AgentStatus;
  /** @returns the reason in words also when it is ready */
  readonly ready: () => { readonly ready: boolean; readonly reason: string };
  readonly live: () => { readonly live: boolean; readonly reason: string };
  readonly telemetry: Pick<Telemetry, 'scrape' | 'setLevel' | 'logger' | 'outputs' | 'lastRejects'>;
  /** With secrets masked. */
  readonly printableConfig: object;
  /** Empty: none. */
  readonly adminToken: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface HttpServer {
  /** @throws Error that names the address and the settings, when it cannot be had */
  listen(): Promise<{ readonly address: string; readonly port: number }>;
  /** Ends open connections, the idle and the busy. */
  close(): Promise<void>;
}

const routes = [
  'GET /',
  'GET /status.json',
  'GET /live',
  'GET /ready',
  'GET /health',
  'GET /metrics',
  'GET /config',
  'GET /loglevel',
  'PUT /loglevel',
];
const maxBodyBytes = 1024;
const maxConnections = 256;

export function createHttp(options: HttpOptions): HttpServer {
  const { status, ready, live, telemetry } = options;
  const app = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    // How long a request may be on its way: its headers, and all of it. Looked at every second, and
    // not every 30 s as by default.
    http: { headersTimeout: 5000, connectionsCheckingInterval: 1000 },
    requestTimeout: 10_000,
    keepAliveTimeout: 65_000,
    // An orderly stop must not wait for a client that keeps its connection.
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    frameworkErrors: (error, _request, reply) => void answerError(error, reply),
  });
  limitConnections(app.server, maxConnections);

  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    if ((error.statusCode ?? 500) >= 500) telemetry.logger.error({ err: error }, 'HTTP request failed');
    return answerError(error, reply);
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'no such route', routes }));

  const activity = new Activity();
  const sampling = setInterval(() => activity.sample(sampleOf(options)), sampleSeconds * 1000);
  sampling.unref();
  app.addHook('onClose', () => clearInterval(sampling));

  app.get('/', (_request, reply) => reply.headers(pageHeaders).send(statusPage(reportOf(options, activity))));
  app.get('/status.json', (_request, reply) =>
    reply.header('cache-control', 'no-store').send(reportOf(options, activity)),
  );
  app.get('/live', (_request, reply) => {
    const answer = live();
    return reply.code(answer.live ? 200 : 503).send(answer);
  });
  app.get('/ready', (_request, reply) => {
    const answer = ready();
    return reply.code(answer.ready ? 200 : 503).send(answer);
  });
  app.get('/health', () => status());
  app.get('/config', () => options.printableConfig);
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await telemetry.scrape();
    return reply.header('content-type', contentType).send(body);
  });
  app.get('/loglevel', () => ({ level: telemetry.logger.level }));
  app.put<{ Body: { level: LogLevel } }>(
    '/loglevel',
    {
      // Before the body is read: who may not write has no say in how much is parsed.
      onRequest: (request, reply) => authorize(app, options.adminToken, request, reply),
      schema: {
        body: {
          type: 'object',
          required: ['level'],
          additionalProperties: false,
          properties: { level: { type: 'string', enum: logLevels } },
        },
      },
      errorHandler: (error, _request, reply) => {
        if (error.validation === undefined) void answerError(error, reply);
        else
          void reply.code(400).send({ error: `the body must be {"level": "..."} with one of ${logLevels.join(', ')}` });
      },
    },
    (request) => {
      telemetry.setLevel(request.body.level);
      return { level: request.body.level };
    },
  );

  return {
    async listen() {
      try {
        await app.listen({ host: options.host, port: options.port });
      } catch (error) {
        throw new Error(
          `cannot listen on ${options.host}:${options.port} (KAFNUS_HTTP_HOST, KAFNUS_HTTP_PORT): ${messageOf(error)}`,
        );
      }
      const { address, port } = addressOf(app);
      return { address, port };
    },
    close: () => app.close(),
  };
}

function sampleOf({ status, telemetry }: HttpOptions): ActivitySample {
  const { ledger, lag } = status();
  const rejected = Object.values(ledger.rejected).reduce((sum, count) => sum + count, 0);
  return { read: ledger.read, outputs: telemetry.outputs, rejected, lag };
}

function reportOf({ status, ready, live, telemetry }: HttpOptions, activity: Activity): StatusReport {
  const { ledger, ...rest } = status();
  const { read, emitted, rekeyed, skipped, rejected } = ledger;
  return {
    time: new Date().toISOString(),
    ...rest,
    ready: ready(),
    live: live(),
    ledger: { read, emitted, rekeyed, skipped, rejected },
    activity: activity.recent(),
    rejects: telemetry.lastRejects,
  };
}

function addressOf(app: FastifyInstance): AddressInfo {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('the HTTP server listens on no TCP port');
  return address;
}

/** The client's mistakes are in the answer; our errors are in the log only. */
function answerError(error: FastifyError, reply: FastifyReply): FastifyReply {
  const code = error.statusCode ?? 500;
  return reply.code(code).send({ error: code >= 500 ? 'internal error; the log says more' : error.message });
}

async function authorize(
  app: FastifyInstance,
  token: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (token === '') {
    if (isLoopback(addressOf(app).address)) return;
    await reply.code(403).send({
      error:
        'changes are off: the server listens beyond loopback and has no admin token. Set KAFNUS_ADMIN_TOKEN (or KAFNUS_ADMIN_TOKEN_FILE), or KAFNUS_HTTP_HOST=127.0.0.1',
    });
    return;
  }
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined && sameSecret(given, token)) return;
  const error =
    given === undefined ? 'send the admin token: Authorization: Bearer <token>' : 'the admin token is wrong';
  await reply.code(401).header('www-authenticate', 'Bearer').send({ error });
}

/** In constant time; the digests make the lengths equal. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}
