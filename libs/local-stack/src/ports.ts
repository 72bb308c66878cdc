import { createServer } from 'node:net';

/**
 * Free TCP ports on 127.0.0.1, below the range from which systems take the ports of outgoing
 * connections (32768 and up on Linux). In that range a client's own connection could take the port
 * of a broker that is down, and a client that keeps trying to connect to it can even end up
 * connected to itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let attempt = 0; ports.length < count; attempt += 1) {
    if (attempt > 1000) throw new Error(`No ${count} free TCP ports between 15000 and 32000 on 127.0.0.1`);
    const port = 15000 + Math.floor(Math.random() * 17000);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
