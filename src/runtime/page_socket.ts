/**
 * A page's WebSocket as a session wants it: dialled within a time, and with an end to what it takes.
 *
 * A page's socket tells neither why it could not be opened nor when there is room in it, reads whether
 * or not anybody takes what it has read, and swallows what it is given after its end. Only here is that known.
 *
 * 1. No more than `HIGH_WATER` bytes and one message wait in the socket.
 * 2. No more than `MAX_UNREAD` bytes and one message wait to be read.
 */
import type { Bytes, Clock, DialOptions, MessageTransport } from "../base/types.ts";
import type { Addr } from "../base/addr.ts";
import { ConnectError, LimitError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import { startWait } from "../base/wait.ts";

/** The WebSocket subprotocol of vnet/1 (PROTOCOL.md section 1). */
const SUBPROTOCOL = "vnet.1";
/** With so many bytes on their way the socket is given no more, so that little stands before a heartbeat. */
const HIGH_WATER = 131_072;
/** How often is looked whether there is room again, in ms. */
const LOOK_AGAIN = 10;
/** A session reads at once, and grants credit before much is sent: whoever sends this much heeds neither. */
const MAX_UNREAD = 16_777_216;

/**
 * Opens a WebSocket for a session.
 *
 * @throws {ConnectError} where there is none to be had within `timeout` ms
 * @throws {TypeError} where the browser will have none of that address, ever
 */
export async function openPageSocket(
  addr: Addr,
  options: DialOptions,
  clock: Clock,
): Promise<MessageTransport> {
  const { timeout = 5_000, signal } = options;
  signal?.throwIfAborted();
  const socket = make(addr);
  const limits = signal === undefined ? { timeout } : { timeout, signal };
  const wait = startWait<void>(clock, limits, `dial ${addr}`);
  socket.addEventListener("open", () => wait.resolve());
  socket.addEventListener("close", () => wait.reject(unreachable(addr)));
  // Before it is open: what comes with the opening must find a reader.
  const transport = new PageSocket(socket, addr, clock);
  try {
    await wait.promise;
  } catch (error) {
    transport.abort();
    if (signal?.aborted || error instanceof ConnectError) throw error;
    const message = `Cannot dial ${addr} as there was no answer in ${timeout} ms`;
    throw new ConnectError("TIMEOUT", message, { initiator: "network", cause: error });
  }
  if (socket.protocol === SUBPROTOCOL) return transport;
  transport.abort();
  // A browser refuses such an answer by itself, without saying why.
  const message = `Cannot dial ${addr} as what answers does not speak ${SUBPROTOCOL}`;
  throw new ConnectError("WRONG_PROTOCOL", message, { initiator: "remote" });
}

function make(addr: Addr): WebSocket {
  try {
    const socket = new WebSocket(addr.toString(), SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    return socket;
  } catch (cause) {
    // Such as ws:// on a page that came by https://.
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot dial ${addr} as the browser refuses to: ${why}`, { cause });
  }
}

function unreachable(addr: Addr): ConnectError {
  const message = `Cannot dial ${addr} as no WebSocket is to be had there: a page is not told why`;
  return new ConnectError("UNREACHABLE", message, { initiator: "network" });
}

type Result = IteratorResult<Uint8Array | string, undefined>;

/** The transport. It is its own, one, iterator. */
class PageSocket implements MessageTransport, AsyncIterator<Uint8Array | string, undefined> {
  readonly remoteAddr: Addr;
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #closed = Promise.withResolvers<void>();
  readonly #messages = new Fifo<Bytes | string>();
  #unread = 0;
  #error: LimitError | undefined;
  #waiting: PromiseWithResolvers<Result> | undefined;
  #endPause: (() => void) | undefined;
  #over = false;

  constructor(socket: WebSocket, addr: Addr, clock: Clock) {
    this.remoteAddr = addr;
    this.#socket = socket;
    this.#clock = clock;
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.#take(new Uint8Array(data));
      else if (typeof data === "string") this.#take(data);
    });
    socket.addEventListener("close", () => this.#end());
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#over || this.#socket.readyState !== WebSocket.OPEN) {
      throw new Error("Cannot send as the WebSocket is not open any more");
    }
    this.#socket.send(onOwnMemory(message));
    while (this.#socket.bufferedAmount > HIGH_WATER && !this.#over) await this.#lookAgain();
  }

  close(): Promise<void> {
    this.#socket.close();
    return this.#closed.promise;
  }

  abort(): void {
    this.#socket.close();
    // The other end may never answer that, and a browser waits long for it.
    this.#end();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array | string, undefined> {
    return this;
  }

  next(): Promise<Result> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#unread -= message.length;
      return Promise.resolve({ done: false, value: message });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  #take(message: Bytes | string): void {
    if (this.#over) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting.resolve({ done: false, value: message });
    if (this.#unread > MAX_UNREAD) {
      const text = `Cannot read as fast as the other end sends: ${this.#unread} bytes wait already`;
      this.#error = new LimitError("QUEUE_FULL", "maxQueuedBytes", text, { initiator: "remote" });
      return this.abort();
    }
    this.#unread += message.length;
    this.#messages.push(message);
  }

  #end(): void {
    this.#over = true;
    this.#closed.resolve();
    this.#endPause?.();
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  #lookAgain(): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer[Symbol.dispose]();
        this.#endPause = undefined;
        resolve();
      };
      const timer = this.#clock.setTimer(this.#clock.now() + LOOK_AGAIN, end);
      this.#endPause = end;
    });
  }
}

/** A socket takes no view of memory that is shared. */
function onOwnMemory(bytes: Uint8Array): Bytes {
  const { buffer, byteOffset, length } = bytes;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, length)
    : new Uint8Array(bytes);
}
