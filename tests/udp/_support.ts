/**
 * A socket that does what the test says, and sockets on loopback.
 *
 * 1. The made-up socket cuts datagrams silently and fails like the system's own.
 */
import { assert } from "@std/assert";
import { ManualClock } from "@vgo/vnet/testing";
import type { Bytes, DialUdpOptions, ListenUdpOptions, UdpConn } from "@vgo/vnet/udp";
import { type BindOptions, openDialed, openListening, type Outside } from "../../src/udp/open.ts";
import type { DatagramSocket } from "../../src/udp/socket_loop.ts";

const PORT = 4_000;

/** Datagrams come when the test says so, and what is sent goes nowhere. */
export class FakeSocket implements DatagramSocket {
  readonly addr: Deno.NetAddr;
  readonly sent: { data: Uint8Array; to: Deno.Addr }[] = [];
  /** How many operations were begun. */
  receives = 0;
  closes = 0;
  refs = 0;
  /** What each send does. */
  onSend: (data: Uint8Array) => Promise<number> = (data) => Promise.resolve(data.length);
  readonly #arrived: ({ data: Uint8Array; from: Deno.Addr } | { error: unknown })[] = [];
  #pending: (() => void) | undefined;
  #gone = false;

  constructor(hostname = "127.0.0.1") {
    this.addr = { transport: "udp", hostname, port: PORT };
  }

  /** A datagram has come. */
  arrive(data: Uint8Array, port = 1, hostname = "127.0.0.1"): void {
    this.#arrived.push({ data, from: { transport: "udp", hostname, port } });
    this.#pending?.();
  }

  /** A receive fails. */
  fail(error: unknown): void {
    this.#arrived.push({ error });
    this.#pending?.();
  }

  async receive(buf: Uint8Array): Promise<[Uint8Array, Deno.Addr]> {
    this.receives++;
    if (this.#gone) throw new Deno.errors.BadResource("Socket has been closed");
    assert(this.#pending === undefined, "Two receives at once");
    if (this.#arrived.length === 0) {
      await new Promise<void>((resolve) => this.#pending = resolve);
      this.#pending = undefined;
    }
    const next = this.#arrived.shift();
    if (next === undefined) throw new Deno.errors.Interrupted("operation canceled");
    if ("error" in next) throw next.error;
    const size = Math.min(buf.length, next.data.length);
    buf.set(next.data.subarray(0, size));
    return [buf.subarray(0, size), next.from];
  }

  send(data: Uint8Array, to: Deno.Addr): Promise<number> {
    this.sent.push({ data, to });
    return this.onSend(data);
  }

  close(): void {
    this.closes++;
    if (this.#gone) throw new Deno.errors.BadResource("Bad resource ID");
    this.#gone = true;
    this.#arrived.length = 0;
    this.#pending?.();
  }

  /** It goes away, and not because it was asked to. */
  vanish(): void {
    this.#gone = true;
    this.fail(new Deno.errors.BadResource("Bad resource ID"));
  }

  joinMulticastV4(): Promise<Deno.MulticastV4Membership> {
    return Promise.reject(new Error("There is no network"));
  }

  joinMulticastV6(): Promise<Deno.MulticastV6Membership> {
    return Promise.reject(new Error("There is no network"));
  }

  ref(): void {
    this.refs++;
  }

  unref(): void {
    this.refs--;
  }
}

/** A program without a network, whose time stands still. */
export class FakeOutside implements Outside {
  readonly clock = new ManualClock();
  readonly socket: FakeSocket;
  readonly bound: BindOptions[] = [];
  /** What names mean. */
  names: Record<string, readonly string[]> = {};
  /** What the wall clock shows when the other is at 0. */
  readonly epoch = 1_700_000_000_000;

  constructor(hostname?: string) {
    this.socket = new FakeSocket(hostname);
  }

  dateNow(): number {
    return this.epoch + this.clock.now();
  }

  bind(options: BindOptions): DatagramSocket {
    this.bound.push(options);
    return this.socket;
  }

  lookup(hostname: string): Promise<readonly string[]> {
    const found = this.names[hostname];
    if (found !== undefined) return Promise.resolve(found);
    return Promise.reject(Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" }));
  }

  listen(options: ListenUdpOptions = {}): UdpConn {
    return openListening("127.0.0.1:0", options, this);
  }

  dial(port: number, options: DialUdpOptions = {}): Promise<UdpConn> {
    return openDialed(`127.0.0.1:${port}`, options, this);
  }
}

/** Text as bytes. */
export function bytes(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Bytes as text. */
export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** Sends until something comes back: loopback, too, may drop a datagram when it is busy. */
export async function exchange(conn: UdpConn, question: string): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt++) {
    await conn.send(question);
    try {
      return text((await conn.receive({ timeout: 200 })).data);
    } catch (error) {
      if (!(error instanceof Error && error.name === "TimeoutError")) throw error;
    }
  }
  throw new Error(`Nothing came back for ${question}`);
}
