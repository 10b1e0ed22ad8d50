/**
 * A page's runtime: its time, its chance, and its own WebSocket.
 *
 * Owns what a page has and a server has not: it is hidden, it sleeps, it goes offline. Names nothing of
 * Deno, and nothing of a page that may be missing in a worker.
 */
import type {
  Bytes,
  Clock,
  DialOptions,
  MessageTransport,
  Runtime,
  TransportListener,
} from "../base/types.ts";
import type { Addr } from "../base/addr.ts";
import { ConnectError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import { startWait } from "../base/wait.ts";
import { SystemClock, SystemRandom } from "../net/clock.ts";

/** The WebSocket subprotocol of vnet/1 (PROTOCOL.md section 1). */
const SUBPROTOCOL = "vnet.1";
/** With so many bytes on their way the page's socket takes no more of ours. */
const HIGH_WATER = 131_072;
/** How often is looked whether there is room again, in ms: a page's socket does not tell. */
const LOOK_AGAIN = 10;

class BrowserRuntime implements Runtime {
  readonly clock: Clock = new SystemClock();
  readonly #random = new SystemRandom();

  random(): number {
    return this.#random.next();
  }

  dial(addr: Addr, options: DialOptions): Promise<MessageTransport> {
    if (addr.transport !== "ws" && addr.transport !== "wss") {
      const message = `Cannot dial ${addr} as a page has WebSocket only: use ws:// or wss://`;
      return Promise.reject(new TypeError(message));
    }
    return open(addr, options, this.clock);
  }

  listen(addr: Addr): Promise<TransportListener> {
    return Promise.reject(new TypeError(`Cannot listen on ${addr} as a page cannot listen`));
  }
}

let runtime: Runtime | undefined;

/** The runtime of whoever brings none. */
export function browserRuntime(): Runtime {
  return runtime ??= new BrowserRuntime();
}

/** What a page may be told of itself. */
export interface PageEvents {
  /** The network is back, or the page is looked at again. */
  woken(): void;
}

/** Listens to the page until the result is disposed of. Where there is none, as in a worker, it tells nothing. */
export function watchPage(events: PageEvents): Disposable {
  const woken = () => {
    if (visible()) events.woken();
  };
  const page: unknown = Reflect.get(globalThis, "document");
  const targets = [globalThis, page].filter((one) => one instanceof EventTarget);
  const names = ["online", "pageshow", "visibilitychange"];
  for (const target of targets) for (const name of names) target.addEventListener(name, woken);
  return {
    [Symbol.dispose]() {
      for (const target of targets) {
        for (const name of names) target.removeEventListener(name, woken);
      }
    },
  };
}

function visible(): boolean {
  const page: unknown = Reflect.get(globalThis, "document");
  if (typeof page !== "object" || page === null || !("visibilityState" in page)) return true;
  return page.visibilityState !== "hidden";
}

/** Opens a connection; rejects with a ConnectError after `timeout` ms. */
async function open(addr: Addr, options: DialOptions, clock: Clock): Promise<MessageTransport> {
  const { timeout = 5_000, signal } = options;
  const socket = new WebSocket(addr.toString(), SUBPROTOCOL);
  socket.binaryType = "arraybuffer";
  const limits = signal === undefined ? { timeout } : { timeout, signal };
  const wait = startWait<void>(clock, limits, `dial ${addr}`);
  const failed = () =>
    wait.reject(
      new ConnectError("UNREACHABLE", `Cannot dial ${addr} as there is no WebSocket to be had`, {
        initiator: "network",
      }),
    );
  socket.addEventListener("open", () => wait.resolve());
  socket.addEventListener("close", failed);
  // Before it is awaited: what comes with the opening must find a reader.
  const transport = new PageSocket(socket, addr, clock);
  try {
    await wait.promise;
  } catch (error) {
    socket.close();
    if (signal?.aborted || error instanceof ConnectError) throw error;
    throw new ConnectError(
      "TIMEOUT",
      `Cannot dial ${addr} as there was no answer in ${timeout} ms`,
      {
        initiator: "network",
        cause: error,
      },
    );
  }
  if (socket.protocol === SUBPROTOCOL) return transport;
  socket.close();
  const message = `Cannot dial ${addr} as what answers does not speak ${SUBPROTOCOL}`;
  throw new ConnectError("WRONG_PROTOCOL", message, { initiator: "remote" });
}

type Result = IteratorResult<Uint8Array | string, undefined>;

/** A page's WebSocket as a session wants it. */
class PageSocket implements MessageTransport, AsyncIterator<Uint8Array | string, undefined> {
  readonly remoteAddr: Addr;
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #messages = new Fifo<Bytes | string>();
  #waiting: ((result: Result) => void) | undefined;
  #closed = false;

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
    if (this.#closed) throw new Error("The WebSocket is closed");
    this.#socket.send(message.slice());
    // The page's socket takes whatever it is given: how much waits in it must be bounded here.
    while (this.#socket.bufferedAmount > HIGH_WATER && !this.#closed) await this.#pause();
  }

  close(): void {
    this.#socket.close();
    // The closing handshake may take its time; nobody waits for it.
    this.#end();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array | string, undefined> {
    return this;
  }

  next(): Promise<Result> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve({ done: false, value: message });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting = resolve);
  }

  #take(message: Bytes | string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#messages.push(message);
    else waiting({ done: false, value: message });
  }

  #end(): void {
    this.#closed = true;
    this.#waiting?.({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(this.#clock.now() + LOOK_AGAIN, resolve));
  }
}
