/**
 * The context of a run: a folder, the control plane, Helm and kubectl for it, and the rendered
 * releases.
 */
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { Cluster } from './control-plane.mjs';
import { agents, chart, expect, repository, run, tool } from './support.mjs';

const { parseAllDocuments } = createRequire(join(repository, 'libs/agent-runtime/package.json'))('yaml');

/** The objects of a YAML text. */
export const objectsIn = (text) =>
  parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((object) => object !== null);

export class Session {
  work = mkdtempSync(join(tmpdir(), 'kafnus-helm-'));
  cluster = new Cluster(tool('control-plane'), join(this.work, 'cluster'));
  /** Cleanup functions, called in reverse order. */
  endings = [];
  /**
   * By name: the four agents as they are delivered, and the values files of the tests, which turn
   * on all the rest.
   */
  renderings = new Map();
  /** Helm and kubectl see this environment: no settings of the user, no cluster but ours. */
  env = {
    PATH: process.env.PATH,
    HOME: this.work,
    HELM_CACHE_HOME: join(this.work, 'helm'),
    HELM_CONFIG_HOME: join(this.work, 'helm'),
    HELM_DATA_HOME: join(this.work, 'helm'),
    KUBECONFIG: this.cluster.kubeconfig,
  };

  /** @param {string} line the arguments, with blanks between them and none inside */
  run(program, line) {
    return run(program, line.split(' '), this.env);
  }
  helm(line) {
    return this.run(tool('helm'), line);
  }
  kubectl(line) {
    return this.run(tool('kubectl'), line);
  }

  async stop() {
    for (const end of this.endings.reverse()) await end();
    await this.cluster.stop();
  }

  async render() {
    const tests = readdirSync(`${chart}/tests/values`).map((file) => `${chart}/tests/values/${file}`);
    const files = [
      ...agents.map((agent) => [agent, `services/${agent}/helm-values.yaml`]),
      ...tests.map((values) => [basename(values, '.yaml'), values]),
    ];
    for (const [name, values] of files) {
      const file = join(this.work, `${name}.yaml`);
      const text = await this.helm(`template ${name} ${chart} -f ${values} --namespace city`);
      writeFileSync(file, text);
      this.renderings.set(name, { values, file, objects: objectsIn(text) });
    }
  }

  /** The object of one of these kinds. */
  objectOf(name, ...kinds) {
    const found = this.renderings.get(name).objects.find(({ kind }) => kinds.includes(kind));
    expect(found !== undefined, `${name} renders no ${kinds.join(' or ')}`);
    return found;
  }
}
