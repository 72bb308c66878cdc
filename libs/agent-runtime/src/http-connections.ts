/**
 * Bounds the connections of an HTTP server without ever refusing one: who opens connections and
 * says nothing must not keep the probes of the orchestrator out, which would then end a process
 * that works.
 *
 *     idle, or its request is not complete    closed for a new one, the oldest first
 *     waiting for an answer                   closed only when there is no other
 *
 * A probe connects and asks at once: it is the newest, and has its answer before as many others as
 * there may be have come after it.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** @param most connections that are open at the same time */
export function limitConnections(server: Server, most: number): void {
  /** In the order in which they came. */
  const open = new Set<Socket>();
  /** Requests of a connection that have no answer yet. */
  const unanswered = new Map<Socket, number>();

  server.on('connection', (socket: Socket) => {
    if (open.size >= most) evict();
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      unanswered.delete(socket);
    });
  });

  server.on('request', ({ socket }, response) => {
    unanswered.set(socket, (unanswered.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (unanswered.get(socket) ?? 0) - 1;
      if (left > 0) unanswered.set(socket, left);
      else unanswered.delete(socket);
    });
  });

  function evict(): void {
    let oldest: Socket | undefined;
    for (const socket of open) {
      oldest ??= socket;
      if (unanswered.has(socket)) continue;
      oldest = socket;
      break;
    }
    if (oldest === undefined) return;
    // Not when it has closed: until then, the next one would take the same for the oldest.
    open.delete(oldest);
    oldest.destroy();
  }
}
