/**
 * Two ends of TLS for tests, in memory or over loopback.
 *
 * Owns the certificates by name (`certs.json`, made by `make_certs.sh`).
 */
import { deadline } from "@std/async";
import { ConnectError } from "@vgo/vnet";
import { memoryPair } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import type { ByteTransport } from "../../src/base/types.ts";
import { dialTlsTransport } from "../../src/net/tls_dial.ts";
import { clientHandshake, ServerHandshakes } from "../../src/net/tls_handshake.ts";
import { listenTlsTransport, type TlsListenOptions } from "../../src/net/tls_listen.ts";
import type { ClientTls, ServerTls, TlsTransport } from "../../src/net/tls_types.ts";
import certs from "./certs.json" with { type: "json" };

export { certs };

/** A server that is as it should be. */
export const SERVER: ServerTls = certs.server;
/** A client that trusts it. */
export const CLIENT: ClientTls = { caCerts: [certs.ca] };
/** A server that wants certificates of its clients. */
export const MUTUAL: ServerTls = { ...certs.server, clientAuth: { caCerts: [certs.clientCa] } };
/** A client that has one. */
export const ANN: ClientTls = { ...CLIENT, ...certs.client };

/** Both ends of one connection. */
export interface TlsPair extends Disposable {
  readonly client: TlsTransport;
  readonly server: TlsTransport;
}

/** Both ends, over two ends of anything. */
export async function tlsPair(
  [near, far]: readonly [ByteTransport, ByteTransport] = memoryPair(),
  tls: ServerTls = SERVER,
): Promise<TlsPair> {
  const [client, server] = await Promise.all([
    clientHandshake(near, "localhost", CLIENT, { timeout: 10_000, attempt: "Cannot dial" }),
    new ServerHandshakes(tls).begin(far, { timeout: 10_000, attempt: "Cannot accept" }).stream,
  ]);
  return {
    client,
    server,
    [Symbol.dispose]() {
      client.close();
      server.close();
    },
  };
}

/** A listener on loopback, what it accepted, and what it could not accept. */
export class TlsServer implements AsyncDisposable {
  readonly #listener: Awaited<ReturnType<typeof listenTlsTransport>>;
  readonly #connections: AsyncIterator<TlsTransport, void>;
  readonly #accepted: TlsTransport[] = [];
  readonly #failures: Turns<ConnectError>;

  constructor(
    listener: Awaited<ReturnType<typeof listenTlsTransport>>,
    failures: Turns<ConnectError>,
  ) {
    this.#listener = listener;
    this.#connections = listener[Symbol.asyncIterator]();
    this.#failures = failures;
  }

  static async open(options: Partial<TlsListenOptions> = {}): Promise<TlsServer> {
    const failures = new Turns<ConnectError>();
    const listener = await listenTlsTransport(Addr.parse("tls://127.0.0.1:0"), {
      tls: SERVER,
      onHandshakeError: (error, remoteAddr) => {
        if (error.message.includes(`${remoteAddr}`)) failures.push(error);
      },
      ...options,
    });
    return new TlsServer(listener, failures);
  }

  get addr(): Addr {
    return this.#listener.addr;
  }

  dial(tls: ClientTls = CLIENT): Promise<TlsTransport> {
    return dialTlsTransport(this.addr, { tls });
  }

  /** A plain connection to it. */
  dialPlain(): Promise<Deno.TcpConn> {
    return Deno.connect({ hostname: this.addr.hostname, port: this.addr.port });
  }

  /** The next connection. */
  async accept(): Promise<TlsTransport> {
    const { value } = await soon(this.#connections.next());
    if (value === undefined) throw new Error("The listener was closed");
    this.#accepted.push(value);
    return value;
  }

  /** Why the next connection that failed did, in any order with `accept`. */
  failure(): Promise<ConnectError> {
    return this.#failures.next();
  }

  /** As often as one likes. */
  async close(): Promise<void> {
    await this.#listener.close();
    for (const transport of this.#accepted) transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Things in the order in which they came, each to be taken once. */
class Turns<T> {
  readonly #come: T[] = [];
  readonly #waiting: ((thing: T) => void)[] = [];

  push(thing: T): void {
    const take = this.#waiting.shift();
    if (take === undefined) this.#come.push(thing);
    else take(thing);
  }

  next(): Promise<T> {
    const thing = this.#come.shift();
    if (thing !== undefined) return Promise.resolve(thing);
    return soon(new Promise((resolve) => this.#waiting.push(resolve)));
  }
}

/** What never comes must fail a test, not hold it up. */
export function soon<T>(promise: Promise<T>): Promise<T> {
  return deadline(promise, 5_000);
}

/** What an attempt failed with. */
export async function failureOf(attempt: Promise<unknown>): Promise<ConnectError> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error("It did not fail");
}

/** Code and initiator of an error. */
export function verdict({ code, initiator }: ConnectError): string {
  return `${code} ${initiator}`;
}

/** All there is to read. */
export async function readAll(from: ByteTransport, bufferLength = 4_096): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(bufferLength);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    parts.push(buffer.slice(0, count));
  }
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Writes all of it. */
export async function writeAll(to: ByteTransport, data: Uint8Array): Promise<void> {
  while (data.length > 0) data = data.subarray(await to.write(data));
}

/** Writes a text. */
export function say(to: ByteTransport, text: string): Promise<void> {
  return writeAll(to, new TextEncoder().encode(text));
}

/** Reads a text that is as long as this one. */
export async function hear(from: ByteTransport, { length }: string): Promise<string> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await from.read(bytes.subarray(at));
    if (count === null) return new TextDecoder().decode(bytes.subarray(0, at));
    at += count;
  }
  return new TextDecoder().decode(bytes);
}
