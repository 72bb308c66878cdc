import { describe, expect, test } from '@jest/globals';
import { loginProblem } from '../src/login-problem.js';

const plaintext = { kafkaSecurityProtocol: 'plaintext', kafkaSaslMechanism: '' } as const;
const scram = { kafkaSecurityProtocol: 'sasl_ssl', kafkaSaslMechanism: 'SCRAM-SHA-512' } as const;
const oauth = { kafkaSecurityProtocol: 'sasl_ssl', kafkaSaslMechanism: 'OAUTHBEARER' } as const;
const broker = '[thrd:sasl_ssl://b-1.city.test:9093/bootstrap]: sasl_ssl://b-1.city.test:9093/bootstrap: ';

describe('a line of the client’s log', () => {
  test.each([
    [
      'SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 325ms in state AUTH_REQ)',
      scram,
      'b-1.city.test:9093 refuses the login: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512; see KAFNUS_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD',
    ],
    [
      'SASL authentication error: {"status":"invalid_token"} (after 3ms in state AUTH_REQ)',
      oauth,
      'b-1.city.test:9093 refuses the login: {"status":"invalid_token"}; the token is not good for it: see the KAFNUS_KAFKA_OAUTH_... settings',
    ],
    [
      'SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified',
      scram,
      'the certificate of b-1.city.test:9093 cannot be trusted: it is not signed by KAFNUS_KAFKA_SSL_CA, has expired, or is for another host name',
    ],
    [
      'Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)',
      scram,
      'b-1.city.test:9093 refuses our certificate (bad certificate): see KAFNUS_KAFKA_SSL_CERTIFICATE and _KEY, and the authority that the brokers trust',
    ],
    [
      'SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)',
      scram,
      'b-1.city.test:9093 does not speak TLS there: see KAFNUS_KAFKA_SECURITY_PROTOCOL and the port',
    ],
    [
      'Disconnected: connection closed by peer: receive 0 after POLLIN (after 2ms in state APIVERSION_QUERY)',
      plaintext,
      'b-1.city.test:9093 hangs up at once: does it want TLS there? See KAFNUS_KAFKA_SECURITY_PROTOCOL and the port',
    ],
  ])('%j names what to look at', (message, config, problem) => {
    expect(loginProblem({ fac: 'FAIL', message: broker + message }, config, true)).toBe(problem);
  });

  test('about a token is shortened: the answer of an identity provider may be a web page', () => {
    const message = `[thrd:background]: Failed to retrieve OIDC token from "https://id.test/token": ${'<html>'.repeat(1000)}`;
    const problem = loginProblem({ fac: 'OIDC', message }, oauth, true) ?? '';
    expect(problem).toMatch(/^no access token: Failed to retrieve OIDC token from "https:\/\/id.test\/token": <html>/);
    expect(problem.length).toBeLessThan(450);
  });

  test.each([
    ['Disconnected: connection closed by peer (after 2ms in state APIVERSION_QUERY)', plaintext, false],
    ['Disconnected: connection closed by peer (after 9000ms in state UP)', plaintext, true],
    [
      "SASL OAUTHBEARER mechanism handshake failed: Local: Broker transport failure: broker's supported mechanisms: (n/a)",
      oauth,
      true,
    ],
    ['Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)', scram, true],
  ])('%j is about something else', (message, config, starting) => {
    expect(loginProblem({ fac: 'FAIL', message: broker + message }, config, starting)).toBeUndefined();
    expect(loginProblem({ fac: 'GETPID', message: broker + message }, config, true)).toBeUndefined();
  });
});
