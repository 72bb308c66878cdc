/**
 * Starts the agents with the environment that the chart renders for their containers, without
 * Kafka.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';

import { agents, chart, check, expect, refused, run } from './support.mjs';

/** An address at which nothing listens. */
const nowhere = '127.0.0.1:1';

/**
 * The environment of a pod's container: the ConfigMap, its own variables, and files in place of the
 * Secrets.
 * @param {import('./session.mjs').Session} session
 */
function environmentOf(session, name, { spec }) {
  const secrets = join(session.work, 'secrets', name);
  const { data } = session.objectOf(name, 'ConfigMap');
  const own = spec.containers[0].env.map((variable) => [
    variable.name,
    variable.value?.replace('/etc/kafnus', secrets) ?? 'x',
  ]);
  const volume = spec.volumes?.find((one) => one.name === 'secrets');
  for (const { path } of volume?.projected.sources.flatMap(({ secret }) => secret.items) ?? []) {
    mkdirSync(dirname(join(secrets, path)), { recursive: true });
    // The agents read certificates and keys before they connect, so these must be valid.
    const file = { '.crt': session.cluster.certificate, '.key': session.cluster.key }[extname(path)];
    writeFileSync(join(secrets, path), file === undefined ? 'secret' : readFileSync(file));
  }
  // The port of the chart may be taken on this machine.
  const here = { KAFNUS_KAFKA_BROKERS: nowhere, KAFNUS_HTTP_PORT: '0', KAFNUS_HTTP_HOST: '127.0.0.1' };
  return { PATH: process.env.PATH, ...data, ...Object.fromEntries(own), ...here };
}

/**
 * Starts the agent of a rendered release, and stops it. @returns {Promise<object>} its
 * configuration
 */
async function configurationOf(session, name) {
  const { template } = session.objectOf(name, 'StatefulSet', 'Deployment').spec;
  const agent = template.metadata.labels['app.kubernetes.io/component'];
  const child = spawn(process.execPath, [`services/${agent}/dist/main.js`], {
    env: environmentOf(session, name, template),
  });
  session.endings.push(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
  try {
    let log = '';
    const address = await new Promise((resolve, reject) => {
      const read = (part) => {
        log += part;
        const http = /"http":"([^"]+)"/.exec(log)?.[1];
        if (http !== undefined) resolve(http);
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${agent} did not start, and ended with ${code}:\n${log}`)));
    });
    return await (await fetch(`http://${address}/config`)).json();
  } finally {
    clearTimeout(late);
    child.kill('SIGKILL');
    await ended;
  }
}

/** @param {import('./session.mjs').Session} session */
export async function checkAgents(session) {
  for (const name of session.renderings.keys()) {
    await check(`the agent starts with the settings of ${name}`, async () => {
      const shown = JSON.stringify(await configurationOf(session, name));
      for (const [variable, value] of Object.entries(session.objectOf(name, 'ConfigMap').data)) {
        if (/BROKERS|HTTP_PORT/.test(variable)) continue;
        const inside = value.startsWith('{"') ? value.slice(1, -1) : value;
        expect(shown.includes(inside), `${variable} is ${value}, and GET /config does not show it: ${shown}`);
      }
    });
  }
  await check('the program understands the arguments of the topics Job', async () => {
    await Promise.all(
      agents.map(async (agent) => {
        const { template } = session.objectOf(agent, 'Job').spec;
        const args = [`services/${agent}/dist/main.js`, ...template.spec.containers[0].args];
        // It reaches the connection to Kafka: a wrong argument would end it with exit code 2
        // before.
        await refused(/ended with 1\n[^]*No Kafka answers/, () =>
          run(process.execPath, args, environmentOf(session, agent, template)),
        );
      }),
    );
    return agents.length;
  });
  await check('the chart knows the settings of the agents', async () => {
    const help = await run(process.execPath, ['services/historic/dist/main.js', '--help'], { PATH: process.env.PATH });
    const settings = new Set([...help.matchAll(/KAFNUS_[A-Z_]+/g)].map(([name]) => name));
    const text = readFileSync(`${chart}/templates/_helpers.tpl`, 'utf8');
    const named = [...text.matchAll(/^(KAFNUS_[A-Z_]+): /gm)].map(([, name]) => name);
    expect(named.length > 40, `only ${named.length} settings are named in _helpers.tpl`);
    for (const name of named) expect(settings.has(name), `${name} is in _helpers.tpl, and is no setting of the agents`);
    for (const name of settings) {
      const secret = settings.has(`${name}_FILE`) && !/_(CONSUMER|PRODUCER|CONFIG)$/.test(name);
      expect(
        !secret || named.includes(name),
        `${name} is a secret that _helpers.tpl does not know: it could get into a ConfigMap`,
      );
    }
  });
}
