/**
 * One attempt to connect: it waits for an answer until it has one, its time is up, or it is aborted.
 *
 * Owns the wait. Whoever answers it knows the network.
 */
import type { Addr } from "../base/addr.ts";
import { ConnectError } from "../base/errors.ts";
import type { ByteTransport, Clock, WaitOptions } from "../base/types.ts";

/** The attempt. */
export class Dial {
  readonly addr: Addr;
  readonly promise: Promise<ByteTransport>;
  /** Whether it has reached the other end. */
  arrived = false;
  settled = false;
  readonly #clock: Clock;
  readonly #options: WaitOptions;
  readonly #onSettled: () => void;
  #timers: Disposable[] = [];
  #resolve: (conn: ByteTransport) => void;
  #reject: (reason: unknown) => void;

  /** Starts to wait; `onSettled` is called when that is over, unless it is over before it began. */
  constructor(addr: Addr, options: WaitOptions, clock: Clock, onSettled: () => void) {
    const { promise, resolve, reject } = Promise.withResolvers<ByteTransport>();
    this.addr = addr;
    this.promise = promise;
    this.#clock = clock;
    this.#options = options;
    this.#onSettled = onSettled;
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal, timeout = Infinity } = options;
    if (signal?.aborted) {
      this.settled = true;
      reject(signal.reason);
      return;
    }
    signal?.addEventListener("abort", this.#onAbort);
    if (timeout !== Infinity) this.#timers.push(this.#timeout(timeout));
  }

  /** Calls `arrive` when the attempt has been on its way for `delay` ms. */
  after(delay: number, arrive: () => void): void {
    const run = () => {
      this.arrived = true;
      arrive();
    };
    if (delay === 0) run();
    else this.#timers.push(this.#clock.setTimer(this.#clock.now() + delay, run));
  }

  accept(conn: ByteTransport): void {
    this.#settle();
    this.#resolve(conn);
  }

  refuse(): void {
    const message =
      `Cannot connect to ${this.addr} as somebody must listen there: connection refused`;
    this.#fail(new ConnectError("REFUSED", message, { initiator: "remote" }));
  }

  #timeout(ms: number): Disposable {
    return this.#clock.setTimer(this.#clock.now() + ms, () => {
      const message = `Cannot connect to ${this.addr} as nobody answered within ${ms} ms`;
      this.#fail(new ConnectError("TIMEOUT", message, { initiator: "network" }));
    });
  }

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason);

  #fail(reason: unknown): void {
    this.#settle();
    this.#reject(reason);
  }

  #settle(): void {
    this.settled = true;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#onSettled();
  }
}
