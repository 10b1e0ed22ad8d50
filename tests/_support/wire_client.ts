/**
 * A peer that speaks vnet/1 by hand: it sends whatever a test wants, right or wrong, and writes down
 * what it gets. It has no heartbeat, no credit and no manners of its own.
 *
 * Owns one end of a connection. Frames are written with the encoders of `src/wire` and read with its
 * FrameReader, so that whatever the other end sends against the layout of headers fails the test.
 */
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, ByteTransport, Side } from "../../src/base/types.ts";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { closeCodeOf } from "../../src/wire/codes.ts";
import { FrameType, PREFACE_SIZE } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import { FrameReader, writeHeader } from "../../src/wire/frame.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encodeMessage } from "../../src/wire/message.ts";

/** One frame that arrived; its body is a copy. */
export interface WireFrame {
  readonly type: number;
  readonly flags: number;
  readonly aux: number;
  readonly id: number;
  readonly seq: number;
  readonly body: Bytes;
}

/** The header of a frame by hand; what is left out is 0. */
export interface RawHeader {
  readonly type: number;
  readonly flags?: number;
  readonly aux?: number;
  readonly id?: number;
  readonly seq?: number;
  /** What the length field says. @default {what it should} */
  readonly length?: number;
}

/** Limits that every peer takes. */
export const LIMITS: handshake.WireLimits = {
  maxFrame: 262_144,
  maxMessage: 16_777_216,
  recvBytes: 1_048_576,
  maxCalls: 0,
  maxStreams: 0,
  streamBytes: 0,
  maxMetadata: 16_384,
  heartbeatMs: 0,
  ttlMs: 0,
  features: 0,
};

/** A HELLO that every server takes. */
export const HELLO: handshake.Hello = {
  limits: LIMITS,
  clientId: "",
  authScheme: "",
  auth: new Uint8Array(0),
  agent: "by hand",
  serializer: "raw",
  instance: new Uint8Array(0),
  path: "",
  metadata: {},
};

/** A WELCOME that every client takes. */
export const WELCOME: handshake.Welcome = {
  limits: LIMITS,
  sessionId: new Uint8Array(16),
  secret: new Uint8Array(32),
  epoch: new Uint8Array(8),
  id: "ann",
  agent: "by hand",
  serializer: "raw",
};

/** The peer. */
export class WireClient {
  /** Which side it plays. */
  readonly side: Side;
  readonly transport: ByteTransport;
  /** Every frame that has arrived, in order. */
  readonly frames: WireFrame[] = [];
  /** The other end's preface, once it is whole. */
  preface: Bytes | undefined;
  /** Bytes that have arrived. */
  bytesIn = 0;
  /** Tracked messages that were sent. */
  seq = 0;
  /** How the stream ended: `"eof"`, or the name of an error; `undefined` while it has not. */
  end: string | undefined;
  /** Resolves when nothing more will arrive. */
  readonly ended: Promise<string>;
  readonly #reader: FrameReader;
  readonly #input = new ByteQueue();
  #taken = 0;
  #waiters: (() => void)[] = [];
  #reading: PromiseWithResolvers<void> | undefined;

  /** Begins to read. A server expects a preface as a client does; `preface: false`: raw frames. */
  constructor(transport: ByteTransport, side: Side = "client") {
    this.transport = transport;
    this.side = side;
    this.#reader = new FrameReader(
      {
        onFrame: (type, flags, aux, id, seq, buffer, start, end) => {
          this.frames.push({ type, flags, aux, id, seq, body: buffer.slice(start, end) });
        },
      },
      side === "client" ? "server" : "client",
      1 << 30,
    );
    this.ended = this.#pump();
  }

  // ── writing ──

  /** Writes all of it. Rejects when the other end does not take it any more. */
  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) at += await this.transport.write(data.subarray(at));
  }

  /** Writes what encoders write, in one piece. */
  send(...encoders: readonly ((out: OutBuffer) => void)[]): Promise<void> {
    return this.write(encoded(...encoders));
  }

  /** As `send`, to an end that may have closed: what it does not take is nobody's loss. */
  async tell(...encoders: readonly ((out: OutBuffer) => void)[]): Promise<void> {
    try {
      await this.send(...encoders);
    } catch {
      // It is gone: `ended` tells how.
    }
  }

  /** Writes any header and body. */
  frame(header: RawHeader, body: Uint8Array = new Uint8Array(0)): Promise<void> {
    return this.write(rawFrame(header, body));
  }

  /** Writes the next tracked message. */
  message(payload: Uint8Array, topic = ""): Promise<void> {
    return this.send((out) => encodeMessage(out, ++this.seq, topic, payload));
  }

  /** Client: preface and HELLO, and the ACK after the other end's WELCOME. */
  async open(hello: Partial<handshake.Hello> = {}): Promise<handshake.Welcome> {
    await this.send(
      handshake.encodeClientPreface,
      (out) => handshake.encodeHello(out, { ...HELLO, ...hello }),
    );
    const frame = await this.next(FrameType.WELCOME);
    await this.send((out) => control.encodeAck(out, 0, LIMITS.recvBytes));
    return handshake.decodeWelcome(frame.body, 0, frame.body.length);
  }

  /** Server: waits for a HELLO, answers with preface and WELCOME, and waits for the ACK. */
  async welcome(welcome: Partial<handshake.Welcome> = {}): Promise<handshake.Hello> {
    const frame = await this.next(FrameType.HELLO);
    await this.send(
      (out) => handshake.encodeServerPreface(out, 1),
      (out) => handshake.encodeWelcome(out, { ...WELCOME, ...welcome }),
    );
    await this.next(FrameType.ACK);
    return handshake.decodeHello(frame.body, 0, frame.body.length);
  }

  /** Ends its direction only. */
  async closeWrite(): Promise<void> {
    await this.transport.closeWrite?.();
  }

  /** Ends both directions. */
  close(): void {
    this.transport.close();
  }

  // ── reading ──

  /** The next frame that was not taken yet; of this type, where one is named. */
  async next(type?: number): Promise<WireFrame> {
    while (true) {
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++];
        if (frame !== undefined && (type === undefined || frame.type === type)) return frame;
      }
      if (this.end !== undefined) {
        throw new Error(`Cannot wait for a frame as the stream must be open: ${this.summary()}`);
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** The frames of a type that have arrived. */
  all(type: number): WireFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** What CLOSE frames and REJECT frames have said, as codes. */
  farewells(): string[] {
    return this.frames
      .filter(({ type }) => type === FrameType.CLOSE || type === FrameType.REJECT)
      .map(({ type, aux }) =>
        `${type === FrameType.CLOSE ? "CLOSE" : "REJECT"} ${closeCodeOf(aux)}`
      );
  }

  /** Stops reading after the read that is under way. */
  pause(): void {
    this.#reading ??= Promise.withResolvers<void>();
  }

  /** Reads on. */
  resume(): void {
    this.#reading?.resolve();
    this.#reading = undefined;
  }

  /** What has happened so far, for messages. */
  summary(): string {
    const types = this.frames.map(({ type }) => type.toString(16)).slice(-8).join(" ");
    return `${this.frames.length} frames (… ${types}), ${this.farewells()}, end ${this.end}`;
  }

  async #pump(): Promise<string> {
    const queue = this.#input;
    try {
      while (true) {
        await this.#reading?.promise;
        const count = await this.transport.read(queue.space(this.#reader.wanted));
        if (count === null) break;
        this.bytesIn += count;
        queue.fill(count);
        this.#take();
        this.#wake();
      }
      this.end = queue.length === 0 ? "eof" : "eof inside a frame";
    } catch (error) {
      this.end = error instanceof Error ? error.name : String(error);
    }
    this.#wake();
    return this.end;
  }

  #take(): void {
    const queue = this.#input;
    if (this.preface === undefined) {
      if (queue.length < PREFACE_SIZE) return;
      this.preface = queue.take(PREFACE_SIZE).slice();
    }
    queue.start = this.#reader.read(queue.buffer, queue.start, queue.end);
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/** What encoders write, as bytes. */
export function encoded(...encoders: readonly ((out: OutBuffer) => void)[]): Bytes {
  const out = new OutBuffer();
  for (const encode of encoders) encode(out);
  return out.toBytes();
}

/** A frame by hand, right or wrong. */
export function rawFrame(header: RawHeader, body: Uint8Array = new Uint8Array(0)): Bytes {
  const { type, flags = 0, aux = 0, id = 0, seq = 0, length } = header;
  const frame = encoded(
    (out) => writeHeader(out, body.length, type, flags, aux, id, seq),
    (out) => out.bytes(body),
  );
  if (length !== undefined) new DataView(frame.buffer).setUint32(0, length);
  return frame;
}

/** Text as UTF-8. */
export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** What a promise rejects with, once it does; handled from now on. */
export function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error("Cannot tell failure as there must be one: current outcome is success");
    },
    (error: unknown) => error,
  );
}
