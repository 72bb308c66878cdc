/**
 * What is wrong when the brokers and this client do not come together for reasons of security, in
 * an operator's words. The error that follows says "ssl error" or "authentication failure" and no
 * more; librdkafka tells the reason in its log only.
 */
import type { KafkaConnectionConfig } from './connection-config.js';

/** A line of librdkafka's log. */
export interface ClientLogEntry {
  readonly fac: string;
  readonly message: string;
}

const maxDetail = 300;

/**
 * @param starting no broker has answered yet: one that hangs up at once is then no broker that
 *   restarts
 * @returns what fails, and which settings to look at; undefined when the line is about something
 *   else
 */
export function loginProblem(
  { fac, message }: ClientLogEntry,
  config: Pick<KafkaConnectionConfig, 'kafkaSecurityProtocol' | 'kafkaSaslMechanism'>,
  starting: boolean,
): string | undefined {
  if (fac === 'OIDC') {
    const detail = /Failed to retrieve OIDC token from .*/s.exec(message)?.[0];
    if (detail === undefined) return undefined;
    return `no access token: ${shortened(detail)}; see KAFNUS_KAFKA_OAUTH_TOKEN_URL, _CLIENT_ID, _CLIENT_SECRET, _SCOPE and _CA`;
  }
  if (fac !== 'FAIL') return undefined;
  const [, broker = 'a broker'] = /\b(?:\w+:\/\/)?([\w.-]+:\d+)\//.exec(message) ?? [];
  // Other ends of a handshake are those of the connection: a broker that stops, for example.
  const login =
    /SASL (?:authentication error: |\S+ mechanism handshake failed: (?=Broker: Unsupported))(.*?)(?: \(after .*)?$/s.exec(
      message,
    )?.[1];
  if (login !== undefined) {
    const settings =
      config.kafkaSaslMechanism === 'OAUTHBEARER'
        ? 'the token is not good for it: see the KAFNUS_KAFKA_OAUTH_... settings'
        : 'see KAFNUS_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD';
    return `${broker} refuses the login: ${shortened(login)}; ${settings}`;
  }
  if (/certificate verify failed/.test(message)) {
    return `the certificate of ${broker} cannot be trusted: it is not signed by KAFNUS_KAFKA_SSL_CA, has expired, or is for another host name`;
  }
  const alert = /\balert ([a-z]+(?: [a-z]+){0,9})(?:: SSL alert number \d| ?\()/.exec(message)?.[1];
  if (alert !== undefined) {
    return `${broker} refuses our certificate (${alert}): see KAFNUS_KAFKA_SSL_CERTIFICATE and _KEY, and the authority that the brokers trust`;
  }
  if (/connecting to a PLAINTEXT broker listener/.test(message)) {
    return `${broker} does not speak TLS there: see KAFNUS_KAFKA_SECURITY_PROTOCOL and the port`;
  }
  if (starting && config.kafkaSecurityProtocol.endsWith('plaintext') && /in state APIVERSION_QUERY/.test(message)) {
    return `${broker} hangs up at once: does it want TLS there? See KAFNUS_KAFKA_SECURITY_PROTOCOL and the port`;
  }
  return undefined;
}

function shortened(text: string): string {
  return text.length > maxDetail ? `${text.slice(0, maxDetail)}...` : text;
}
