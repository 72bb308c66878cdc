import { createServer, createConnection, type AddressInfo, type Socket } from 'node:net';

/** A TCP proxy on 127.0.0.1 that fails on demand. */
export interface TcpProxy {
  readonly port: number;
  /** What went through so far: a fault test proves with it that its fault hit something. */
  readonly counters: Readonly<ProxyCounters>;
  /**
   * Holds all bytes in both directions; connections stay open, new ones are accepted. A network
   * that is down.
   */
  stall(): void;
  /** Ends {@link stall} and {@link refuse}: held bytes go on, new connections are accepted. */
  resume(): Promise<void>;
  /** Resets every open connection; new ones are accepted as before. @returns how many it cut */
  cut(): number;
  /**
   * Resets every open connection and stops listening: new ones are refused. A machine that is gone.
   */
  refuse(): Promise<void>;
  /**
   * Lets the bytes of each connection that is accepted from now on pass through a filter of its
   * own; undefined: unchanged.
   */
  filter(make: (() => ProxyFilter) | undefined): void;
  close(): Promise<void>;
}

/** Sees the bytes of one connection, in both directions, and says what is passed on. */
export interface ProxyFilter {
  request(bytes: Buffer): Buffer;
  answer(bytes: Buffer): Buffer;
}

interface ProxyCounters {
  /** Connections accepted since the start. */
  accepted: number;
  /** Connections that are open now. */
  open: number;
  /** Connections that cut() or refuse() reset. */
  cut: number;
  /** Bytes passed on, both directions. */
  bytes: number;
}

/**
 * The target of the proxy. Each client connection opens a new connection to it, so that the target
 * may be restarted.
 */
export interface ProxyTarget {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/**
 * Starts a proxy. A Kafka broker behind it must advertise the proxy's port, for clients leave the
 * bootstrap address for the advertised one: `startLocalKafka({ proxied: true })` sees to it.
 * @param port the port to listen on; 0, the default, takes a free one
 */
export async function startTcpProxy(target: ProxyTarget, port = 0): Promise<TcpProxy> {
  const counters: ProxyCounters = { accepted: 0, open: 0, cut: 0, bytes: 0 };
  const links = new Set<Link>();
  let stalled = false;
  let makeFilter: (() => ProxyFilter) | undefined;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    counters.accepted += 1;
    counters.open += 1;
    const link = new Link(client, target, (bytes) => (counters.bytes += bytes), makeFilter?.());
    links.add(link);
    if (stalled) link.stall();
    client.once('close', () => {
      counters.open -= 1;
      links.delete(link);
    });
  });

  const listen = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen(port);
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no TCP address');
  const ownPort = address.port;

  const cut = (): number => {
    const count = links.size;
    for (const link of links) link.reset();
    counters.cut += count;
    return count;
  };
  const refuse = (): Promise<void> =>
    new Promise((resolve) => {
      // Fails when the server does not listen any more: that is what was asked for.
      server.close(() => resolve());
      cut();
    });

  return {
    port: ownPort,
    counters,
    stall() {
      stalled = true;
      for (const link of links) link.stall();
    },
    async resume() {
      stalled = false;
      for (const link of links) link.resume();
      if (!server.listening) await listen(ownPort);
    },
    cut,
    refuse,
    filter(make) {
      makeFilter = make;
    },
    close: refuse,
  };
}

/** One connection through the proxy: two sockets that feed each other. */
class Link {
  readonly #client: Socket;
  readonly #upstream: Socket;
  #stalled = false;

  constructor(client: Socket, target: ProxyTarget, count: (bytes: number) => void, filter: ProxyFilter | undefined) {
    this.#client = client;
    this.#upstream = createConnection({
      host: target.host ?? '127.0.0.1',
      port: target.port,
      noDelay: true,
      allowHalfOpen: true,
    });
    this.#feed(this.#client, this.#upstream, count, (bytes) => filter?.request(bytes) ?? bytes);
    this.#feed(this.#upstream, this.#client, count, (bytes) => filter?.answer(bytes) ?? bytes);
  }

  stall(): void {
    this.#stalled = true;
    this.#client.pause();
    this.#upstream.pause();
  }

  resume(): void {
    this.#stalled = false;
    this.#client.resume();
    this.#upstream.resume();
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream.resetAndDestroy();
  }

  #feed(from: Socket, to: Socket, count: (bytes: number) => void, filtered: (bytes: Buffer) => Buffer): void {
    from.on('data', (bytes) => {
      count(bytes.length);
      if (!to.write(filtered(bytes))) from.pause();
    });
    to.on('drain', () => {
      if (!this.#stalled) from.resume();
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}
