/**
 * A simulated kubelet: it runs no containers and reports pod status. Pods are running and ready,
 * pods of Jobs have succeeded, and deleted pods are removed. A pod whose image has the tag `broken`
 * is never ready. The controllers of Kubernetes are real; the behavior of the containers is tested
 * elsewhere.
 */
import { setTimeout as delay } from 'node:timers/promises';

const node = 'pretended-0';
const everyMs = 200;
const heartbeatMs = 8000;

const merge = 'application/merge-patch+json';
const now = () => new Date().toISOString().replace(/\.\d+/, '');

/**
 * @param {import('./control-plane.mjs').Cluster} cluster
 * @returns {Promise<() => Promise<void>>} ends it
 */
export async function startKubelet(cluster) {
  await cluster.request('POST', '/api/v1/nodes', {
    metadata: {
      name: node,
      labels: { 'kubernetes.io/hostname': node, 'kubernetes.io/os': 'linux', 'topology.kubernetes.io/zone': 'z1' },
    },
  });
  let running = true;
  let beat = 0;
  let address = 0;

  const report = async (pod) => {
    const { namespace, name, deletionTimestamp, uid } = pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (deletionTimestamp !== undefined) {
      await cluster.request('DELETE', path, { gracePeriodSeconds: 0 });
      return;
    }
    if (pod.status.phase !== 'Pending') return;
    const time = now();
    const done = pod.spec.restartPolicy !== 'Always';
    const ready = !done && !pod.spec.containers[0].image.endsWith(':broken');
    const condition = (type, status) => ({ type, status: status ? 'True' : 'False', lastTransitionTime: time });
    const state = done
      ? { terminated: { exitCode: 0, reason: 'Completed', startedAt: time, finishedAt: time } }
      : { running: { startedAt: time } };
    const podIP = `198.51.100.${1 + (address++ % 250)}`;
    const status = {
      phase: done ? 'Succeeded' : 'Running',
      startTime: time,
      hostIP: '192.0.2.1',
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', true),
        condition('ContainersReady', ready),
        condition('Ready', ready),
      ],
      containerStatuses: pod.spec.containers.map(({ name: container, image }) => ({
        name: container,
        image,
        imageID: 'pretended',
        containerID: `pretended://${uid}`,
        ready,
        started: !done,
        restartCount: 0,
        state,
      })),
    };
    await cluster.request('PATCH', `${path}/status`, { status }, merge);
  };

  const loop = (async () => {
    while (running) {
      try {
        if (Date.now() - beat > heartbeatMs) {
          beat = Date.now();
          const room = { cpu: '64', memory: '64Gi', pods: '110' };
          const conditions = [{ type: 'Ready', status: 'True', reason: 'Pretended', lastHeartbeatTime: now() }];
          const status = { capacity: room, allocatable: room, conditions };
          await cluster.request('PATCH', `/api/v1/nodes/${node}/status`, { status }, merge);
        }
        const { items = [] } = (await cluster.get(`/api/v1/pods?fieldSelector=spec.nodeName=${node}`)) ?? {};
        await Promise.all(items.map(report));
      } catch {
        // The API server is busy or stopped: retried in the next round.
      }
      await delay(everyMs);
    }
  })();
  return async () => {
    running = false;
    await loop;
  };
}
