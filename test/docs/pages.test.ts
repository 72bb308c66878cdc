/**
 * Checks every page against this repository: links, paths, commands, settings, sections of the
 * specification, and generated parts.
 */
import { settingsOf, settingsReference } from '@kafnus/agent-runtime';
import { attributeCodes, rejectCodes, skipReasons } from '@kafnus/ngsi-core';
import { describe, expect, test } from '@jest/globals';
import { format, resolveConfig } from 'prettier';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { findingCodes } from '../../libs/kafka-admin/src/topics/topic-finding.js';
import { programHelp } from '../../tools/cli/src/program.js';
import { agents, impossibleCommands, programs } from './commands.js';
import { parsePage } from './markdown.js';
import { files, paths, root, strayPaths } from './repository.js';

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const pages = new Map(files.filter((file) => file.endsWith('.md')).map((file) => [file, parsePage(read(file))]));
const reference = Object.fromEntries(
  Object.entries(agents).map(([name, agent]) => [name, settingsReference(settingsOf(agent))]),
);
const known = await programs();

/** Variables that are not settings of the agents, with a file that reads each. */
const otherVariables: Readonly<Record<string, string>> = {
  KAFNUS_CONFIG: 'libs/agent-runtime/src/config.ts',
  KAFNUS_DATABASE_URL: 'tools/cli/src/tables/database.ts',
  KAFNUS_DATABASE_URL_FILE: 'tools/cli/src/tables/database.ts',
  KAFNUS_POSTGIS_HOST: 'deploy/connect/debezium-historic.json',
  KAFNUS_SERVICES: 'deploy/compose/compose.yaml',
  KAFNUS_SCHEMA_EVOLUTION: 'deploy/compose/compose.yaml',
  KAFNUS_CACHE: 'libs/local-stack/src/maven-cache.ts',
};
const variables = new Set([
  ...Object.values(reference).flatMap((rows) => rows.flatMap(({ env, fileEnv }) => [env, fileEnv])),
  ...Object.keys(otherVariables),
]);

test('pages, links and code spans are found', () => {
  expect(pages.size).toBeGreaterThan(40);
  const found = [...pages.values()];
  expect(found.flatMap(({ links }) => links).length).toBeGreaterThan(150);
  expect(found.flatMap(({ spans }) => spans).length).toBeGreaterThan(1000);
});

test('each kind of error is found', () => {
  const text = [
    '# A page',
    '[a](nope.md) [b](SPEC.md#nope) [c](#a-page) [d](#another) [e](runbooks) <a href="x.md">x</a>',
    '`libs/agent-runtime/src/nope.ts` `nope.ts` `services/historic/dist/nope.js` `docs/*.rst` `docs/*.md`',
    '`services/<name>/src/agent.ts` `services/historic/dist/main.js` KAFNUS_NOPE `KAFNUS_KAFKO_...` `KAFNUS_KAFKA_...` SPEC 99',
    '`make test-units` `kafnus topic plan` `kafnus topics chek` `kafnus topics check --replica 3 --replicas 3`',
    '',
    '    node services/historic/dist/main.js --kafka-brokerz x --delivery at-least-once',
    '    FOO=1 kafnus lag --chek && make build stak ARGS=a # make nothing',
    '    node services/lastdata/dist/main.js topics check --replicas 3 \\',
    '      --nope',
  ].join('\n');
  const page = parsePage(text);
  expect(page.links.filter((link) => isDead('docs/page.md', link, page))).toEqual([
    'nope.md',
    'SPEC.md#nope',
    '#another',
    'x.md',
  ]);
  expect(page.spans.flatMap((span) => strayPaths(span, 'docs/page.md'))).toEqual([
    'libs/agent-runtime/src/nope.ts',
    'nope.ts',
    'services/historic/dist/nope.js',
    'docs/*.rst',
  ]);
  expect(impossibleCommands(page, known).map((problem) => problem.split(':')[0])).toEqual([
    'no target "test-units" in the Makefile',
    'no command "topic" of kafnus',
    'kafnus topics knows no "chek"',
    'kafnus topics has no option --replica',
    'historic has no option --kafka-brokerz',
    'kafnus lag has no option --chek',
    'no target "stak" in the Makefile',
    'lastdata has no option --nope',
  ]);
  expect([...strayVariables(text), ...straySections(text)]).toEqual(['KAFNUS_NOPE', 'KAFNUS_KAFKO_', 'SPEC 99']);
});

describe.each([...pages])('%s', (file, page) => {
  test('has no dead links', () => {
    expect(page.links.filter((link) => isDead(file, link))).toEqual([]);
  });

  test('names existing paths only', () => {
    expect([...page.spans, ...page.blocks].flatMap((text) => strayPaths(text, file))).toEqual([]);
  });

  test('shows valid commands only', () => {
    expect(impossibleCommands(page, known)).toEqual([]);
  });

  test('names existing settings and sections of the specification only', () => {
    expect([...strayVariables(read(file)), ...straySections(read(file))]).toEqual([]);
  });
});

test('variables of other programs are read in the listed files', () => {
  expect(Object.entries(otherVariables).filter(([name, file]) => !read(file).includes(name))).toEqual([]);
});

test('code, help and messages name existing pages, headings and sections only', () => {
  // The tests in test/docs name missing files on purpose.
  const sources = files.filter(
    (file) => /\.(ts|mjs|sh|ya?ml|tpl)$|^Makefile$|Dockerfile$/.test(file) && !file.startsWith('test/docs/'),
  );
  expect(sources.length).toBeGreaterThan(300);
  const stray = sources.flatMap((file) => {
    const text = read(file);
    const named = [...text.matchAll(/(?<![\w/.-])docs\/[\w/-]+\.md\b/g)]
      .map(([path]) => path)
      .filter((path) => !paths.has(path));
    const headings = [...text.matchAll(/"([^"\\\n]+)\\?" in (docs\/[\w/-]+\.md)/g)]
      .filter(([, heading = '', path = '']) => !pages.get(path)?.headings.some((title) => title.includes(heading)))
      .map(([whole]) => whole);
    return [...named, ...headings, ...straySections(text)].map((what) => `${file}: ${what}`);
  });
  expect(stray).toEqual([]);
});

describe('the generated pages', () => {
  test('are up to date (make docs)', async () => {
    const made = (await import(new URL('../../scripts/docs/pages.mjs', import.meta.url).href)) as {
      pages: (from: object) => Record<string, string>;
    };
    const written = made.pages({
      agents: reference,
      codes: { rejectCodes, attributeCodes, skipReasons, findingCodes },
      programHelp: programHelp(),
      commands: [...known.help].map(([name, help]) => ({ name, help })),
    });
    expect(Object.keys(written)).toHaveLength(3);
    for (const [file, text] of Object.entries(written)) {
      const path = join(root, file);
      expect(read(file)).toBe(await format(text, { ...(await resolveConfig(path)), filepath: path }));
    }
  });

  test('list every reject code of the runtime', async () => {
    const { runtimeCodes } = (await import(new URL('../../scripts/docs/errors-page.mjs', import.meta.url).href)) as {
      runtimeCodes: Record<string, string>;
    };
    const sources = files.filter((file) => /^libs\/agent-runtime\/src\/(?!topics\/).*\.ts$/.test(file)).map(read);
    const codes = sources.flatMap((text) => [...text.matchAll(/\bcode: '([a-z-]+)', stage:/g)].map(([, code]) => code));
    expect(new Set(codes)).toEqual(new Set(Object.keys(runtimeCodes)));
  });
});

function isDead(file: string, link: string, own = pages.get(file)): boolean {
  if (/^(?:https?|mailto):/.test(link)) return false;
  const [path = '', anchor] = link.split('#');
  const target =
    path === '' ? file : posix.normalize(posix.join(posix.dirname(file), decodeURI(path))).replace(/\/$/, '');
  const page = target === file ? own : pages.get(target);
  if (page === undefined && !paths.has(target)) return true;
  return anchor !== undefined && page?.anchors.has(anchor) !== true;
}

/** `KAFNUS_KAFKA_...` stands for all variables with this prefix. */
function strayVariables(text: string): string[] {
  const names = [...text.matchAll(/\bKAFNUS_[A-Z0-9_]+/g)].map(([name]) => name);
  return names.filter((name) =>
    name.endsWith('_') ? ![...variables].some((variable) => variable.startsWith(name)) : !variables.has(name),
  );
}

function straySections(text: string): string[] {
  const sections = new Set((pages.get('docs/SPEC.md')?.headings ?? []).map((heading) => heading.split('.')[0]));
  return [...text.matchAll(/\bSPEC (\d+)\b/g)].filter(([, number]) => !sections.has(number)).map(([whole]) => whole);
}
