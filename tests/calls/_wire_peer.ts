/**
 * A peer that makes and answers calls by hand: it sends what a test wants, right or wrong, and keeps
 * what it gets. It has no heartbeat, no credit and no manners of its own.
 *
 * Owns one end of a pair in memory. Frames are written with the encoders of `src/wire`.
 */
import { assert } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, ByteTransport, Side } from "../../src/base/types.ts";
import { SendCount } from "../../src/session/numbering.ts";
import * as call from "../../src/wire/call.ts";
import { closeCodeOf } from "../../src/wire/codes.ts";
import { FrameType, PREFACE_SIZE } from "../../src/wire/constants.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encodePiece } from "../../src/wire/message.ts";
import { settle } from "./_support.ts";

/** A frame that arrived. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly aux: number;
  readonly id: number;
  readonly body: Bytes;
}

/** Limits as large as they get. */
export const LIMITS: handshake.WireLimits = {
  maxFrame: 262_144,
  maxMessage: 16_777_216,
  recvBytes: 1_048_576,
  maxCalls: 65_536,
  maxStreams: 1_024,
  streamBytes: 262_144,
  maxMetadata: 16_384,
  heartbeatMs: 0,
  ttlMs: 0,
  features: 0,
};

/** What a request may have besides. */
export interface RequestOptions {
  readonly deadline?: number;
  /** Items follow. */
  readonly upload?: boolean;
  /** The whole payload's length: this is its first fragment. */
  readonly total?: number;
}

const encoder = new TextEncoder();

/** JSON as a body. */
export function jsonBody(value: unknown): Bytes {
  return encoder.encode(JSON.stringify(value));
}

/** One end that speaks by hand. */
export class WirePeer {
  /** Everything that came after the handshake, but PING, PONG and ACK. */
  readonly frames: Frame[] = [];
  /** Why the other end closed, in its own words. */
  closed: string | undefined;
  readonly #transport: ByteTransport;
  readonly #count = new SendCount();
  readonly #ended: Promise<void>;

  /** Begins the handshake, or waits for it; the other end is to be attached at the same time. */
  constructor(transport: ByteTransport, side: Side, limits: Partial<handshake.WireLimits> = {}) {
    this.#transport = transport;
    this.#ended = this.#read(side, { ...LIMITS, ...limits });
  }

  /** Writes frames in one go. */
  async send(...writes: ((out: OutBuffer, seq: () => number) => void)[]): Promise<void> {
    const out = new OutBuffer();
    for (const write of writes) write(out, () => this.#count.next());
    for (let rest = out.toBytes(); rest.length > 0;) {
      rest = rest.subarray(await this.#transport.write(rest));
    }
    await settle();
  }

  /** Frames of a type, for one id or for all. */
  of(type: number, id?: number): Frame[] {
    return this.frames.filter((it) => it.type === type && (id === undefined || it.id === id));
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    this.#transport.close();
    await this.#ended;
  }

  async #read(side: Side, limits: handshake.WireLimits): Promise<void> {
    const hello = new OutBuffer();
    if (side === "client") {
      handshake.encodeClientPreface(hello);
      handshake.encodeHello(hello, {
        limits,
        clientId: "by-hand",
        authScheme: "",
        auth: new Uint8Array(0),
        agent: "",
        serializer: "raw",
        instance: new Uint8Array(16),
        path: "",
        metadata: {},
      });
    } else {
      handshake.encodeServerPreface(hello, 1);
      handshake.encodeWelcome(hello, {
        limits,
        sessionId: new Uint8Array(16),
        secret: new Uint8Array(32),
        epoch: new Uint8Array(8),
        id: "by-hand",
        agent: "",
        serializer: "raw",
      });
    }
    const queue = new ByteQueue();
    const reader = new FrameReader(
      { onFrame: (...frame) => this.#frame(...frame) },
      side === "client" ? "server" : "client",
      limits.maxFrame,
    );
    let preface = true;
    try {
      // A server speaks when it has been asked: after the client's first bytes.
      if (side === "client") await this.#transport.write(hello.toBytes());
      for (;;) {
        const count = await this.#transport.read(queue.space(reader.wanted));
        if (count === null) return;
        queue.fill(count);
        if (preface) {
          if (queue.length < PREFACE_SIZE) continue;
          queue.skip(PREFACE_SIZE);
          preface = false;
          if (side === "server") await this.#transport.write(hello.toBytes());
        }
        queue.start = reader.read(queue.buffer, queue.start, queue.end);
      }
    } catch (error) {
      assert(error instanceof Error && error.name !== "AssertionError", `${error}`);
    }
  }

  #frame(
    type: number,
    flags: number,
    aux: number,
    id: number,
    _seq: number,
    buffer: Bytes,
    start: number,
    end: number,
  ): void {
    switch (type) {
      case FrameType.HELLO:
      case FrameType.WELCOME:
      case FrameType.PING:
      case FrameType.PONG:
      case FrameType.ACK:
        return;
      case FrameType.CLOSE:
        this.closed = closeCodeOf(aux);
        return;
      default:
        this.frames.push({ type, flags, aux, id, body: buffer.slice(start, end) });
    }
  }
}

const NOTHING = new Uint8Array(0);
type Write = (out: OutBuffer, seq: () => number) => void;

/** A REQUEST. */
export function request(
  id: number,
  method: string,
  payload: Uint8Array = NOTHING,
  { deadline = 0, upload = false, total = -1 }: RequestOptions = {},
): Write {
  return (out, seq) =>
    call.encodeRequest(out, id, seq(), deadline, method, !upload, payload, undefined, total);
}

/** A fragment that is not the first. */
export function piece(type: number, id: number, more: boolean, payload: Uint8Array): Write {
  return (out, seq) => encodePiece(out, type, id, seq(), more, payload);
}

/** A RESPONSE, which is the whole answer unless `items` follow. */
export function response(id: number, payload: Uint8Array = NOTHING, items = false): Write {
  return (out, seq) => call.encodeResponse(out, id, seq(), !items, payload);
}

/** A CANCEL. */
export function cancel(id: number): Write {
  return (out, seq) => call.encodeCancel(out, id, seq(), "CANCELLED");
}

/** A CHUNK. */
export function chunk(id: number, payload: Uint8Array, end = false): Write {
  return (out, seq) => call.encodeChunk(out, id, seq(), end, payload);
}

/** A CREDIT. */
export function credit(id: number, limit: number): Write {
  return (out, seq) => call.encodeCredit(out, id, seq(), limit);
}

/** How each ERROR that came says it: "CODE" or "CODE not executed". */
export function errorsOf(peer: WirePeer): Map<number, string> {
  const errors = new Map<number, string>();
  for (const { id, aux, flags, body } of peer.of(FrameType.ERROR)) {
    const { code, notExecuted } = call.decodeError(aux, flags, body, 0, body.length);
    errors.set(id, notExecuted ? `${code} not executed` : code);
  }
  return errors;
}
