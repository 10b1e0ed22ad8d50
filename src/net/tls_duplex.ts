/**
 * A byte transport as a stream of Node's, for `node:tls` to run over.
 *
 * Owns when bytes are read: Node's TLS decrypts whatever it gets and never says stop, so it gets no more
 * than is wanted. Owns the transport's end.
 *
 * 1. One read of the transport is outstanding at a time, and none begins unless bytes are `wanted`.
 * 2. The transport is closed once: by `closeTransport`, or when the stream is destroyed and what was
 *    written is on its way, or a moment later if it `lingers`.
 * 3. Between `destroy` and the destruction there is time for TLS to say why (an alert).
 */
import { Duplex } from "node:stream";
import type { ByteTransport } from "../base/types.ts";

/** A quiet connection holds the least; a busy one grows to what TCP hands over at once. */
const LEAST = 4_096;
const MOST = 65_536;
/** How long the other end may take to hear the last words, in ms, and what it may say meanwhile, in bytes. */
const LINGER_TIME = 1_000;
const LINGER_BYTES = 65_536;

/** What a transport has become. */
export class TransportDuplex extends Duplex {
  /** What the transport threw first. */
  failure: unknown;
  /**
   * Whether the other end gets the time to read what was written last: to close with unread input would
   * reset the connection.
   */
  lingers = false;
  /** Resolves when the transport is closed. */
  readonly gone: Promise<void>;
  readonly #transport: ByteTransport;
  readonly #tellGone: () => void;
  #wanted = true;
  #asked = false;
  #reading: Promise<unknown> | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #size = LEAST;
  #closed = false;
  #doomed = false;

  /** The stream owns the transport from now on. */
  constructor(transport: ByteTransport) {
    super({ allowHalfOpen: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#tellGone = resolve;
    this.#transport = transport;
  }

  /** Whether there is room for further plaintext. */
  set wanted(wanted: boolean) {
    this.#wanted = wanted;
    this.#pull();
  }

  /** Closes at once. */
  closeTransport(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#transport.close();
    } catch {
      // Closed before by whoever gave it to us: closed is closed.
    }
    this.#tellGone();
  }

  /** Node's TLS writes its last words in a microtask, after it has destroyed the stream. */
  override destroy(error?: Error): this {
    if (this.#doomed) return this;
    this.#doomed = true;
    this.#destroySoon(error);
    return this;
  }

  override _read(): void {
    this.#asked = true;
    this.#pull();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    const writing = this.#writeAll(chunk);
    this.#writing = writing.then(() => done(), (error) => done(this.#failed(error)));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#leave();
    done(error);
  }

  /** Resolves when all that TLS has to write is written, or never will be. */
  async flushed(): Promise<void> {
    do {
      await this.#writing;
      // The next part is written once Node has told TLS that this one is.
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.writableLength > 0 && !this.destroyed);
  }

  async #destroySoon(error: Error | undefined): Promise<void> {
    for (let hops = 0; hops < 4; hops++) await undefined;
    super.destroy(error);
  }

  #pull(): void {
    if (this.#reading !== undefined || !this.#asked || !this.#wanted || this.#doomed) return;
    this.#asked = false;
    this.#reading = this.#read();
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    const buffer = new Uint8Array(this.#size);
    try {
      const count = await this.#transport.read(buffer);
      this.#reading = undefined;
      if (this.#doomed) return;
      if (count !== null) this.#size = Math.min(MOST, Math.max(LEAST, count * 2));
      this.push(count === null ? null : buffer.subarray(0, count));
    } catch (error) {
      this.#reading = undefined;
      this.destroy(this.#failed(error));
    }
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    while (chunk.length > 0) chunk = chunk.subarray(await this.#transport.write(chunk));
  }

  /** Never rejects. */
  async #leave(): Promise<void> {
    if (this.#closed || this.failure !== undefined) return this.closeTransport();
    const timer = setTimeout(() => this.closeTransport(), LINGER_TIME);
    await this.#writing;
    if (this.lingers) await this.#linger();
    clearTimeout(timer);
    this.closeTransport();
  }

  /** Never rejects. */
  async #linger(): Promise<void> {
    try {
      await this.#transport.closeWrite?.();
      await this.#reading;
      const buffer = new Uint8Array(LEAST);
      for (let taken = 0; taken < LINGER_BYTES;) {
        const count = await this.#transport.read(buffer);
        if (count === null) break;
        taken += count;
      }
    } catch {
      // It is gone already, which is how this ends in any case.
    }
  }

  #failed(error: unknown): Error {
    this.failure ??= error;
    return error instanceof Error ? error : new Error(String(error));
  }
}
