import { describe, expect, test } from '@jest/globals';
import { maxMaskedLength, maskCredentials } from '../src/sink-failure-mask.js';

describe('credentials in a message are masked (SPEC 7)', () => {
  test.each([
    [
      'Connection to jdbc:postgresql://user:pass@host:5432/db refused',
      'Connection to jdbc:postgresql://***@host:5432/db refused',
    ],
    ['postgres://u:p%40ss@h1,h2/db', 'postgres://***@h1,h2/db'],
    ['postgres://:p@h', 'postgres://***@h'],
    ['postgres://u:p@ss@h/db', 'postgres://***@h/db'],
    ['postgres://u:pa/ss#1@h/db', 'postgres://***@h/db'],
    ['https://ghp_1234567890@github.com/x', 'https://***@github.com/x'],
    ['a://u:p@h, b://u:q@h', 'a://***@h, b://***@h'],
    [
      'jdbc:postgresql://host/db?user=sink&password=s3cret&ssl=true',
      'jdbc:postgresql://host/db?user=sink&password=***&ssl=true',
    ],
    ['password=s3cret', 'password=***'],
    ['PASSWORD = s3cret next', 'PASSWORD = *** next'],
    ['passwd=s3cret pwd=s3cret', 'passwd=*** pwd=***'],
    ['{password=s3cret, user=bob}', '{password=*** user=bob}'],
    ['connection.password: s3cret', 'connection.password: ***'],
    ['ssl.keystore.password="s3 cret" x', 'ssl.keystore.password="***" x'],
    ["password='s3''cret' x", "password='***' x"],
    ["'password=''s3 cret'' x'", "'password=''***'' x'"],
    ['password="s3\\"cret" x', 'password="***" x'],
    ['password="never closed', 'password="***'],
    ['{"password":"s3cret","user":"bob"}', '{"password":"***","user":"bob"}'],
    ['{"a":"{\\"password\\":\\"s3cret\\",\\"b\\":1}"}', '{"a":"{\\"password\\":\\"***\\",\\"b\\":1}"}'],
    [
      'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="s3cret";',
      'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="***";',
    ],
    ["password= passwd='s3cret'", "password= ***'***'"],
    ['password: {"connection.password": "s3cret"}', 'password: ***"connection.password": "***"}'],
    ['client_secret=s3cret', 'client_secret=***'],
    ['token=s3cret', 'token=***'],
    ['access_token: "s3cret"', 'access_token: "***"'],
    ['api-key=s3cret apikey=s3cret', 'api-key=*** apikey=***'],
    ['aws_secret_access_key=s3cret', 'aws_secret_access_key=***'],
    ['Authorization: Bearer s3cret', 'Authorization: ***'],
    ['Authorization: Basic dXNlcjpwYXNz', 'Authorization: ***'],
    ['used Bearer eyJhbGciOiJIUzI1NiJ9.eyJ.sig', 'used Bearer ***'],
    ["ALTER ROLE x PASSWORD 's3cret' VALID", "ALTER ROLE x PASSWORD '***' VALID"],
    ["value 'jdbc:x?password=s3cret' at", "value 'jdbc:x?password=***' at"],
  ])('%s', (text, masked) => {
    expect(maskCredentials(text)).toBe(masked);
  });

  test.each([
    'FATAL: password authentication failed for user "sink"',
    "Unrecognized token 'rawkey': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
    'Unexpected token: } at 1',
    'http://host:8080/v2/entities?q=a@b',
    'see https://example.org/docs and mail a@b.org',
    "password='' x",
    'Bearer of news',
    'INSERT INTO "t" ("password","x") VALUES (1,2)',
    '',
  ])('left alone: %s', (text) => {
    expect(maskCredentials(text)).toBe(text);
  });
});

describe('a text of megabytes', () => {
  const mark = /^\.\.\. \[truncated \d+ chars\]$/;

  test('is masked as far as it is read, and the rest is counted', () => {
    const masked = maskCredentials(`password=${'x'.repeat(20_000_000)}`);
    expect(masked).toBe(`password=***... [truncated ${20_000_009 - maxMaskedLength} chars]`);
  });

  test.each([
    'postgres://user:S3CR3T@host/db',
    'postgres://user:S3/CR3T?x#y@host/db',
    'Authorization: Bearer S3CR3TS3CR3TS3CR3T',
    'got bearer S3CR3TS3CR3TS3CR3T',
    `password='S3CR3T it''s S3CR3T' and more`,
    `{\\"password\\":\\"S3CR3T S3CR3T\\"}`,
    `ALTER ROLE x PASSWORD 'S3CR3T'`,
    'token=S3CR3T&secret=S3CR3T',
  ])('is cut so that no part of a secret shows: %s', (secret) => {
    // The text before it is masked to a few characters, so a log table would show the cut.
    for (let kept = 0; kept <= secret.length; kept += 1) {
      const head = `password=${'p'.repeat(maxMaskedLength - kept - 'password= '.length)} `;
      const masked = maskCredentials(`${head}${secret} ${'rest '.repeat(1000)}`);
      expect(masked).not.toMatch(/S3|CR3T/);
      expect(masked.slice(masked.indexOf('... [truncated'))).toMatch(mark);
    }
  });
});
