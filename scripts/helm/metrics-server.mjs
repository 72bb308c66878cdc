/**
 * A simulated metrics server that reports a configured CPU usage for every pod, as input for a real
 * HorizontalPodAutoscaler. The API server reaches it as an ExternalName Service on loopback.
 */
import { readFileSync } from 'node:fs';
import https from 'node:https';

const group = 'metrics.k8s.io';
const version = `${group}/v1beta1`;

/**
 * @param {import('./control-plane.mjs').Cluster} cluster
 * @returns {Promise<{ setCpu: (millicores: number) => void, stop: () => void }>} registered
 */
export async function startMetricsServer(cluster) {
  let millicores = 0;
  const server = https.createServer(
    { cert: readFileSync(cluster.certificate), key: readFileSync(cluster.key) },
    async (request, response) => {
      const answer = await answerTo(new URL(request.url, 'https://metrics')).catch((error) => String(error));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    },
  );
  await new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });

  async function answerTo({ pathname, searchParams }) {
    const namespace = /\/namespaces\/([^/]+)\/pods$/.exec(pathname)?.[1];
    if (namespace !== undefined) {
      const selector = encodeURIComponent(searchParams.get('labelSelector') ?? '');
      const pods = await cluster.get(`/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`);
      return {
        kind: 'PodMetricsList',
        apiVersion: version,
        metadata: {},
        items: pods.items.map(({ metadata: { name, labels }, spec }) => ({
          metadata: { name, namespace, labels },
          timestamp: new Date().toISOString(),
          window: '15s',
          containers: spec.containers.map((container) => ({
            name: container.name,
            usage: { cpu: `${millicores}m`, memory: '180Mi' },
          })),
        })),
      };
    }
    if (pathname === `/apis/${version}`) {
      const pods = { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] };
      return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: version, resources: [pods] };
    }
    const known = { groupVersion: version, version: 'v1beta1' };
    return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions: [known], preferredVersion: known };
  }

  const { port } = server.address();
  await cluster.request('POST', '/api/v1/namespaces/kube-system/services', {
    metadata: { name: 'metrics-server' },
    spec: { type: 'ExternalName', externalName: '127.0.0.1', ports: [{ port }] },
  });
  await cluster.request('POST', '/apis/apiregistration.k8s.io/v1/apiservices', {
    metadata: { name: `v1beta1.${group}` },
    spec: {
      group,
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { namespace: 'kube-system', name: 'metrics-server', port },
    },
  });
  return {
    setCpu: (value) => {
      millicores = value;
    },
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
