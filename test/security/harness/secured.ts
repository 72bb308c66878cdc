/**
 * A secured cluster with the authentication mechanisms of the four agents. The tests of one file
 * share it.
 */
import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { addAcls, startSecureKafka, withKafka, type SecureKafka } from '@kafnus/agent-testkit';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const cli = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'dist', 'main.js');

export type Env = Readonly<Record<string, string>>;

/** Recognizable secrets, so that leaks are found. */
export const secrets = {
  password: 'PASSWORD-7f3a91',
  client: 'CLIENTSECRET-c40d2e',
} as const;

/** The user and the OAuth client of {@link Logins}. */
export const user = 'scram-user';
export const client = 'oauth-client';

/** The settings with which an agent authenticates. */
interface Logins {
  scram(password?: string): Env;
  /** With a client certificate, as `User:CN=<name>`. */
  mtls(name: string): Env;
  oauth(secret?: string): Env;
}

export interface Secured extends SecureKafka {
  readonly logins: Logins;
}

export function describeSecured(name: string, suite: (secured: () => Secured) => void): void {
  jest.setTimeout(300_000);
  withKafka(describe)(name, () => {
    let secured: Secured | undefined;

    beforeAll(async () => {
      const kafka = await startSecureKafka({
        users: { [user]: secrets.password },
        clients: { [client]: secrets.client },
        tokenSeconds: 12,
      });
      secured = { ...kafka, logins: loginsTo(kafka) };
    });

    afterAll(async () => {
      await secured?.stop();
    });

    suite(() => {
      if (secured === undefined) throw new Error('no Kafka was started');
      return secured;
    });
  });
}

function loginsTo({ authority, servers, tokens, scope }: SecureKafka): Logins {
  const trust = { KAFNUS_KAFKA_SSL_CA: authority.certificate };
  return {
    scram: (password = secrets.password) => ({
      ...trust,
      KAFNUS_KAFKA_BROKERS: servers.scram,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
      KAFNUS_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFNUS_KAFKA_SASL_USERNAME: user,
      KAFNUS_KAFKA_SASL_PASSWORD: password,
    }),
    mtls: (name) => {
      const { certificate, key } = authority.issue({ name });
      return {
        ...trust,
        KAFNUS_KAFKA_BROKERS: servers.mtls,
        KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl',
        KAFNUS_KAFKA_SSL_CERTIFICATE: certificate,
        KAFNUS_KAFKA_SSL_KEY: key,
      };
    },
    oauth: (secret = secrets.client) => ({
      ...trust,
      KAFNUS_KAFKA_BROKERS: servers.oauth,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
      KAFNUS_KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
      KAFNUS_KAFKA_OAUTH_TOKEN_URL: tokens.url,
      KAFNUS_KAFKA_OAUTH_CLIENT_ID: client,
      KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: secret,
      KAFNUS_KAFKA_OAUTH_SCOPE: scope,
    }),
  };
}

/** Grants a principal all rights on a prefix, for tests that are not about rights. */
export async function allowAll({ kafka }: SecureKafka, principal: string, prefix: string): Promise<void> {
  await addAcls(
    kafka.internalServers,
    (['topic', 'group', 'transactional-id'] as const).map((resource) => ({
      principal,
      resource,
      name: prefix,
      pattern: 'prefixed',
      operation: 'All',
    })),
  );
}

export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `kafnus` with these variables and no others. */
export async function kafnus(args: readonly string[], env: Env): Promise<CommandEnd> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli, ...args], {
      env: { PATH: process.env['PATH'], ...env },
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    // `instanceof Error` does not work here: Jest runs tests with separate globals.
    if (typeof error !== 'object' || error === null || !('code' in error && 'stdout' in error && 'stderr' in error))
      throw error;
    return { code: Number(error.code), stdout: String(error.stdout), stderr: String(error.stderr) };
  }
}
