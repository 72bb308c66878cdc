import { loadConfig } from '@kafnus/agent-runtime';
import { messageOf } from '@kafnus/kafka-admin';
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
import { connection } from '../kafka/connection.js';
import { actionOf, instantOrAge, parseOptions, wholeNumber } from '../options.js';
import { readNotifications } from '../send/notification-files.js';
import { emptyCatalog, type DatabaseCatalog } from '../tables/database-catalog.js';
import { applyPlan, catalogOf, databaseAddress, type DatabaseAddress } from '../tables/database.js';
import type { TableFinding } from '../tables/table-finding.js';
import { planTables, type TablesPlan } from '../tables/plan-tables.js';
import { readTopics, type TopicSelection } from '../tables/read-topics.js';
import {
  applyText,
  checkText,
  findingsOf,
  hasNoProblems,
  jsonText,
  planText,
  type Report,
} from '../tables/tables-report.js';
import { sampleAgents, Sampler, type SampleAgent } from '../tables/sample-records.js';
import { ShapeCollector, type Shapes } from '../tables/table-shapes.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { quoted } from '../terminal/text.js';

const helpText = `Usage: kafnus tables plan [options]
       kafnus tables apply --database URL [options]
       kafnus tables check --database URL [options]

Plans, creates and checks the PostgreSQL/PostGIS tables that the sinks need: schemas, tables,
columns, primary keys, geometries and indexes. It reads the records in the output topics, or
notifications in a file.

  plan   prints the SQL for what is missing, and changes nothing
  apply  runs it in one transaction; existing columns are never dropped, narrowed or rewritten
  check  reports what would stop a sink or be stored with another value

From topics (committed records, up to the present end offsets):
  --topics A,B         output topics; may be repeated, also as --topic A
  --topics-regex RE    all topics whose whole name matches
                       Default: all output topics by KAFNUS_NAMING and KAFNUS_TOPIC_PREFIX
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
  --max-records N      the last N records of each partition (default 10000)
  --since TIME         only records not older than a date, or than 30m, 12h, ...

From notifications, before there are records:
  --sample FILE        as for kafnus send; may be repeated, '-' is standard input
  --service NAME       the tenant (default: default)
  --servicepath PATH   (default: /)
  --datamodel NAME     (default: KAFNUS_DATAMODEL, else ${dataModels[0]})
  --agents LIST        ${sampleAgents.join(',')} (default: all): agents whose tables are planned

Tables:
  --database URL       postgresql://user@host:5432/database (default: KAFNUS_DATABASE_URL, else
                       PGHOST, PGDATABASE, ...). Without it, plan assumes an empty database.
  --error-log          also the table for sink failures of each service
  --strict-geometry    give geometry columns the type that was seen; default: any geometry
  --json               print one JSON object
  --help

Exit codes: 0 done, or (check) no error or warning; 1 failed, or (check) an error or warning;
2 wrong usage; 130 interrupted.

Examples:
  kafnus tables plan --sample parks.jsonl --service smartcity --servicepath /parks
  kafnus tables apply --brokers localhost:9092 --database postgresql://sink@localhost/city
  kafnus tables check --topics-regex 'smartcity.*' --since 24h --json
`;

const actions = ['plan', 'apply', 'check'] as const;
const defaultMaxRecords = '10000';

export const command: Command = {
  help: helpText,
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
    const action = actionOf(positionals, actions, 'kafnus tables plan, apply or check');
    const address = databaseAddress(values.database, io.env);
    if (address === undefined && action !== 'plan') {
      throw new UsageError(`${action} needs a database: --database URL, KAFNUS_DATABASE_URL, or PGHOST and PGDATABASE`);
    }

    const fromSample = values.sample.length > 0;
    const misplaced = (fromSample ? topicOptions : sampleOptions).find((option) => isGiven(values[option]));
    if (misplaced !== undefined) {
      throw new UsageError(`--${misplaced} is for ${fromSample ? 'topics, not for --sample' : '--sample'}`);
    }
    const collected = fromSample ? await fromFiles(values, io) : await fromTopics(values, io);
    if (collected === undefined) return exitCodes.interrupted;
    if (values['error-log']) collected.collector.addErrorLogs();
    const shapes = collected.collector.shapes();
    const { topics, files } = collected;
    const source = { topics, files, records: shapes.records };
    const planFor = (catalog: DatabaseCatalog): TablesPlan => {
      const plan = planTables(shapes, catalog, { strictGeometry: values['strict-geometry'] });
      return { ...plan, findings: [...collected.findings, ...plan.findings] };
    };
    const { plan, catalog } = await planned(action, address, shapes, planFor);
    const report: Report = { command: action, source, catalog, plan };
    io.stdout.write(values.json ? jsonText(report) : reportText(report, io));
    return action === 'check' && !hasNoProblems(findingsOf(report)) ? exitCodes.failure : exitCodes.ok;
  },
};

const topicOptions = ['topics', 'topic', 'topics-regex', 'brokers', 'max-records', 'since'] as const;
const sampleOptions = ['service', 'servicepath', 'datamodel', 'agents'] as const;

function isGiven(value: string | readonly string[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}

/** The records that the tables are planned for. */
interface CollectedRecords {
  readonly collector: ShapeCollector;
  readonly topics: readonly string[];
  readonly files: readonly string[];
  readonly findings: readonly TableFinding[];
}

async function planned(
  action: (typeof actions)[number],
  address: DatabaseAddress | undefined,
  shapes: Shapes,
  planFor: (catalog: DatabaseCatalog) => TablesPlan,
): Promise<{ readonly plan: TablesPlan; readonly catalog: DatabaseCatalog }> {
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

/** @returns undefined when the user interrupts */
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
): Promise<CollectedRecords | undefined> {
  const selection = topicSelection([...values.topics, ...values.topic], values['topics-regex'], io.env);
  const maxRecords = wholeNumber('--max-records', values['max-records'] ?? defaultMaxRecords);
  const since = values.since === undefined ? undefined : instantOrAge('--since', values.since);
  const { address } = connection(io.env, values.brokers);
  const collector = new ShapeCollector();
  const screen = new Screen(io.stderr);
  let interrupted = false;
  void io.interrupted().then(() => (interrupted = true));
  try {
    const { topics, complete } = await readTopics({
      address,
      selection,
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

function topicSelection(named: readonly string[], regex: string | undefined, env: Io['env']): TopicSelection {
  const topics = [...new Set(named.flatMap((each) => each.split(',')).map((each) => each.trim()))].filter(
    (each) => each !== '',
  );
  if (regex !== undefined) {
    if (topics.length > 0) throw new UsageError('--topics-regex and --topics exclude each other: use one');
    const pattern = wholePattern(regex);
    return {
      kind: 'matching',
      matches: (topic) => pattern.test(topic),
      what: `matches --topics-regex ${quoted(regex)}`,
    };
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
    throw new UsageError(`--topics-regex ${quoted(regex)} is not a regular expression: ${messageOf(error)}`);
  }
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
): Promise<CollectedRecords> {
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
 * The settings that decide what the agents write, as they read them. KAFNUS_SINK defaults to
 * `debezium`, because that sink needs tables.
 * @throws ConfigurationError naming the wrong variable
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
