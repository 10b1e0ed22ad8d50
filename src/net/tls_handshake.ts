/**
 * TLS handshakes over a transport, either side of one.
 *
 * Owns a handshake from its first byte to its outcome: a connection, or an error and a closed transport.
 *
 * 1. Nothing of the application is sent or read before the other end is known to be who it has to be.
 * 2. A client that is refused can learn why: the alert is on its way before the transport is closed.
 */
import { isIP } from "node:net";
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import { ConnectError } from "../base/errors.ts";
import type { ClientTls, ServerTls, TlsInfo } from "../base/tls.ts";
import type { ByteTransport, WaitOptions } from "../base/types.ts";
import { TransportDuplex } from "./tls_duplex.ts";
import { type Attempt, distrust, tlsError } from "./tls_errors.ts";
import { TlsStream } from "./tls_stream.ts";

/** Limits of a handshake, and how its errors begin. */
export interface HandshakeOptions extends WaitOptions {
  /** What could not be done when it fails. */
  readonly attempt: Attempt;
}

/** The client's side. Rejects with a `ConnectError`, or with `signal.reason`. */
export function clientHandshake(
  transport: ByteTransport,
  hostname: string,
  tls: ClientTls,
  options: HandshakeOptions,
): Promise<TlsStream> {
  const { caCerts, cert, key, serverName = hostname, alpnProtocols } = tls;
  // An address is compared with the certificate, but not sent (RFC 6066, section 3).
  const sni = isIP(serverName) === 0 ? serverName : undefined;
  const handshake = new Handshake(transport, options);
  try {
    const socket = connect({
      socket: handshake.below,
      host: serverName,
      // Who has a certificate to show shows it to nobody but the right one. Without one the handshake
      // goes on to its end, since only then there is a certificate to look at, and is judged there.
      rejectUnauthorized: cert !== undefined,
      ...(sni === undefined ? {} : { servername: sni }),
      ...(caCerts === undefined ? {} : { ca: [...caCerts] }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
      ...(alpnProtocols === undefined ? {} : { ALPNProtocols: [...alpnProtocols] }),
    });
    socket.once("secureConnect", () => {
      if (socket.authorized) handshake.succeed(socket, sni);
      else handshake.fail(distrust(socket));
    });
    socket.on("error", (error) => handshake.fail(error));
    socket.once("close", () => handshake.fail(undefined));
  } catch (error) {
    // Node refuses what it is asked for, such as a key that is too weak.
    handshake.fail(error);
  }
  return handshake.promise;
}

/** A handshake of a server, under way. */
export interface ServerHandshake {
  readonly stream: Promise<TlsStream>;
  readonly gone: Promise<void>;
}

/** The server's side, for any number of connections. */
export class ServerHandshakes {
  readonly #tls: ServerTls;
  /** To make a server of Node costs a fifth of a handshake, and one tells of one handshake at a time. */
  readonly #idle: Server[];

  /** @throws {Error} where Node refuses what it is asked for, such as a key that is too weak */
  constructor(tls: ServerTls) {
    this.#tls = tls;
    this.#idle = [this.#makeServer()];
  }

  /**
   * Begins one. `stream` rejects with a `ConnectError`, or with `signal.reason`; `gone` resolves when
   * the transport is closed, which is a second later at most.
   */
  begin(transport: ByteTransport, options: HandshakeOptions): ServerHandshake {
    const server = this.#idle.pop() ?? this.#makeServer();
    const handshake = new Handshake(transport, options);
    handshake.below.lingers = true;
    server.once("secureConnection", (socket: TLSSocket) => {
      // Who shows no certificate is not trusted either, but is welcome where it is optional.
      const problem = hasCertificate(socket) ? distrust(socket) : undefined;
      if (problem === undefined) handshake.succeed(socket, requestedName(socket));
      else handshake.fail(problem);
    });
    server.once("tlsClientError", (error: Error, socket: TLSSocket) => {
      handshake.fail(distrust(socket) ?? error);
    });
    server.emit("connection", handshake.below);
    return { stream: this.#finish(server, handshake), gone: handshake.below.gone };
  }

  async #finish(server: Server, handshake: Handshake): Promise<TlsStream> {
    const stream = await handshake.promise;
    // One that has failed may have more to say.
    server.removeAllListeners("tlsClientError");
    this.#idle.push(server);
    return stream;
  }

  #makeServer(): Server {
    const { cert, key, alpnProtocols, clientAuth } = this.#tls;
    return createServer({
      cert,
      key,
      ...(alpnProtocols === undefined ? {} : { ALPNProtocols: [...alpnProtocols] }),
      ...(clientAuth === undefined ? {} : {
        ca: [...clientAuth.caCerts],
        requestCert: true,
        rejectUnauthorized: clientAuth.optional !== true,
      }),
    });
  }
}

/** One handshake, until it has succeeded, failed, taken too long or been aborted. */
class Handshake {
  readonly below: TransportDuplex;
  readonly promise: Promise<TlsStream>;
  readonly #transport: ByteTransport;
  readonly #options: HandshakeOptions;
  readonly #resolve: (stream: TlsStream) => void;
  readonly #reject: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #settled = false;

  constructor(transport: ByteTransport, options: HandshakeOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<TlsStream>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#transport = transport;
    this.#options = options;
    this.below = new TransportDuplex(transport);
    this.below.once("end", () => this.fail(undefined));
    const { timeout = Infinity, signal } = options;
    signal?.addEventListener("abort", this.#aborted);
    if (Number.isFinite(timeout)) {
      this.#timer = setTimeout(() => this.#expired(timeout), Math.min(timeout, 2 ** 31 - 1));
    }
  }

  succeed(socket: TLSSocket, serverName: string | undefined): void {
    if (this.#settled) return;
    this.#settle();
    this.#forget();
    const { below } = this;
    below.lingers = false;
    this.#resolve(new TlsStream(socket, below, this.#transport, infoOf(socket, serverName)));
  }

  fail(cause: unknown): void {
    if (this.#settled) return;
    this.#end(tlsError(this.#options.attempt, this.below.failure ?? cause));
    this.below.destroy();
  }

  #expired(timeout: number): void {
    const { attempt } = this.#options;
    const message = `${attempt} as the TLS handshake took longer than ${timeout} ms`;
    this.#end(new ConnectError("TIMEOUT", message, { initiator: "remote" }));
    this.below.closeTransport();
    this.below.destroy();
  }

  /** Cuts short what is left of a failure, too. */
  readonly #aborted = (): void => {
    if (!this.#settled) this.#end(this.#options.signal?.reason);
    this.below.closeTransport();
    this.below.destroy();
  };

  #end(error: unknown): void {
    this.#settle();
    const { gone, lingers } = this.below;
    gone.then(() => this.#forget());
    // Who waits for a farewell to end need not wait for the news.
    if (lingers) this.#reject(error);
    else gone.then(() => this.#reject(error));
  }

  #settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
  }

  #forget(): void {
    this.#options.signal?.removeEventListener("abort", this.#aborted);
  }
}

function infoOf(socket: TLSSocket, serverName: string | undefined): TlsInfo {
  const { raw, subject, subjectaltname = "" } = socket.getPeerCertificate();
  const names = [subject?.CN ?? [], /^[^:]+:([^,]+)/.exec(subjectaltname)?.[1] ?? []].flat();
  const [peerName] = names;
  const { alpnProtocol } = socket;
  return {
    ...(raw === undefined ? {} : { peerCertificate: new Uint8Array(raw) }),
    ...(peerName === undefined ? {} : { peerName }),
    ...(typeof alpnProtocol === "string" ? { alpnProtocol } : {}),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerCertificate().raw !== undefined;
}

function requestedName(socket: TLSSocket): string | undefined {
  return "servername" in socket && typeof socket.servername === "string"
    ? socket.servername
    : undefined;
}
