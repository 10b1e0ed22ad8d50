/**
 * A listener whose connections need something before they can be given out: a handshake.
 *
 * Owns the handshakes that are under way. What they are is the caller's.
 *
 * 1. They run beside each other and beside accepting: who is silent keeps nobody waiting.
 * 2. Those under way, and connections that nobody has taken yet, are at most `maxPending` together. The next
 *    one waits in the system's queue; but a handshake older than `PATIENCE` makes room for it.
 * 3. Nothing is accepted before somebody iterates. What accepting throws is thrown there, and to iterate
 *    anew is to go on.
 */
import type { Addr } from "../base/addr.ts";
import { TimeoutError } from "../base/errors.ts";
import type { Clock, Transport, TransportListener } from "../base/types.ts";
import { Fifo } from "../base/fifo.ts";
import { cutTransport } from "./cut.ts";

/** For how long a handshake may keep others waiting when there is no room, in ms. */
const PATIENCE = 1_000;

/** What gives the connections that are to be prepared. */
export interface Source<I> extends AsyncIterable<I> {
  close(): unknown;
}

/** What a preparing listener is made with. */
export interface PreparingOptions<I, O> {
  /** What it says of itself. */
  readonly addr: Addr;
  readonly clock: Clock;
  /** How many connections may be under way at once. */
  readonly maxPending: number;
  /**
   * Makes of a connection what is to be given out; `undefined`: nothing is. Must not reject. `signal` ends it
   * early, with a `TimeoutError` where others wait for its place; the connection is its own to close then.
   */
  readonly prepare: (conn: I, signal: AbortSignal) => Promise<O | undefined>;
}

interface Pending {
  readonly since: number;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** The listener: of connections `I` it makes connections `O`. */
export class PreparingListener<I, O extends Transport> implements TransportListener {
  readonly addr: Addr;
  readonly #inner: Source<I>;
  readonly #options: PreparingOptions<I, O>;
  /** Oldest first. */
  readonly #pending = new Set<Pending>();
  readonly #ready = new Fifo<O>();
  readonly #waiters = new Set<() => void>();
  #accepting = false;
  #failure: { readonly error: unknown } | undefined;
  #over = false;
  #closed: Promise<void> | undefined;

  constructor(inner: Source<I>, options: PreparingOptions<I, O>) {
    this.#inner = inner;
    this.#options = options;
    this.addr = options.addr;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<O, void> {
    while (true) {
      const transport = this.#ready.shift();
      if (transport !== undefined) {
        this.#changed();
        yield transport;
        continue;
      }
      if (this.#over) return;
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) throw failure.error;
      if (!this.#accepting) this.#accept();
      await this.#change();
    }
  }

  /**
   * What nobody has taken yet is closed, as the system does with what nobody has accepted. Resolves when
   * nothing of that is left.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#over = true;
    for (const { stop } of this.#pending) stop.abort();
    for (const transport of this.#ready.clear()) cutTransport(transport);
    this.#changed();
    await this.#inner.close();
    // It may have given one more until then.
    while (this.#pending.size > 0) {
      await Promise.all(Array.from(this.#pending, ({ done }) => done));
    }
  }

  /** Never rejects. */
  async #accept(): Promise<void> {
    this.#accepting = true;
    try {
      for await (const conn of this.#inner) {
        this.#prepare(conn);
        await this.#room();
        if (this.#over) break;
      }
      this.#over = true;
    } catch (error) {
      this.#failure = { error };
    }
    this.#accepting = false;
    this.#changed();
  }

  #prepare(conn: I): void {
    const { clock, prepare } = this.#options;
    const stop = new AbortController();
    if (this.#over) stop.abort();
    const done = prepare(conn, stop.signal).then((transport) => {
      this.#pending.delete(pending);
      if (transport !== undefined) {
        if (this.#over) cutTransport(transport);
        else this.#ready.push(transport);
      }
      this.#changed();
    });
    const pending = { since: clock.now(), stop, done };
    this.#pending.add(pending);
  }

  /** Resolves when there is room for another. */
  async #room(): Promise<void> {
    const { clock, maxPending } = this.#options;
    while (!this.#over && this.#pending.size + this.#ready.size >= maxPending) {
      const [oldest] = this.#pending;
      const at = oldest === undefined ? Infinity : oldest.since + PATIENCE;
      if (at <= clock.now()) oldest?.stop.abort(crowdedOut());
      const timer = at > clock.now() && at < Infinity
        ? clock.setTimer(at, () => this.#changed())
        : undefined;
      await this.#change();
      timer?.[Symbol.dispose]();
    }
  }

  /** Resolves with the next `#changed`. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}

function crowdedOut(): TimeoutError {
  return new TimeoutError(
    `Cannot go on with a handshake of more than ${PATIENCE} ms as others wait for its place`,
    { initiator: "remote" },
  );
}
