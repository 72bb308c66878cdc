/**
 * A real Kafka as in production: TLS on all listeners for clients, three kinds of login, and ACLs
 * that deny by default.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { freePorts } from '@kafnus/local-stack';
import { certificateAuthority, type CertificateAuthority } from './secure-certificates.js';
import { startTokenProvider, type TokenProvider } from './secure-tokens.js';

export interface SecureKafkaOptions {
  /** SCRAM-SHA-512 users with their passwords. */
  readonly users: Readonly<Record<string, string>>;
  /** OAuth clients with their secrets. */
  readonly clients: Readonly<Record<string, string>>;
  /** The lifetime of an access token, and of the sessions that it authenticates (KIP-368). */
  readonly tokenSeconds: number;
}

export interface SecureKafka {
  /**
   * The broker. Its listeners CONTROLLER and INTERNAL are plaintext; users of INTERNAL are allowed
   * everything.
   */
  readonly kafka: LocalKafka;
  /** Bootstrap servers by kind of login. */
  readonly servers: {
    /** Mutual TLS: the principal is the certificate's subject, `User:CN=<name>`. */
    readonly mtls: string;
    /** SASL_SSL with SCRAM-SHA-512. */
    readonly scram: string;
    /** SASL_SSL with OAUTHBEARER: the principal is the token's `sub`. */
    readonly oauth: string;
    /** As {@link scram}, with a certificate that has expired. */
    readonly expired: string;
    /** As {@link scram}, with the certificate of another host. */
    readonly elsewhere: string;
  };
  readonly authority: CertificateAuthority;
  readonly tokens: TokenProvider;
  /** The scope that {@link tokens} asks for. */
  readonly scope: string;
  /** Gives a SCRAM user another password. */
  setPassword(user: string, password: string): Promise<void>;
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const audience = 'kafka';
const scope = 'kafnus';

/** Starts one broker; it takes some seconds more than {@link startLocalKafka}. */
export async function startSecureKafka({ users, clients, tokenSeconds }: SecureKafkaOptions): Promise<SecureKafka> {
  const authority = certificateAuthority('kafnus test authority');
  const tokens = await startTokenProvider({ secrets: clients, audience, scope, lifetimeSeconds: tokenSeconds });
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-secure-'));
  const jwks = join(folder, 'jwks.json');
  writeFileSync(jwks, tokens.jwks);
  const jwksUrl = pathToFileURL(jwks).href;

  const names = ['mtls', 'scram', 'oauth', 'expired', 'elsewhere'] as const;
  const ports = await freePorts(names.length);
  const listeners = names.map((name, index) => ({
    name: name.toUpperCase(),
    port: ports[index] ?? 0,
    protocol: name === 'mtls' ? 'SSL' : 'SASL_SSL',
  }));
  const server = (name: (typeof names)[number]): string => `${host}:${ports[names.indexOf(name)] ?? 0}`;
  const scramLogin = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const tokenLogin = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;';
  const kafkaPackage = 'org.apache.kafka.common.security.oauthbearer';

  try {
    const kafka = await startLocalKafka({
      authorizer: true,
      listeners,
      // Brokers read keys only from listed files (CVE-2025-27817).
      jvm: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${jwksUrl}`],
      properties: {
        ...tlsOf('mtls', authority, { name: 'broker', hosts: [host] }),
        'listener.name.mtls.ssl.client.auth': 'required',
        ...tlsOf('scram', authority, { name: 'broker', hosts: [host] }),
        ...tlsOf('oauth', authority, { name: 'broker', hosts: [host] }),
        ...tlsOf('expired', authority, { name: 'broker', hosts: [host], validFrom: -7200, validUntil: -3600 }),
        ...tlsOf('elsewhere', authority, { name: 'broker', hosts: ['elsewhere.test'] }),
        ...Object.fromEntries(
          ['scram', 'expired', 'elsewhere'].flatMap((name) => [
            [`listener.name.${name}.sasl.enabled.mechanisms`, 'SCRAM-SHA-512'],
            [`listener.name.${name}.scram-sha-512.sasl.jaas.config`, scramLogin],
          ]),
        ),
        'listener.name.oauth.sasl.enabled.mechanisms': 'OAUTHBEARER',
        'listener.name.oauth.oauthbearer.sasl.jaas.config': tokenLogin,
        'listener.name.oauth.oauthbearer.sasl.server.callback.handler.class': `${kafkaPackage}.OAuthBearerValidatorCallbackHandler`,
        'listener.name.oauth.sasl.oauthbearer.jwks.endpoint.url': jwksUrl,
        'listener.name.oauth.sasl.oauthbearer.expected.audience': audience,
        // On a broker, the default of Kafka 4.1.0 does not verify signatures, and accepts any
        // token.
        'listener.name.oauth.sasl.oauthbearer.jwt.validator.class': `${kafkaPackage}.BrokerJwtValidator`,
        // A session ends with its token; without this it would last as long as the connection.
        'listener.name.oauth.oauthbearer.connections.max.reauth.ms': `${tokenSeconds * 1000}`,
      },
    });
    const secure: SecureKafka = {
      kafka,
      servers: {
        mtls: server('mtls'),
        scram: server('scram'),
        oauth: server('oauth'),
        expired: server('expired'),
        elsewhere: server('elsewhere'),
      },
      authority,
      tokens,
      scope,
      async setPassword(user, password) {
        const change = `SCRAM-SHA-512=[iterations=4096,password=${password}]`;
        const whom = ['--entity-type', 'users', '--entity-name', user];
        await kafka.tool('kafka.admin.ConfigCommand', '--alter', '--add-config', change, ...whom);
      },
      async stop() {
        await kafka.stop();
        await tokens.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
    await Promise.all(Object.entries(users).map(([user, password]) => secure.setPassword(user, password)));
    return secure;
  } catch (error) {
    await tokens.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The broker's certificate on a listener, and the certificates that it trusts there. */
function tlsOf(
  listener: string,
  authority: CertificateAuthority,
  options: Parameters<CertificateAuthority['issue']>[0],
): Record<string, string> {
  const { certificate, key } = authority.issue(options);
  const settings = {
    'keystore.type': 'PEM',
    'keystore.certificate.chain': certificate,
    'keystore.key': key,
    'truststore.type': 'PEM',
    'truststore.certificates': authority.certificate,
  };
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`listener.name.${listener}.ssl.${name}`, value]),
  );
}
