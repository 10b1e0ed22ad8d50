/**
 * A byte connection over whatever carries bytes: two sides, and the one end of both.
 *
 * Owns the transport and how the connection ends. Knows no kind of transport.
 *
 * 1. The transport is closed once, and nothing is armed or pending when `closed` resolves.
 * 2. After `close` what was accepted is written, within the grace; after `abort` nothing is.
 * 3. Where writing has failed, what the other end sent before can still be read.
 */
import { Addr } from "../base/addr.ts";
import { type CloseCode, ClosedError, VnetError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions } from "../base/lifecycle.ts";
import type { Bytes, ByteTransport, Initiator, WaitOptions } from "../base/types.ts";
import { inWords } from "../peer/abort_with.ts";
import { cutTransport } from "../stream/cut.ts";
import { ByteStreams } from "./byte_streams.ts";
import type { Conn } from "./conn.ts";
import { type ConnOptions, MAX_LENGTH, type ReadOptions } from "./options.ts";
import { Reader } from "./reader.ts";
import { systemTiming, type Timing } from "./waits.ts";
import { Writer } from "./writer.ts";

/** How long, in ms, an other end that is still sending may take to end its direction. */
const LINGER = 1_000;
/** How long, in ms, none of it must arrive for it to count as not sending. */
const QUIET = 10;

const NONE: WaitOptions = {};
const decoder = new TextDecoder();

let lastId = 0;

/** A connection over `transport`, which is its own from now on. */
export class Connection implements Conn {
  readonly id: number = ++lastId;
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly closed: Promise<CloseInfo>;
  readonly #transport: ByteTransport;
  readonly #clock: Timing["clock"];
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #streams: ByteStreams;
  readonly #resolveClosed: (info: CloseInfo) => void;
  /** Set from `close` on. */
  #info: CloseInfo | undefined;
  #ended = false;
  /** How writing has failed, while there may still be something to read. */
  #writeFailure: unknown;
  #writeEnded = false;
  /** While it closes: whether the other end may still be sending, does, and knows of the end. */
  #lingers = false;
  #sendsStill = false;
  #told = false;
  readonly #cleanUps: (() => void)[] = [];
  #lingering: Disposable | undefined;

  constructor(transport: ByteTransport, options: ConnOptions = {}, timing: Timing = systemTiming) {
    const { readTimeout = Infinity, writeTimeout = Infinity } = options;
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#transport = transport;
    this.#clock = timing.clock;
    this.localAddr = Addr.of(transport.localAddr);
    this.remoteAddr = Addr.of(transport.remoteAddr);
    this.#reader = new Reader(transport, {
      readEnded: () => this.#readEnded(),
      readFailed: (error) => this.#readFailed(error),
    }, timing);
    this.#writer = new Writer(transport, {
      writeEnded: () => {
        this.#writeEnded = true;
        this.#directionEnded("local");
      },
      writeFailed: (error) => this.#writeFailed(error),
      writeLate: (error) => this.#end(endInfo("WRITE_TIMEOUT", "network", error)),
      writeAborted: (reason) => this.#end(endInfo("ABORTED", "local", reason)),
    }, timing);
    this.#streams = new ByteStreams(this, this.#reader);
    this.readTimeout = readTimeout;
    this.writeTimeout = writeTimeout;
  }

  get readTimeout(): number {
    return this.#reader.timeout;
  }

  set readTimeout(ms: number) {
    this.#reader.timeout = ms;
  }

  get writeTimeout(): number {
    return this.#writer.timeout;
  }

  set writeTimeout(ms: number) {
    this.#writer.timeout = ms;
  }

  get readable(): ReadableStream<Bytes> {
    return this.#streams.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#streams.writable;
  }

  setReadDeadline(at: number | Date): void {
    this.#reader.setDeadline(at);
  }

  setWriteDeadline(at: number | Date): void {
    this.#writer.setDeadline(at);
  }

  setDeadline(at: number | Date): void {
    this.#reader.setDeadline(at);
    this.#writer.setDeadline(at);
  }

  read(buf: Uint8Array, options: WaitOptions = NONE): Promise<number | null> {
    return this.#reader.into(buf, options);
  }

  readExactly(length: number, options: WaitOptions = NONE): Promise<Bytes> {
    const error = badLength("length", length);
    return error === undefined ? this.#reader.exactly(length, options) : Promise.reject(error);
  }

  readLine(options: ReadOptions = NONE): Promise<string | null> {
    const { maxLength = MAX_LENGTH } = options;
    const error = badLength("maxLength", maxLength);
    return error === undefined ? this.#reader.line(maxLength, options) : Promise.reject(error);
  }

  readAll(options: ReadOptions = NONE): Promise<Bytes> {
    const { maxLength = MAX_LENGTH } = options;
    const error = badLength("maxLength", maxLength);
    return error === undefined ? this.#reader.all(maxLength, options) : Promise.reject(error);
  }

  async readText(options: ReadOptions = NONE): Promise<string> {
    return decoder.decode(await this.readAll(options));
  }

  write(data: Uint8Array | string, options: WaitOptions = NONE): Promise<number> {
    return this.#writer.write(data, options);
  }

  closeWrite(): Promise<void> {
    if (this.#transport.closeWrite === undefined) {
      const { transport } = this.localAddr;
      return Promise.reject(
        new TypeError(
          `Cannot close one direction as the transport must be able to: it is ${transport}`,
        ),
      );
    }
    const info = { code: "NORMAL", reason: "closeWrite", initiator: "local" } as const;
    return this.#writer.finish(() =>
      new ClosedError("Cannot write as closeWrite() must not have been called before", info)
    );
  }

  close(options: CloseOptions = {}): Promise<CloseInfo> {
    const { grace = 10_000, reason = "", signal } = options;
    if (!(grace >= 0)) {
      throw new RangeError(
        `Cannot close connection as 'grace' must be at least 0: current value is ${grace}`,
      );
    }
    if (this.#ended) return this.closed;
    if (this.#info === undefined) {
      const initiator = this.#reader.eof ? "remote" : "local";
      this.#shutDown(this.#info = { code: "NORMAL", reason, initiator });
    }
    if (!this.#ended) this.#limitGrace(this.#info, grace, signal);
    return this.closed;
  }

  abort(reason?: unknown): void {
    this.#end(endInfo("ABORTED", "local", reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Gives the transport away, as it is, and ends; `undefined` where something is pending on it. */
  protected release(reason: string): ByteTransport | undefined {
    const { unread, reading } = this.#reader;
    if (this.#info !== undefined || this.#ended) return undefined;
    if (unread || reading || !this.#writer.idle) return undefined;
    this.#end({ code: "NORMAL", reason, initiator: "local" }, "none", () => undefined);
    return this.#transport;
  }

  /** Throws where the connection has ended. */
  protected mustBeOpen(action: string): void {
    if (this.#info !== undefined) throw closedError(action, this.#info);
  }

  #readEnded(): void {
    // The system tells of a reset once only: after a write that heard of it, reading seems to end well.
    const failure = this.#writeFailure;
    if (failure !== undefined && !isBrokenPipe(failure)) this.#readFailed(failure);
    else this.#directionEnded("remote");
  }

  /** When both have, nothing is left to wait for but what arrived and was not read. */
  #directionEnded(initiator: Initiator): void {
    if (!this.#reader.eof || !this.#writeEnded || this.#info !== undefined) return;
    this.#end({ code: "NORMAL", reason: "", initiator }, "all");
  }

  #readFailed(error: unknown): void {
    // Once all is written, how the other end goes away does not matter any more.
    if (this.#info !== undefined && this.#writer.idle) this.#end(this.#info);
    else this.#end(endInfo("LINK_LOST", "network", error), "some");
  }

  #writeFailed(error: unknown): void {
    const info = endInfo("LINK_LOST", "network", error);
    if (this.#reader.eof || this.#info !== undefined) return this.#end(info);
    this.#writeFailure = error;
    this.#writer.end(() => closedError("write", info));
  }

  #shutDown(info: CloseInfo): void {
    const { eof, unread, reading } = this.#reader;
    const { written, idle } = this.#writer;
    const { tls, closeWrite } = this.#transport;
    // Over TLS the other end must be told, or it takes the end for an attack.
    const untold = tls !== undefined && !this.#writeEnded;
    const mayLose = written > 0 && (unread || !reading) || !idle;
    this.#lingers = closeWrite !== undefined && !eof && mayLose;
    if (idle && !this.#lingers && !untold) return this.#end(info);
    this.#sendsStill = unread;
    const refusal = (action: string) => () => closedError(action, info);
    // What arrives is dropped from now on: were it left to lie, closing would reset the connection, and
    // the other end might never get round to reading what is written to it.
    this.#reader.discard(refusal("read"), (bytes) => this.#discarded(info, bytes));
    this.#writer.flush(refusal("write"), () => this.#endDirection(info));
  }

  #discarded(info: CloseInfo, bytes: number | null): void {
    if (bytes === null && this.#told) return this.#end(info);
    if (bytes === null || this.#sendsStill) return;
    this.#sendsStill = true;
    if (this.#lingering !== undefined) this.#lingerFor(LINGER, info);
  }

  /** All is written. Says so, and ends once it seems that nothing more is coming. */
  async #endDirection(info: CloseInfo): Promise<void> {
    try {
      await this.#transport.closeWrite?.();
    } catch {
      // The other end was faster: the connection is gone, and that is all we wanted.
      return this.#end(info);
    }
    this.#told = true;
    if (!this.#lingers || this.#reader.eof) return this.#end(info);
    this.#lingerFor(this.#sendsStill ? LINGER : QUIET, info);
  }

  #lingerFor(ms: number, info: CloseInfo): void {
    if (this.#ended) return;
    this.#lingering?.[Symbol.dispose]();
    this.#lingering = this.#clock.setTimer(this.#clock.now() + ms, () => this.#end(info));
  }

  #limitGrace(info: CloseInfo, grace: number, signal: AbortSignal | undefined): void {
    const cut = () => this.#cutShort(info);
    if (grace !== Infinity) {
      const timer = this.#clock.setTimer(this.#clock.now() + grace, cut);
      this.#cleanUps.push(() => timer[Symbol.dispose]());
    }
    if (signal?.aborted) return cut();
    signal?.addEventListener("abort", cut, { once: true });
    this.#cleanUps.push(() => signal?.removeEventListener("abort", cut));
  }

  #cutShort(info: CloseInfo): void {
    const { queued } = this.#writer;
    if (queued === 0) return this.#end(info);
    const reason = `${queued} bytes could not be written within the grace`;
    this.#end({ code: "WRITE_TIMEOUT", reason, initiator: "local" });
  }

  /** `left`: of what the other end sent, how much has arrived and can still be read. */
  #end(
    info: CloseInfo,
    left: "none" | "some" | "all" = "none",
    dispose = () => cutTransport(this.#transport),
  ): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#info = info;
    for (const cleanUp of this.#cleanUps) cleanUp();
    this.#lingering?.[Symbol.dispose]();
    this.#reader.end(left === "all" ? undefined : () => closedError("read", info), left !== "none");
    this.#writer.end(() => closedError("write", info));
    const closing = dispose();
    if (closing === undefined) this.#resolveClosed(info);
    else closing.then(() => this.#resolveClosed(info));
  }
}

/** What ends a connection that nobody asked to end. */
function endInfo(code: CloseCode, initiator: Initiator, cause: unknown): CloseInfo {
  const reason = inWords(cause);
  if (cause === undefined) return { code, reason, initiator };
  const error = cause instanceof VnetError
    ? cause
    : new VnetError(code, reason, { cause, initiator });
  return { code, reason, initiator, error };
}

function closedError(action: string, info: CloseInfo): ClosedError {
  return new ClosedError(
    `Cannot ${action} as the connection must be open: it has ended with ${info.code}`,
    info,
  );
}

/** The error of writing to an other end that has ended and gone: reading from it ended well before. */
function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && (error.name === "BrokenPipe" ||
    "code" in error && error.code === "EPIPE");
}

function badLength(name: string, value: number): RangeError | undefined {
  if (Number.isSafeInteger(value) && value >= 0 || value === Infinity && name === "maxLength") {
    return undefined;
  }
  return new RangeError(
    `Cannot read as '${name}' must be an integer from 0: current value is ${value}`,
  );
}
