/**
 * What a byte connection is, for whoever uses one.
 */
import type { Addr } from "../base/addr.ts";
import type { CloseInfo, CloseOptions, Lifecycle } from "../base/lifecycle.ts";
import type { Bytes, ByteTransport, WaitOptions } from "../base/types.ts";
import type { TlsInfo } from "../base/tls.ts";
import type { ReadOptions } from "./options.ts";

/**
 * A byte connection whose waits can be limited without harm.
 *
 * Each operation takes a `timeout` (ms for all of it) and a `signal`. `readTimeout` and `writeTimeout`
 * are the timeouts of operations that name none; deadlines are instants, as `Date.now()` counts them,
 * that hold for every operation until they are set anew, also for those that wait already. `Infinity`
 * is none, of either kind, and what there is unless you say so. Where several apply, the earliest counts.
 *
 * A read that took too long rejects with a `TimeoutError` and can simply be repeated: nothing is lost.
 * A write that took too long rejects with one too, whose `bytesWritten` says how much was surely handed
 * over, and ends the connection, as the other end may have half a message.
 *
 * Several reads at once are served in the order of their calls, and so are several writes: each goes
 * out in one piece. When the other end has ended, reads give what is left, then `null`; writing goes
 * on until `closeWrite` or `close`, and when both ends have ended their directions the connection has
 * ended. When it breaks, reads give what had arrived before, then reject with a `ClosedError`.
 */
export interface Conn extends ByteTransport, Lifecycle {
  /** Counts the connections of this process, from 1. */
  readonly id: number;
  /** Address of this end. */
  readonly localAddr: Addr;
  /** Address of the other end. */
  readonly remoteAddr: Addr;
  /** Timeout of reads that name none, in ms. */
  readTimeout: number;
  /** Timeout of writes that name none, in ms. */
  writeTimeout: number;
  /** The bytes that arrive. Leaving or cancelling it closes nothing, and what was not read is there still. */
  readonly readable: ReadableStream<Bytes>;
  /** Where bytes can be piped to. Closing it is `closeWrite`; aborting it is `abort`. */
  readonly writable: WritableStream<Uint8Array>;

  /** Limits all reads to an instant. One that has passed fails them at once. */
  setReadDeadline(at: number | Date): void;
  /** Limits all writes to an instant. One that has passed fails them at once. */
  setWriteDeadline(at: number | Date): void;
  /** Limits all reads and writes to an instant. */
  setDeadline(at: number | Date): void;

  /**
   * Reads what is there, one byte at least, into `buf`, and tells how many bytes; `null` at the end.
   * Nothing is written to `buf` after the promise has settled.
   *
   * @throws {TimeoutError} (as a rejection) where it took too long; it can be repeated
   * @throws {ClosedError} where the connection has ended otherwise than by the other end's `closeWrite`
   */
  read(buf: Uint8Array, options?: WaitOptions): Promise<number | null>;
  /**
   * Reads so many bytes.
   *
   * @throws {FrameError} (as a rejection) with the code `"TRUNCATED"` where the other end has ended
   *   before; what it did send can still be read
   */
  readExactly(length: number, options?: WaitOptions): Promise<Bytes>;
  /**
   * Reads a line of UTF-8 text, without its LF or CRLF. The last one may have no end; after it `null`.
   *
   * @throws {LimitError} (as a rejection) where it is longer than `maxLength` bytes
   */
  readLine(options?: ReadOptions): Promise<string | null>;
  /**
   * Reads all up to the end.
   *
   * @throws {LimitError} (as a rejection) where that is more than `maxLength` bytes
   */
  readAll(options?: ReadOptions): Promise<Bytes>;
  /**
   * Reads all up to the end, as UTF-8 text.
   *
   * @throws {LimitError} (as a rejection) where that is more than `maxLength` bytes
   */
  readText(options?: ReadOptions): Promise<string>;
  /**
   * Writes all of it, a string as UTF-8, and tells how many bytes that was. Leave the bytes alone until
   * it is done.
   *
   * A signal takes a write back that has not begun; one that has begun it ends with the connection.
   *
   * @throws {TimeoutError} (as a rejection) where it took too long; the connection has ended
   * @throws {ClosedError} where the connection has ended, or this direction of it
   */
  write(data: Uint8Array | string, options?: WaitOptions): Promise<number>;
  /** Ends this end's direction when all is written; the other end reads the end, and can go on writing. */
  closeWrite(): Promise<void>;
  /**
   * Ends the connection when all is written, within `grace` ms (default 10 s). Reads fail at once. Where
   * the other end is still sending, it gets a moment (1 s) to notice: to be cut off while it does would
   * lose it what was written last.
   *
   * @throws {RangeError} where the grace is negative or no number
   */
  close(options?: CloseOptions): Promise<CloseInfo>;
  /** Ends the connection now. What waits is lost. */
  abort(reason?: unknown): void;
}

/** A connection over TCP. */
export interface TcpConn extends Conn {
  /** Sends what is written at once, also where it is little (`true`), or may collect it (`false`). */
  setNoDelay(on: boolean): void;
  /** Lets the system probe a connection that is silent for long. */
  setKeepAlive(on: boolean): void;
}

/** A connection over TLS. Its handshake is done. */
export interface TlsConn extends Conn {
  /** What the handshake has established. */
  readonly tls: TlsInfo;
}
