/**
 * Both ends of vnet over WebSocket by hand: whole messages, right or wrong, on a WebSocket of our own.
 *
 * Owns what came. Frames are written with the encoders of `src/wire` and read with its FrameReader.
 */
import { assert } from "@std/assert";
import { deadline } from "@std/async";
import type { Bytes, Side } from "../../src/base/types.ts";
import { closeCodeOf } from "../../src/wire/codes.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import * as handshake from "../../src/wire/handshake.ts";
import type { WebSocketCloseInfo, WebSocketConn } from "../../src/websocket/types.ts";
import { encoded, HELLO, LIMITS, WELCOME, type WireFrame } from "../_support/wire_client.ts";
import type { OutBuffer } from "../../src/base/out_buffer.ts";

/** What writes a frame. */
export type Encoder = (out: OutBuffer) => void;

/** The subprotocol of vnet/1. */
export const VNET = "vnet.1";

/** One end. */
export class MessagePeer {
  readonly socket: WebSocketConn;
  readonly frames: WireFrame[] = [];
  readonly closed: Promise<WebSocketCloseInfo>;
  readonly #reader: FrameReader;
  readonly #reading: Promise<void>;
  #pause: PromiseWithResolvers<void> | undefined;
  #taken = 0;
  #waiters: (() => void)[] = [];
  #over = false;

  /** `side`: which one it plays. */
  constructor(socket: WebSocketConn, side: Side = "client") {
    this.socket = socket;
    const onFrame = (
      type: number,
      flags: number,
      aux: number,
      id: number,
      seq: number,
      buffer: Bytes,
      start: number,
      end: number,
    ) => void this.frames.push({ type, flags, aux, id, seq, body: buffer.slice(start, end) });
    this.#reader = new FrameReader({ onFrame }, side === "client" ? "server" : "client", 1 << 30);
    this.#reading = this.#read();
    this.closed = this.#closed();
  }

  /** Sends frames in one message. */
  send(...encoders: readonly Encoder[]): Promise<void> {
    return this.socket.send(encoded(...encoders));
  }

  /** Client: HELLO, and the ACK after WELCOME. */
  async open(hello: Partial<handshake.Hello> = {}): Promise<void> {
    await this.send((out) => handshake.encodeHello(out, { ...HELLO, ...hello }));
    await this.next(FrameType.WELCOME);
    await this.send((out) => control.encodeAck(out, 0, LIMITS.recvBytes));
  }

  /** Server: WELCOME after HELLO. */
  async welcome(): Promise<void> {
    await this.next(FrameType.HELLO);
    await this.send((out) => handshake.encodeWelcome(out, WELCOME));
    await this.next(FrameType.ACK);
  }

  /** Takes no message after the next. */
  pause(): void {
    this.#pause ??= Promise.withResolvers<void>();
  }

  /** Reads on. */
  resume(): void {
    this.#pause?.resolve();
    this.#pause = undefined;
  }

  /** The next frame of a type. */
  next(type: number): Promise<WireFrame> {
    return soon(this.#next(type));
  }

  /** What CLOSE and REJECT frames have said, once the WebSocket is over, and how that ended. */
  async farewell(): Promise<string> {
    const { code } = await soon(this.closed);
    const words = this.frames
      .filter(({ type }) => type === FrameType.CLOSE || type === FrameType.REJECT)
      .map(({ type, aux }) =>
        `${type === FrameType.CLOSE ? "CLOSE" : "REJECT"} ${closeCodeOf(aux)}`
      );
    return [...words, code].join(", ");
  }

  async #next(type: number): Promise<WireFrame> {
    while (true) {
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++];
        if (frame?.type === type) return frame;
      }
      if (this.#over) throw new Error(`The WebSocket ended before a frame of type ${type}`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  async #read(): Promise<void> {
    for await (const message of this.socket) {
      assert(typeof message !== "string" && message.length > 0, "Only binary messages of frames");
      const rest = this.#reader.read(message, 0, message.length);
      assert(rest === message.length, "A message must hold whole frames");
      this.#wake();
      await this.#pause?.promise;
    }
    this.#over = true;
    this.#wake();
  }

  async #closed(): Promise<WebSocketCloseInfo> {
    const info = await this.socket.closed;
    await this.#reading;
    return info;
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/** What never comes must fail a test, not hold it up. */
export function soon<T>(promise: Promise<T>): Promise<T> {
  return deadline(promise, 20_000);
}

/** Waits for what both ends need a moment for. */
export async function until(holds: () => boolean): Promise<void> {
  const latest = performance.now() + 20_000;
  while (!holds()) {
    assert(performance.now() < latest, `It never became true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
