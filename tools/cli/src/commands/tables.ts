import { loadConfig } from '@kafnus/agent-runtime';
import {
  dataModels,
  serviceOfTopic,
  serviceProblem,
  topicNames,
  versionSettings,
  type VersionConfig,
} from '@kafnus/ngsi-core';
import { createReadStream } from 'node:fs';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { messageOf } from '../error-text.js';
import { connection } from '../kafka/settings.js';
import { duration, instant, parseOptions, wholeNumber } from '../options.js';
import { readNotifications } from '../send/notification-files.js';
import { emptyCatalog, type Catalog } from '../tables/catalog.js';
import { applyPlan, catalogOf, databaseAddress, type DatabaseAddress } from '../tables/database.js';
import type { Finding } from '../tables/finding.js';
import { planTables, type Plan } from '../tables/plan.js';
import { readTopics, type TopicChoice } from '../tables/read-topics.js';
import { applyText, checkText, findingsOf, fits, jsonText, planText, type Report } from '../tables/report.js';
import { sampleAgents, Sampler, type SampleAgent } from '../tables/sample.js';
import { ShapeCollector, type Shapes } from '../tables/shapes.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus tables plan [options]
       kafnus tables apply --database URL [options]
       kafnus tables check --database URL [options]

The PostgreSQL/PostGIS tables that the sinks need, from what flows on the output topics or from
notifications in a file: schemas, tables, columns, primary keys, geometries, indexes.

  plan   prints the SQL for what is missing, and changes nothing
  apply  does the same in one transaction; what is there is never dropped, narrowed or rewritten
  check  tells what would stop a sink, or be stored as something else, before a row fails

Shapes from topics (committed records, up to where the topics end now):
  --topics A,B         output topics; may be repeated, also as --topic A
  --topics-regex RE    all topics whose whole name fits
                       Without either: all output topics by KAFNUS_NAMING and KAFNUS_TOPIC_PREFIX
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
  --max-records N      of each partition the last N records (default 10000)
  --since TIME         nothing older than a date, or than 30m, 12h, ...

Shapes from notifications, before anything flows:
  --sample FILE        as for kafnus send; may be repeated, '-' is standard input
  --service NAME       the tenant (default: default)
  --servicepath PATH   (default: /)
  --datamodel NAME     (default: KAFNUS_DATAMODEL, else ${dataModels[0]})
  --agents LIST        ${sampleAgents.join(',')} (default: all): whose tables

Tables:
  --database URL       postgresql://user@host:5432/database (default: KAFNUS_DATABASE_URL, else
                       PGHOST, PGDATABASE, ...). Without any, plan takes an empty database.
  --error-log          also the table of sink failures of every service that is seen
  --strict-geometry    geometry columns of just the type that was seen; default: any geometry
  --json               print one JSON object
  --help

Exit codes: 0 done, or (check) everything fits; 1 failed, or (check) something does not fit;
2 called wrongly; 130 interrupted.

Examples:
  kafnus tables plan --sample parks.jsonl --service smartcity --servicepath /parks
  kafnus tables apply --brokers localhost:9092 --database postgresql://sink@localhost/city
  kafnus tables check --topics-regex 'smartcity.*' --since 24h --json
`;

const actions = ['plan', 'apply', 'check'] as const;
const DEFAULT_MAX_RECORDS = '10000';

/** `kafnus tables`: makes and checks the tables of the sinks. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      {
        topics: { type: 'string', multiple: true, default: [] },
        topic: { type: 'string', multiple: true, default: [] },
        'topics-regex': { type: 'string' },
        brokers: { type: 'string' },
        'max-records': { type: 'string' },
        since: { type: 'string' },
        sample: { type: 'string', multiple: true, default: [] },
        service: { type: 'string' },
        servicepath: { type: 'string' },
        datamodel: { type: 'string' },
        agents: { type: 'string' },
        database: { type: 'string' },
        'error-log': { type: 'boolean', default: false },
        'strict-geometry': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
      true,
    );
    const [name, surplus] = positionals;
    const action = actions.find((one) => one === name);
    if (action === undefined) {
      const what = name === undefined ? 'what to do is missing' : `unknown action ${quoted(name)}`;
      throw new UsageError(`${what}: kafnus tables plan, apply or check`);
    }
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    const address = databaseAddress(values.database, io.env);
    if (address === undefined && action !== 'plan') {
      throw new UsageError(`${action} needs a database: --database URL, KAFNUS_DATABASE_URL, or PGHOST and PGDATABASE`);
    }

    const fromSample = values.sample.length > 0;
    const misplaced = (fromSample ? TOPIC_OPTIONS : SAMPLE_OPTIONS).find((option) => isGiven(values[option]));
    if (misplaced !== undefined) {
      throw new UsageError(`--${misplaced} is for ${fromSample ? 'topics, not for --sample' : '--sample'}`);
    }
    const seen = fromSample ? await fromFiles(values, io) : await fromTopics(values, io);
    if (seen === undefined) return exitCodes.interrupted;
    if (values['error-log']) seen.collector.addErrorLogs();
    const shapes = seen.collector.shapes();
    const { topics, files } = seen;
    const source = { topics, files, records: shapes.records };
    const planFor = (catalog: Catalog): Plan => {
      const plan = planTables(shapes, catalog, { strictGeometry: values['strict-geometry'] });
      return { ...plan, findings: [...seen.findings, ...plan.findings] };
    };
    const { plan, catalog } = await planned(action, address, shapes, planFor);
    const report: Report = { command: action, source, catalog, plan };
    io.stdout.write(values.json ? jsonText(report) : reportText(report, io));
    return action === 'check' && !fits(findingsOf(report)) ? exitCodes.failure : exitCodes.ok;
  },
};

const TOPIC_OPTIONS = ['topics', 'topic', 'topics-regex', 'brokers', 'max-records', 'since'] as const;
const SAMPLE_OPTIONS = ['service', 'servicepath', 'datamodel', 'agents'] as const;

function isGiven(value: string | readonly string[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}

/** What the shapes are made of. */
interface Seen {
  readonly collector: ShapeCollector;
  readonly topics: readonly string[];
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
}

async function planned(
  action: (typeof actions)[number],
  address: DatabaseAddress | undefined,
  shapes: Shapes,
  planFor: (catalog: Catalog) => Plan,
): Promise<{ readonly plan: Plan; readonly catalog: Catalog }> {
  if (address === undefined) return { plan: planFor(emptyCatalog), catalog: emptyCatalog };
  const schemas = [...new Set(shapes.tables.map(({ table }) => table.schema))];
  if (action === 'apply') return applyPlan(address, schemas, planFor);
  const catalog = await catalogOf(address, schemas);
  return { plan: planFor(catalog), catalog };
}

function reportText(report: Report, io: Io): string {
  if (report.command === 'plan') return planText(report);
  const style = styleOf(wantsColours(io.stdout, io.env));
  const { width } = new Screen(io.stdout);
  return report.command === 'apply' ? applyText(report, width, style) : checkText(report, width, style);
}

/** @returns undefined when the user interrupted */
async function fromTopics(
  values: {
    readonly topics: readonly string[];
    readonly topic: readonly string[];
    readonly 'topics-regex'?: string | undefined;
    readonly brokers?: string | undefined;
    readonly 'max-records'?: string | undefined;
    readonly since?: string | undefined;
  },
  io: Io,
): Promise<Seen | undefined> {
  const choice = topicChoice([...values.topics, ...values.topic], values['topics-regex'], io.env);
  const maxRecords = wholeNumber('--max-records', values['max-records'] ?? DEFAULT_MAX_RECORDS);
  const since = values.since === undefined ? undefined : sinceOf(values.since);
  const { address } = connection(io.env, values.brokers);
  const collector = new ShapeCollector();
  const screen = new Screen(io.stderr);
  let interrupted = false;
  void io.interrupted().then(() => (interrupted = true));
  try {
    const { topics, complete } = await readTopics({
      address,
      choice,
      maxRecords,
      since,
      onRecord: (record) => collector.add(record),
      onProgress: (what) => screen.draw([what]),
      interrupted: () => interrupted,
    });
    return complete ? { collector, topics, files: [], findings: [] } : undefined;
  } finally {
    screen.draw([]);
  }
}

function topicChoice(named: readonly string[], regex: string | undefined, env: Io['env']): TopicChoice {
  const topics = [...new Set(named.flatMap((each) => each.split(',')).map((each) => each.trim()))].filter(
    (each) => each !== '',
  );
  if (regex !== undefined) {
    if (topics.length > 0) throw new UsageError('--topics-regex and --topics are two ways to say it: use one');
    const pattern = wholePattern(regex);
    return { kind: 'matching', matches: (topic) => pattern.test(topic), what: `fits --topics-regex ${quoted(regex)}` };
  }
  if (topics.length > 0) return { kind: 'named', topics };
  const { naming, topicPrefix: prefix, topicSuffix: suffix } = agentConfig(env);
  const names = topicNames({ naming, prefix, suffix, agent: 'historic' });
  const matches = (topic: string): boolean => {
    const service = serviceOfTopic(names, topic);
    return service !== undefined && serviceProblem(names, service) === undefined;
  };
  return {
    kind: 'matching',
    matches,
    what: 'is an output topic by KAFNUS_NAMING, KAFNUS_TOPIC_PREFIX and KAFNUS_TOPIC_SUFFIX',
  };
}

function wholePattern(regex: string): RegExp {
  try {
    return new RegExp(`^(?:${regex})$`);
  } catch (error) {
    throw new UsageError(`--topics-regex ${quoted(regex)} is no regular expression: ${messageOf(error)}`);
  }
}

/** A date, or how long ago. */
function sinceOf(text: string): number {
  return /^\d{4}-/.test(text) ? instant('--since', text) : Date.now() - duration('--since', text);
}

async function fromFiles(
  values: {
    readonly sample: readonly string[];
    readonly service?: string | undefined;
    readonly servicepath?: string | undefined;
    readonly datamodel?: string | undefined;
    readonly agents?: string | undefined;
  },
  io: Io,
): Promise<Seen> {
  const { datamodel } = values;
  if (datamodel !== undefined && !dataModels.some((one) => one === datamodel)) {
    throw new UsageError(`--datamodel must be one of ${dataModels.join(', ')}, not ${quoted(datamodel)}`);
  }
  const headers = { service: values.service ?? 'default', servicepath: values.servicepath ?? '/', datamodel };
  const sampler = new Sampler(agentsOf(values.agents), agentConfig(io.env), headers);
  const collector = new ShapeCollector();
  for (const file of values.sample) {
    const name = file === '-' ? '(stdin)' : file;
    try {
      for await (const entry of readNotifications(name, file === '-' ? io.stdin : createReadStream(file))) {
        if (entry.kind === 'problem') io.stderr.write(`kafnus tables: ${entry.message}\n`);
        else for (const record of sampler.records(entry.value)) collector.add(record);
      }
    } catch (error) {
      throw new Error(`${name} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }
  return { collector, topics: [], files: values.sample, findings: sampler.findings() };
}

function agentsOf(text: string | undefined): readonly SampleAgent[] {
  if (text === undefined) return sampleAgents;
  return text.split(',').map((each) => {
    const agent = sampleAgents.find((one) => one === each.trim());
    if (agent !== undefined) return agent;
    throw new UsageError(`--agents must be of ${sampleAgents.join(', ')}, not ${quoted(each)}`);
  });
}

/**
 * The settings that decide what the agents write, read as they read them; but for the stock sink, which is the one that needs
 * its tables made, unless KAFNUS_SINK says otherwise.
 * @throws ConfigurationError naming the variable that is wrong
 */
function agentConfig(env: Io['env']): VersionConfig {
  const own = Object.values(versionSettings).flatMap(({ env: name }) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const input = {
    argv: [],
    env: { KAFNUS_SINK: 'debezium', KAFNUS_KAFKA_BROKERS: 'localhost:9092', ...Object.fromEntries(own) },
  };
  const outcome = loadConfig<VersionConfig>({ name: 'cli', settings: versionSettings }, input);
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  return outcome.config;
}
