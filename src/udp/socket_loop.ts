/**
 * One socket of the system, and the loop that empties it.
 *
 * Owns the socket from its construction on. Knows no queue: what comes is offered to a sink, which
 * copies what it wants to keep.
 *
 * 1. One receive at a time: several would finish in any order.
 * 2. Only closing ends the loop. ICMP messages, which some systems report to whoever receives next, and
 *    all other failures are counted; should they not stop, the loop slows down.
 * 3. When `close` resolves no operation is pending any more, and the address is free.
 */
import { Addr } from "../base/addr.ts";
import { RESOLVED } from "../base/resolved.ts";
import type { Clock } from "../base/types.ts";
import { isVersion6, unmapped } from "./ip.ts";

/** What vnet needs of a socket. Any `Deno.DatagramConn` fits. */
export interface DatagramSocket {
  readonly addr: Deno.Addr;
  receive(buf: Uint8Array): Promise<[Uint8Array, Deno.Addr]>;
  send(data: Uint8Array, to: Deno.Addr): Promise<number>;
  close(): void;
  joinMulticastV4(group: string, networkInterface: string): Promise<Deno.MulticastV4Membership>;
  joinMulticastV6(group: string, networkInterface: number): Promise<Deno.MulticastV6Membership>;
  /** Lets a pending receive keep the program alive. */
  ref?(): void;
  /** Undoes `ref`. */
  unref?(): void;
}

/** Where datagrams go. */
export interface DatagramSink {
  /** `data` is good until this returns. */
  deliver(data: Uint8Array, from: Addr): void;
  /** The socket is gone, and not by `close`, which is still to be called. */
  lost(error: unknown): void;
}

/** So many failures in a row are retried at once: a burst of refusals is used up. */
const EAGER_RETRIES = 64;
const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1_000;

/** Receives from `run` on until it is closed. */
export class SocketLoop {
  /** The system's socket, to send from. */
  readonly socket: DatagramSocket;
  readonly localAddr: Addr;
  readonly ipv6: boolean;
  /** Failures that did not end anything. */
  networkErrors = 0;
  readonly #clock: Clock;
  readonly #buffer: Uint8Array;
  #ended: Promise<void> = RESOLVED;
  #holds = 0;
  #closing = false;
  #wake: () => void = () => {};
  readonly #senders = new WeakSet<Addr>();
  #lastFrom: Addr | undefined;
  #lastHostname = "";

  /** `capacity`: what is longer is cut by the system, in bytes. */
  constructor(socket: DatagramSocket, clock: Clock, capacity: number) {
    this.socket = socket;
    this.localAddr = Addr.of(socket.addr);
    this.ipv6 = isVersion6(this.localAddr.hostname);
    this.#clock = clock;
    this.#buffer = new Uint8Array(capacity);
    socket.unref?.();
  }

  /** Begins to receive. To be called once. */
  run(sink: DatagramSink): void {
    this.#ended = this.#run(sink);
  }

  /** Somebody waits (`true`), or does no longer: while anybody does, the program lives. */
  hold(on: boolean): void {
    const before = this.#holds > 0;
    this.#holds += on ? 1 : -1;
    if (before === this.#holds > 0 || this.#closing) return;
    if (on) this.socket.ref?.();
    else this.socket.unref?.();
  }

  /** Whether this is an address that a datagram claimed to come from, and not one of the program's. */
  isClaimed(addr: Addr): boolean {
    return this.#senders.has(addr);
  }

  /** Closes the socket. Idempotent. */
  close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#wake();
      // Whoever closes it waits for the last receive to end, so that must keep the program alive.
      this.socket.ref?.();
      this.#closeSocket();
    }
    return this.#ended;
  }

  async #run(sink: DatagramSink): Promise<void> {
    let failures = 0;
    while (!this.#closing) {
      let received: [Uint8Array, Deno.Addr];
      try {
        received = await this.socket.receive(this.#buffer);
      } catch (error) {
        if (this.#closing) return;
        if (error instanceof Deno.errors.BadResource) return sink.lost(error);
        this.networkErrors++;
        if (++failures > EAGER_RETRIES) await this.#pause(failures - EAGER_RETRIES);
        continue;
      }
      failures = 0;
      // What comes while it closes is for nobody.
      if (!this.#closing) sink.deliver(received[0], this.#sender(received[1]));
    }
  }

  /** Mostly the sender of the datagram before. */
  #sender(from: Deno.Addr): Addr {
    const { hostname, port } = netAddr(from);
    const last = this.#lastFrom;
    if (last !== undefined && last.port === port && this.#lastHostname === hostname) return last;
    const sender = Addr.parse({ transport: "udp", hostname: unmapped(hostname), port });
    this.#senders.add(sender);
    this.#lastHostname = hostname;
    return this.#lastFrom = sender;
  }

  #pause(round: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const delay = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(round - 1, 20));
    // Not in the background: there is no pending receive that could keep the program alive.
    const timer = this.#clock.setTimer(this.#clock.now() + delay, resolve);
    this.#wake = () => {
      timer[Symbol.dispose]();
      resolve();
    };
    return promise;
  }

  #closeSocket(): void {
    try {
      this.socket.close();
    } catch {
      // It was gone before: that is what was asked for.
    }
  }
}

function netAddr(addr: Deno.Addr): { hostname: string; port: number } {
  return "hostname" in addr && "port" in addr ? addr : { hostname: "", port: 0 };
}
