/**
 * A page's runtime: its time, its chance, and its own WebSocket. Names nothing of Deno, and nothing of a page
 * that may be missing in a worker.
 *
 * 1. While the browser says that there is no network a dial waits, and one that fails all the same is tried
 *    again: no attempt is spent, however long that lasts.
 */
import type { Clock, DialOptions, Runtime, Transport, TransportListener } from "../base/types.ts";
import type { Addr } from "../base/addr.ts";
import { startWait } from "../base/wait.ts";
import { systemClock, SystemRandom } from "../net/clock.ts";
import type { Page } from "./page.ts";
import { openPageSocket } from "./page_socket.ts";

/** Browsers have been wrong about the network before: so often, in ms, they are not believed. */
const DISBELIEF = 30_000;

/** What a runtime is made with. */
export interface BrowserWorld {
  /** Whether a dial waits for a network that is not there. @default {true} */
  readonly patient?: boolean;
  /** @default {the system's} */
  readonly clock?: Clock;
  /** Opens a connection. @default {the page's WebSocket} */
  readonly open?: typeof openPageSocket;
}

/** The runtime of one page. */
export class BrowserRuntime implements Runtime {
  readonly clock: Clock;
  readonly #random = new SystemRandom();
  readonly #page: Page;
  readonly #patient: boolean;
  readonly #open: typeof openPageSocket;

  constructor(
    page: Page,
    { patient = true, clock = systemClock, open = openPageSocket }: BrowserWorld = {},
  ) {
    this.#page = page;
    this.#patient = patient;
    this.clock = clock;
    this.#open = open;
  }

  random(): number {
    return this.#random.next();
  }

  async dial(addr: Addr, options: DialOptions): Promise<Transport> {
    if (addr.transport !== "ws" && addr.transport !== "wss") {
      throw new TypeError(
        `Cannot dial ${addr} as a page has WebSocket only: use ws:// or wss://`,
      );
    }
    const cutOff = () => this.#patient && this.#page.offline && !isLoopback(addr);
    while (true) {
      if (cutOff()) await this.#network(options.signal);
      try {
        return await this.#open(addr, options, this.clock);
      } catch (error) {
        if (error instanceof TypeError || options.signal?.aborted || !cutOff()) throw error;
      }
    }
  }

  listen(addr: Addr): Promise<TransportListener> {
    return Promise.reject(new TypeError(`Cannot listen on ${addr} as a page cannot listen`));
  }

  /** Resolves when there may be a network again. */
  async #network(signal: AbortSignal | undefined): Promise<void> {
    const limits = signal === undefined ? {} : { signal };
    const wait = startWait<void>(this.clock, limits, "wait for the network");
    const timer = this.clock.setTimer(this.clock.now() + DISBELIEF, () => wait.resolve(), true);
    const watch = this.#page.watch(() => {
      if (!this.#page.offline) wait.resolve();
    });
    try {
      await wait.promise;
    } finally {
      timer[Symbol.dispose]();
      watch[Symbol.dispose]();
    }
  }
}

/** A server on this very machine needs no network. */
function isLoopback({ hostname }: Addr): boolean {
  return /^(?:127(?:\.\d+){3}|::1|(?:.+\.)?localhost)$/i.test(hostname);
}
