/** What to do about errors of the clients of Kafka and PostgreSQL, whose messages say only what happened. Pure. */

// The first that fits.
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
  [/transactional ?id authorization failed/i, 'give this user Write and Describe on the transactional id'],
  [/group authorization failed/i, 'give this user Read on the consumer group'],
  [/authorization failed/i, 'give this user the right that is missing; the help and the docs of the command say which'],
  [
    /timed out|all broker connections are down|transport failure/i,
    'the brokers must be up, and reachable by the names that they advertise; then run the same command again',
  ],
];

/** A hint for a message, or undefined when it is none of theirs. */
export function nextStep(message: string): string | undefined {
  return steps.find(([pattern]) => pattern.test(message))?.[1];
}
