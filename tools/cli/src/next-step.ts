/** Hints for errors of the Kafka and PostgreSQL clients, whose messages have none. Pure. */

// The first one that matches is used.
const steps: readonly (readonly [RegExp, string])[] = [
  [
    /no connection to the database .*(authentication|password|no pg_hba|role )/i,
    'check user and password of --database (or KAFNUS_DATABASE_URL, PGUSER, PGPASSWORD), and pg_hba.conf of the server',
  ],
  [
    /no connection to the database/,
    'check host, port and database of --database (or KAFNUS_DATABASE_URL, PGHOST, ...), and that PostgreSQL listens there',
  ],
  [
    /authentication|sasl|ssl handshake|certificate/i,
    'check the user, the password and the certificates (KAFNUS_KAFKA_SASL_..., KAFNUS_KAFKA_SSL_...)',
  ],
  [
    /No Kafka answers at/,
    'check --brokers or KAFNUS_KAFKA_BROKERS, that a broker listens there, and KAFNUS_KAFKA_SECURITY_PROTOCOL',
  ],
  [/transactional ?id authorization failed/i, 'grant Write and Describe on the transactional id'],
  [/group authorization failed/i, 'grant Read on the consumer group'],
  [/authorization failed/i, 'grant the missing right; the help and the docs of the command list the rights'],
  [
    /timed out|all broker connections are down|transport failure/i,
    'check that the brokers are up and reachable by their advertised listeners; then run the same command again',
  ],
];

/** The hint for an error message; undefined when there is none. */
export function nextStep(message: string): string | undefined {
  return steps.find(([pattern]) => pattern.test(message))?.[1];
}
