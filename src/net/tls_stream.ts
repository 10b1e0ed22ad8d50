/**
 * A connection over TLS whose handshake is done, with the manners of `Deno.Conn`.
 *
 * Owns the plaintext that nobody has read yet, and the waits. The encryption is Node's, the bytes below
 * are a `TransportDuplex`'s.
 *
 * 1. Plaintext that waits is at most what one read of the transport has brought: there is no other
 *    while some of it waits. While none does there is always one, whether somebody reads or not, since
 *    TLS has messages of its own, and to close with those unread would reset the connection.
 * 2. An error stays: what failed once fails again.
 * 3. A stream that ends without close_notify is at its end, and what was before it is whole: a record
 *    that was cut off gives nothing.
 * 4. `close` takes effect at once: everything that waited has settled, the transport is closed.
 */
import type { TLSSocket } from "node:tls";
import { Addr } from "../base/addr.ts";
import { ProtocolError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import type { ByteTransport } from "../base/types.ts";
import type { TransportDuplex } from "./tls_duplex.ts";
import { isLateRefusal, tlsError } from "./tls_errors.ts";
import type { TlsInfo, TlsTransport } from "./tls_types.ts";

/** Longer writes are partial. So much is encrypted in one go: three records. */
const LONGEST_WRITE = 49_152;

interface PendingRead {
  readonly buffer: Uint8Array;
  readonly resolve: (count: number | null) => void;
  readonly reject: (error: unknown) => void;
}

/** The connection. */
export class TlsStream implements TlsTransport {
  readonly tls: TlsInfo;
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly #socket: TLSSocket;
  readonly #below: TransportDuplex;
  readonly #unread = new Fifo<Uint8Array>();
  /** What is left of the chunk that was read last. */
  #rest: Uint8Array | undefined;
  readonly #reads = new Fifo<PendingRead>();
  readonly #writes = new Set<(error: unknown) => void>();
  #received = false;
  #readsEnded = false;
  #writesEnded: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  constructor(
    socket: TLSSocket,
    below: TransportDuplex,
    { localAddr, remoteAddr }: ByteTransport,
    tls: TlsInfo,
  ) {
    this.#socket = socket;
    this.#below = below;
    this.localAddr = tlsAddr(localAddr);
    this.remoteAddr = tlsAddr(remoteAddr);
    this.tls = tls;
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    socket.on("end", () => this.#endReads());
    socket.on("error", (error) => this.#fail(error));
    // Whatever ended it, nobody waits any longer.
    socket.on("close", () => this.#endReads());
  }

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(badResource());
    if (buffer.length === 0) return Promise.resolve(0);
    const chunk = this.#rest ?? this.#unread.shift();
    if (chunk !== undefined) return Promise.resolve(this.#give(chunk, buffer));
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#readsEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => this.#reads.push({ buffer, resolve, reject }));
  }

  write(data: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(badResource());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#writesEnded !== undefined || this.#socket.destroyed) {
      return Promise.reject(brokenPipe());
    }
    const piece = data.subarray(0, LONGEST_WRITE);
    if (piece.length === 0) return Promise.resolve(0);
    return this.#settled((done) => this.#socket.write(piece, done)).then(() => piece.length);
  }

  closeWrite(): Promise<void> {
    if (this.#closed) return Promise.reject(badResource());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#writesEnded ??= this.#endWrites();
    return this.#writesEnded;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rest = undefined;
    this.#unread.clear();
    this.#below.closeTransport();
    this.#socket.destroy();
    this.#rejectAll(interrupted());
  }

  async #endWrites(): Promise<void> {
    await this.#settled((done) => this.#socket.end(done));
    await this.#below.flushed();
    if (this.#closed) throw interrupted();
  }

  /** Waits for what Node calls back, and no longer than the connection lasts. */
  #settled(begin: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writes.add(reject);
      begin((error) => {
        this.#writes.delete(reject);
        if (error) reject(this.#closed ? interrupted() : this.#failure ?? this.#meaning(error));
        else resolve();
      });
    });
  }

  #take(chunk: Uint8Array): void {
    this.#received = true;
    if (this.#closed) return;
    this.#unread.push(chunk);
    this.#below.wanted = false;
    while (this.#reads.size > 0) {
      const next = this.#rest ?? this.#unread.shift();
      if (next === undefined) return;
      const read = this.#reads.shift();
      read?.resolve(this.#give(next, read.buffer));
    }
  }

  /** Moves bytes; what is left of the chunk stays the first to be read. */
  #give(chunk: Uint8Array, buffer: Uint8Array): number {
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(count === chunk.length ? chunk : chunk.subarray(0, count));
    this.#rest = count < chunk.length ? chunk.subarray(count) : undefined;
    if (this.#rest === undefined && this.#unread.size === 0) this.#below.wanted = true;
    return count;
  }

  #endReads(): void {
    if (this.#closed) return;
    this.#readsEnded = true;
    for (const { resolve } of this.#reads.clear()) resolve(null);
  }

  #fail(error: Error): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = this.#meaning(error);
    this.#rejectAll(this.#failure);
  }

  /** The transport's own error, where it was the transport. */
  #meaning(error: Error): unknown {
    const { failure } = this.#below;
    if (failure !== undefined) return failure;
    if (!this.#received && isLateRefusal(error)) {
      return tlsError(`Cannot use connection to ${this.remoteAddr}`, error);
    }
    if (this.#socket.destroyed && !("code" in error && `${error.code}`.startsWith("ERR_SSL_"))) {
      return brokenPipe();
    }
    const message =
      `Cannot use connection to ${this.remoteAddr} as TLS is broken: ${error.message}`;
    return new ProtocolError("PROTOCOL", message, { cause: error });
  }

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#reads.clear()) reject(error);
    for (const reject of this.#writes) reject(error);
    this.#writes.clear();
  }
}

function tlsAddr(value: unknown): Addr {
  const addr = Addr.of(value);
  return addr.transport === "tcp" ? Addr.parse({ ...addr, transport: "tls" }) : addr;
}

function badResource(): Error {
  return new Deno.errors.BadResource("Bad resource ID");
}

function brokenPipe(): Error {
  return new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
}

function interrupted(): Error {
  return new Deno.errors.Interrupted("operation canceled");
}
