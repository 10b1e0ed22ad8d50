/**
 * One end of a WebSocket that echoes what it gets, fed by hand; and how a stream is cut for it.
 */
import { assert } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import type { Bytes } from "../../src/base/types.ts";
import { MessageDeflate } from "../../src/websocket/compression.ts";
import { zlibDeflate } from "../../src/websocket/deno_zlib.ts";
import type { FrameLimits } from "../../src/websocket/frame_reader.ts";
import {
  type ProtocolEnd,
  type ProtocolSink,
  WebSocketProtocol,
} from "../../src/websocket/protocol.ts";
import { everyByte, join, randomCuts } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { decode, encode, type Frame } from "./_frames.ts";

/** Which end is tested. */
export type Role = "server" | "client";

export const LIMITS: FrameLimits = {
  maxFrameLength: 1 << 24,
  maxMessageLength: 1 << 24,
  maxFragments: 131_072,
};

/** An end that echoes. */
export class EchoEnd implements ProtocolSink {
  readonly protocol: WebSocketProtocol;
  readonly role: Role;
  /** What came, in order. */
  readonly messages: (string | Bytes)[] = [];
  readonly pongs: Bytes[] = [];
  end: ProtocolEnd | undefined;
  readonly #written: Uint8Array[] = [];
  readonly #input = new ByteQueue();

  constructor(
    role: Role,
    options: { readonly limits?: Partial<FrameLimits>; readonly windowBits?: number } = {},
  ) {
    this.role = role;
    const keys = new Rng(7);
    const { windowBits } = options;
    this.protocol = new WebSocketProtocol(this, {
      nextKey: role === "client" ? () => keys.uint32() | 0 : undefined,
      limits: { ...LIMITS, ...options.limits },
      deflate: windowBits === undefined
        ? undefined
        : new MessageDeflate(zlibDeflate, { windowBits }),
    });
  }

  /** Feeds bytes as one read. */
  feed(bytes: Uint8Array): void {
    this.#input.push(bytes);
    this.protocol.receive(this.#input);
    this.take();
  }

  /** Takes what is to be written. */
  take(): void {
    const output = this.protocol.takeOutput();
    if (output === undefined) return;
    this.#written.push(output.toBytes());
    output.reset();
  }

  /** The frames that it has written. */
  written(): Frame[] {
    return decode(join(...this.#written), this.role === "client");
  }

  onText(text: string): void {
    this.#came(text);
  }

  onBinary(data: Bytes): void {
    this.#came(data);
  }

  onPong(data: Bytes): void {
    this.pongs.push(data);
  }

  onEnd(end: ProtocolEnd): void {
    assert(this.end === undefined, "It ended twice");
    this.end = end;
  }

  #came(message: string | Bytes): void {
    assert(this.end === undefined, "A message came after the end");
    this.messages.push(message);
    this.protocol.send(message);
  }
}

/** Frames as the other end of `role` sends them. */
export function stream(role: Role, frames: readonly (Frame | Uint8Array)[], seed = 1): Uint8Array {
  const rng = new Rng(seed);
  const bytes = frames.map((one) => {
    if (one instanceof Uint8Array) return one;
    return encode(one, role === "server" ? rng.bytes(4) : undefined);
  });
  return join(...bytes);
}

/** Ways to cut a stream, each with its name. */
export function cuttings(length: number, seed: number): [name: string, cuts: number[]][] {
  const rng = new Rng(seed);
  return [
    ["whole", []],
    ["byte by byte", everyByte(length)],
    ...[1, 2, 3].map((i): [string, number[]] => [
      `random split ${i} of seed ${seed}`,
      randomCuts(rng, length, 12),
    ]),
  ];
}

/** Feeds a stream in pieces. */
export function feedCut(end: EchoEnd, bytes: Uint8Array, cuts: readonly number[]): void {
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    end.feed(bytes.subarray(from, to));
    from = to;
  }
}
