/**
 * A Kubernetes control plane on loopback: etcd, API server, controller manager and scheduler, from
 * one program. Ports are free ones, its files are in one folder, and it ends with {@link
 * Cluster.stop}. There is no node: see kubelet.mjs.
 */
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { openSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The timeout for a slow machine, in ms. */
const startMs = 120_000;

export class Cluster {
  #processes = [];
  #agent = new https.Agent({ rejectUnauthorized: false, keepAlive: true });
  #token = randomBytes(16).toString('hex');
  #port = 0;

  /** @param {string} program `control-plane` @param {string} folder for everything it writes */
  constructor(program, folder) {
    this.program = program;
    this.folder = folder;
    this.kubeconfig = join(folder, 'kubeconfig');
    this.certificate = join(folder, 'certs/apiserver.crt');
    this.key = join(folder, 'certs/apiserver.key');
  }

  async start() {
    for (const name of ['certs', 'log']) mkdirSync(join(this.folder, name), { recursive: true, mode: 0o700 });
    const [client, peer, api] = await freePorts(3);
    this.#port = api;
    const file = (name, text) => {
      writeFileSync(join(this.folder, name), text, { mode: 0o600 });
      return join(this.folder, name);
    };
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const key = file('sa.key', privateKey.export({ type: 'pkcs1', format: 'pem' }));
    const tokens = file('tokens.csv', `${this.#token},admin,admin,system:masters\n`);
    file(
      'kubeconfig',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'check',
        clusters: [
          { name: 'check', cluster: { server: `https://127.0.0.1:${api}`, 'insecure-skip-tls-verify': true } },
        ],
        users: [{ name: 'admin', user: { token: this.#token } }],
        contexts: [{ name: 'check', context: { cluster: 'check', user: 'admin', namespace: 'default' } }],
      }),
    );
    const certs = join(this.folder, 'certs');
    const etcd = `http://127.0.0.1:${client}`;
    const etcdPeer = `http://127.0.0.1:${peer}`;
    this.#run('etcd', {
      'data-dir': join(this.folder, 'etcd'),
      'unsafe-no-fsync': true,
      'listen-client-urls': etcd,
      'advertise-client-urls': etcd,
      'listen-peer-urls': etcdPeer,
      'initial-advertise-peer-urls': etcdPeer,
      'initial-cluster': `default=${etcdPeer}`,
      'log-level': 'warn',
    });
    this.#run('apiserver', {
      'etcd-servers': etcd,
      'bind-address': '127.0.0.1',
      'advertise-address': '127.0.0.1',
      'endpoint-reconciler-type': 'none',
      'secure-port': api,
      'cert-dir': certs,
      'service-cluster-ip-range': '10.96.0.0/16',
      'token-auth-file': tokens,
      'authorization-mode': 'RBAC',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': key,
      'service-account-signing-key-file': key,
    });
    await this.#ready();
    this.#run('controller-manager', {
      kubeconfig: this.kubeconfig,
      'leader-elect': false,
      'secure-port': 0,
      'service-account-private-key-file': key,
      'root-ca-file': this.certificate,
      // The autoscaler waits for pods to warm up, five minutes by default.
      'horizontal-pod-autoscaler-sync-period': '2s',
      'horizontal-pod-autoscaler-initial-readiness-delay': '1s',
      'horizontal-pod-autoscaler-cpu-initialization-period': '1s',
    });
    this.#run('scheduler', { kubeconfig: this.kubeconfig, 'leader-elect': false, 'secure-port': 0 });
  }

  /** @returns {Promise<{ code: number, body: any }>} the API's answer to a request */
  request(method, path, body, contentType = 'application/json') {
    const text = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      https
        .request(
          {
            agent: this.#agent,
            method,
            host: '127.0.0.1',
            port: this.#port,
            path,
            timeout: 20_000,
            headers: {
              authorization: `Bearer ${this.#token}`,
              'content-type': contentType,
              'content-length': Buffer.byteLength(text),
            },
          },
          (response) => {
            let answer = '';
            response.setEncoding('utf8').on('data', (part) => (answer += part));
            response.on('end', () => {
              try {
                resolve({ code: response.statusCode, body: JSON.parse(answer) });
              } catch {
                resolve({ code: response.statusCode, body: answer });
              }
            });
          },
        )
        .on('timeout', function timedOut() {
          this.destroy(new Error(`${method} ${path}: no answer within 20 s`));
        })
        .on('error', reject)
        .end(text);
    });
  }

  /** An object, or undefined when there is none. */
  async get(path) {
    const { code, body } = await this.request('GET', path);
    if (code === 404) return undefined;
    if (code !== 200) throw new Error(`GET ${path}: ${code} ${JSON.stringify(body)}`);
    return body;
  }

  async stop() {
    this.#agent.destroy();
    // The API server first: it waits for etcd, and nothing of this is kept.
    for (const child of this.#processes) child.kill('SIGKILL');
    await Promise.all(this.#processes.map((child) => child.ended));
  }

  #run(part, flags) {
    const log = openSync(join(this.folder, 'log', part), 'w');
    const child = spawn(
      this.program,
      [part, ...Object.entries(flags).map(([name, value]) => `--${name}=${String(value)}`)],
      { stdio: ['ignore', log, log] },
    );
    child.part = part;
    child.ended = new Promise((resolve) => {
      child.once('error', resolve).once('exit', resolve);
    });
    this.#processes.push(child);
  }

  async #ready() {
    const deadline = Date.now() + startMs;
    for (;;) {
      const answer = await this.request('GET', '/readyz').catch(() => undefined);
      if (answer?.code === 200) return;
      const dead = this.#processes.find((child) => child.exitCode !== null || child.pid === undefined);
      if (dead !== undefined || Date.now() > deadline) {
        const part = dead?.part ?? 'apiserver';
        const log = readFileSync(join(this.folder, 'log', part), 'utf8')
          .trim()
          .split('\n')
          .slice(-10)
          .join('\n');
        throw new Error(`the control plane did not start: ${part} ${dead ? 'ended' : 'is not ready'}\n${log}`);
      }
      await delay(200);
    }
  }
}

/** Held all at once while they are looked for, so that they differ. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer();
          server.once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
