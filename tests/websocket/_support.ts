/**
 * WebSockets in memory, on a clock that the test drives: two of ours, or one of ours and the test itself.
 */
import { assert } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import type { ByteTransport, Clock } from "../../src/base/types.ts";
import { systemEnv } from "../../src/websocket/deno_env.ts";
import type { DeflateParams } from "../../src/websocket/compression.ts";
import type { WebSocketEnv } from "../../src/websocket/env.ts";
import { resolveSettings } from "../../src/websocket/settings.ts";
import { ByteWebSocket } from "../../src/websocket/socket.ts";
import type { WebSocketOptions } from "../../src/websocket/types.ts";
import { ManualClock } from "../../src/testing/clock.ts";
import { memoryPair } from "../../src/testing/memory_pair.ts";
import { join } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { decode, encode, type Frame } from "./_frames.ts";

/** No pings unless the test is about them: they would be frames that it does not expect. */
const QUIET: WebSocketOptions = { pingInterval: false };

/** The system's world but for its time. */
export function worldOf(clock: Clock): WebSocketEnv {
  return { ...systemEnv, clock };
}

/** What a pair is made with. */
export interface PairOptions {
  readonly client?: WebSocketOptions;
  readonly server?: WebSocketOptions;
  readonly deflate?: DeflateParams;
}

/** A client and a server of ours, both open. */
export function openPair(options: PairOptions = {}) {
  const clock = new ManualClock();
  const [near, far] = memoryPair();
  const client = open(near, true, options.client, clock, options.deflate);
  const server = open(far, false, options.server, clock, options.deflate);
  return { client, server, clock, near, far };
}

/** One of ours, and the other end in the hands of the test. */
export function openOne(
  role: "client" | "server",
  options: WebSocketOptions = {},
  deflate?: DeflateParams,
) {
  const clock = new ManualClock();
  return { clock, ...openOn(clock, role, options, deflate) };
}

/** As `openOne`, on a clock of the test's own. */
export function openOn(
  clock: Clock,
  role: "client" | "server",
  options: WebSocketOptions,
  deflate?: DeflateParams,
) {
  const [near, far] = memoryPair();
  const ws = open(near, role === "client", options, clock, deflate);
  return { ws, other: new OtherEnd(far, role), near };
}

function open(
  transport: ByteTransport,
  client: boolean,
  options: WebSocketOptions = {},
  clock: Clock,
  deflate?: DeflateParams,
): ByteWebSocket {
  const given = { ...QUIET, ...options };
  const ws = new ByteWebSocket(
    {
      transport,
      queue: new ByteQueue(),
      client,
      url: "ws://test/",
      protocol: "",
      deflate,
      request: () => new Request("http://test/"),
    },
    resolveSettings(given),
    given,
    worldOf(clock),
  );
  ws.start();
  return ws;
}

/** The other end of a connection, which sends and reads frames by hand. */
export class OtherEnd {
  readonly transport: ByteTransport;
  readonly #masks: boolean;
  readonly #keys = new Rng(1);
  #unread: Uint8Array = new Uint8Array(0);

  /** `role`: of the end that is tested. */
  constructor(transport: ByteTransport, role: "client" | "server") {
    this.transport = transport;
    this.#masks = role === "server";
  }

  /** Sends frames, or bytes that are none, in one write. */
  async send(...frames: readonly (Frame | Uint8Array)[]): Promise<void> {
    const all = frames.map((one) =>
      one instanceof Uint8Array ? one : encode(one, this.#masks ? this.#keys.bytes(4) : undefined)
    );
    await writeAll(this.transport, join(...all));
  }

  /** Reads so many frames, or to the end of the stream. */
  async frames(count = Infinity): Promise<Frame[]> {
    const buffer = new Uint8Array(65_536);
    while (true) {
      const frames = this.#whole();
      if (frames.length >= count) {
        assert(frames.length === count, `${frames.length} frames in place of ${count}`);
        this.#unread = new Uint8Array(0);
        return frames;
      }
      const read = await this.transport.read(buffer);
      if (read === null) return decode(this.#unread, !this.#masks);
      this.#unread = join(this.#unread, buffer.subarray(0, read));
    }
  }

  /** The frames that are whole; for small ones only. */
  #whole(): Frame[] {
    try {
      return decode(this.#unread, !this.#masks);
    } catch {
      return [];
    }
  }
}

/** Writes all of it. */
export async function writeAll(transport: ByteTransport, bytes: Uint8Array): Promise<void> {
  while (bytes.length > 0) bytes = bytes.subarray(await transport.write(bytes));
}

/** Lets everything settle that needs no time. */
export async function settle(times = 1): Promise<void> {
  for (let i = 0; i < times; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** The next so many messages of a loop, which is left then. */
export async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const one of source) {
    if (taken.push(one) === count) break;
  }
  return taken;
}
