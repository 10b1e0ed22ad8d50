/**
 * A listener whose waits can be limited without harm.
 *
 * Owns the one accept that is outstanding at the source. It may be given up: what it brings goes to who
 * asks next.
 *
 * 1. A failure to accept (too many open files, a dial that was given up) ends nothing: the next try
 *    comes after a pause.
 * 2. Accepts are served in the order of their calls.
 * 3. When `closed` resolves the address is free, and no connection is left that nobody has accepted.
 */
import type { Addr } from "../base/addr.ts";
import { ClosedError, TimeoutError, VnetError } from "../base/errors.ts";
import type { CloseInfo, CloseOptions, Lifecycle } from "../base/lifecycle.ts";
import { isPromiseLike } from "../base/resolved.ts";
import type { Transport, WaitOptions } from "../base/types.ts";
import { inWords } from "../peer/abort_with.ts";
import { cutTransport } from "../stream/cut.ts";
import type { Conn } from "./conn.ts";
import { systemTiming, type Timing, Wait, type WaitOwner, Waits } from "./waits.ts";

/**
 * Accepts connections, one by one or in a loop.
 *
 * A loop ends when the listener does; leaving it closes nothing. An accept that took too long rejects
 * with a `TimeoutError` and can simply be repeated. No failure of a single accept ends the listener:
 * when there are too many open files it pauses, from 10 ms up to 1 s, and goes on.
 *
 * @example
 * ```ts
 * import { dialTcp, listenTcp } from "@vgo/vnet/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp("127.0.0.1:0");
 * const serving = (async () => {
 *   for await (const conn of listener) {
 *     conn.readable.pipeTo(conn.writable); // echo, until the other end has ended
 *   }
 * })();
 *
 * await using client = await dialTcp(listener.addr);
 * await client.write("hello");
 * await client.closeWrite();
 * assertEquals(await client.readText(), "hello");
 * await listener.close();
 * await serving;
 * ```
 */
export interface Listener<C = Conn> extends AsyncIterable<C>, Lifecycle {
  /** Where it listens, with the port that the system chose where 0 was asked for. */
  readonly addr: Addr;
  /** Timeout of accepts that name none, in ms, those of a loop included. */
  acceptTimeout: number;
  /** Limits all accepts to an instant, as `Date.now()` counts. One that has passed fails them at once. */
  setAcceptDeadline(at: number | Date): void;
  /**
   * Waits for a connection.
   *
   * @throws {TimeoutError} (as a rejection) where it took too long; it can be repeated
   * @throws {ClosedError} where the listener has ended
   */
  accept(options?: WaitOptions): Promise<C>;
  /** Stops listening. What was accepted stays open. */
  close(options?: CloseOptions): Promise<CloseInfo>;
  /** As `close`. */
  abort(reason?: unknown): void;
}

/** Where connections come from. A promise that `close` returns resolves when the address is free. */
export type Source<T> = AsyncIterable<T> & { close(): unknown };

/** The first and the longest pause after a failure to accept, in ms. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 1_000;

/** The listener; `wrap` makes what it gives, and throws where a connection is of no use any more. */
export class ConnListener<T extends Transport, C extends Conn>
  implements Listener<C>, WaitOwner<AcceptWait<C>> {
  readonly what = "accept";
  readonly addr: Addr;
  readonly closed: Promise<CloseInfo>;
  readonly #source: Source<T>;
  readonly #wrap: (transport: T) => C;
  readonly #clock: Timing["clock"];
  readonly #limits: Waits<AcceptWait<C>>;
  readonly #resolveClosed: (info: CloseInfo) => void;
  #iterator: AsyncIterator<T>;
  readonly #waits: AcceptWait<C>[] = [];
  /** Accepted for somebody who had given up by then. */
  #ready: C | undefined;
  #accepting = false;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  #failure: unknown;
  #info: CloseInfo | undefined;

  constructor(
    source: Source<T>,
    addr: Addr,
    wrap: (transport: T) => C,
    options: { readonly acceptTimeout?: number } = {},
    timing: Timing = systemTiming,
  ) {
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#source = source;
    this.#wrap = wrap;
    this.#clock = timing.clock;
    this.#limits = new Waits(this, timing);
    this.#iterator = source[Symbol.asyncIterator]();
    this.addr = addr;
    this.acceptTimeout = options.acceptTimeout ?? Infinity;
  }

  get acceptTimeout(): number {
    return this.#limits.timeout;
  }

  set acceptTimeout(ms: number) {
    this.#limits.timeout = ms;
  }

  setAcceptDeadline(at: number | Date): void {
    this.#limits.setDeadline(at, this.#waits);
  }

  accept(options: WaitOptions = {}): Promise<C> {
    try {
      this.#limits.check(options);
      if (this.#info !== undefined) throw closedError(this.#info);
      const expired = this.#limits.expired();
      if (expired !== undefined) throw new TimeoutError(expired);
    } catch (error) {
      return Promise.reject(error);
    }
    const ready = this.#ready;
    if (ready !== undefined) {
      this.#ready = undefined;
      return Promise.resolve(ready);
    }
    const wait = new AcceptWait<C>();
    this.#waits.push(wait);
    this.#limits.begin(wait, options);
    if (!this.#accepting) this.#accept();
    return wait.promise;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<C, undefined> {
    return {
      next: async () => {
        try {
          return { done: false, value: await this.accept() };
        } catch (error) {
          if (this.#info === undefined) throw error;
          return { done: true, value: undefined };
        }
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  close({ reason = "" }: CloseOptions = {}): Promise<CloseInfo> {
    this.#end({ code: "NORMAL", reason, initiator: "local" });
    return this.closed;
  }

  abort(reason?: unknown): void {
    this.#end({ code: "ABORTED", reason: inWords(reason), initiator: "local" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  late(wait: AcceptWait<C>): void {
    const message = this.#limits.lateness(wait);
    const cause = this.#failure;
    this.#leave(wait, new TimeoutError(message, cause === undefined ? {} : { cause }));
  }

  aborted(wait: AcceptWait<C>, reason: unknown): void {
    this.#leave(wait, reason);
  }

  #leave(wait: AcceptWait<C>, reason: unknown): void {
    this.#waits.splice(this.#waits.indexOf(wait), 1);
    wait.reject(reason);
  }

  /** Accepts while somebody waits. */
  async #accept(): Promise<void> {
    this.#accepting = true;
    let pause = FIRST_PAUSE;
    while (this.#waits.length > 0 && this.#info === undefined) {
      try {
        const { done, value } = await this.#iterator.next();
        if (done) {
          this.#end({ code: "NORMAL", reason: "The source has ended", initiator: "local" });
          break;
        }
        pause = FIRST_PAUSE;
        this.#failure = undefined;
        this.#give(value);
      } catch (error) {
        this.#failure = error;
        if (this.#info !== undefined) break;
        await this.#sleep(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
        this.#iterator = this.#source[Symbol.asyncIterator]();
      }
    }
    this.#accepting = false;
  }

  #give(transport: T): void {
    if (this.#info !== undefined) {
      cutTransport(transport);
      return;
    }
    let conn: C;
    try {
      conn = this.#wrap(transport);
    } catch {
      // Its other end has given it up: there is nobody to serve.
      return;
    }
    const wait = this.#waits.shift();
    if (wait === undefined) this.#ready = conn;
    else {
      this.#limits.end(wait);
      wait.resolve(conn);
    }
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _timer = this.#clock.setTimer(this.#clock.now() + ms, resolve);
    await promise;
  }

  async #end(info: CloseInfo): Promise<void> {
    if (this.#info !== undefined) return;
    this.#info = info;
    this.#wake?.();
    this.#ready?.abort();
    this.#ready = undefined;
    for (const wait of this.#waits.splice(0)) {
      this.#limits.end(wait);
      wait.reject(closedError(info));
    }
    this.#limits.clear();
    const error = await closing(this.#source);
    this.#resolveClosed(error === undefined ? info : { ...info, error });
  }
}

/** An accept that waits. */
class AcceptWait<C> extends Wait {
  readonly promise: Promise<C>;
  readonly resolve: (conn: C) => void;
  readonly reject: (reason: unknown) => void;

  constructor() {
    super();
    const { promise, resolve, reject } = Promise.withResolvers<C>();
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Resolves when the source has let go of its address. */
async function closing(source: Source<unknown>): Promise<VnetError | undefined> {
  try {
    const closing = source.close();
    if (isPromiseLike(closing)) await closing;
    return undefined;
  } catch (cause) {
    return new VnetError("INTERNAL", `Cannot close listener: ${inWords(cause)}`, { cause });
  }
}

function closedError(info: CloseInfo): ClosedError {
  return new ClosedError(
    `Cannot accept as the listener must be open: it has ended with ${info.code}`,
    info,
  );
}
