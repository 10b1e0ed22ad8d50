/**
 * How a session begins: preface, HELLO, and WELCOME or REJECT.
 *
 * Owns what is read and written before the session is open, for both sides. Judges versions, limits
 * and serializers; who may register is not its business.
 *
 *   client: preface + HELLO ──> · server's preface ──> WELCOME or REJECT
 *   server: client's preface ──> HELLO ──> deciding ──> preface + WELCOME, or preface + REJECT
 */
import type { Bytes, Side } from "../base/types.ts";
import { type CloseCode, ProtocolError } from "../base/errors.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import { FrameType, PREFACE_SIZE, VERSION } from "../wire/constants.ts";
import * as wire from "../wire/handshake.ts";

/** What a frame before WELCOME said. */
export type HandshakeFrame =
  | { readonly type: "hello"; readonly hello: wire.Hello }
  | { readonly type: "welcome"; readonly welcome: wire.Welcome }
  | { readonly type: "reject"; readonly reject: wire.Reject };

const NO_EPOCH: Bytes = new Uint8Array(8);

/** The handshake of one link. */
export class Handshake {
  readonly #side: Side;
  readonly #serializer: string;
  /** When it must be over. */
  readonly deadline: number;
  #phase: "preface" | "frame" | "deciding";
  #prefaceOwed: boolean;
  #output: ((out: OutBuffer) => void) | undefined;

  /** `preface`: whether prefaces travel, as on byte transports. `serializer`: the name of ours. */
  constructor(side: Side, preface: boolean, serializer: string, deadline: number) {
    this.deadline = deadline;
    this.#side = side;
    this.#serializer = serializer;
    this.#phase = preface ? "preface" : "frame";
    this.#prefaceOwed = preface;
  }

  /** Whether the other end has still to show that it speaks vnet. */
  get unproven(): boolean {
    return this.#phase === "preface";
  }

  /** Whether a client has asked and nobody has answered yet. */
  get deciding(): boolean {
    return this.#phase === "deciding";
  }

  /** Whether `write` would write something. */
  get hasOutput(): boolean {
    return this.#output !== undefined;
  }

  /** Writes what is to go out. */
  write(out: OutBuffer): void {
    this.#output?.(out);
    this.#output = undefined;
  }

  /**
   * Client: begins. Encoded at once, since what the application says of itself may not fit.
   *
   * @throws {TypeError | RangeError} where it does not
   */
  hello(hello: wire.Hello): void {
    const greeting = new OutBuffer();
    if (this.#prefaceOwed) wire.encodeClientPreface(greeting);
    wire.encodeHello(greeting, hello);
    this.#prefaceOwed = false;
    this.#output = (out) => out.bytes(greeting.toBytes());
  }

  /** Server: lets the client in. */
  welcome(welcome: wire.Welcome): void {
    this.#output = (out) => {
      this.#writePreface(out, VERSION);
      wire.encodeWelcome(out, welcome);
    };
  }

  /** Server: refuses. Whoever has not shown that it speaks vnet gets nothing that it cannot read. */
  refuse(code: CloseCode, reason: string, retryAfter = 0, epoch: Bytes = NO_EPOCH): void {
    if (this.#side !== "server" || this.#phase === "preface") return;
    this.#output = (out) => {
      this.#writePreface(out, VERSION);
      wire.encodeReject(out, { code, retryAfter, epoch, lastRecv: undefined, reason });
    };
  }

  /** Reads the other end's preface, if it is whole; returns where the rest begins. */
  readPreface(buffer: Bytes, start: number, end: number): number {
    const range = this.#side === "server"
      ? this.#clientPreface(buffer, start, end)
      : serverPreface(buffer, start, end);
    if (range === undefined) return start;
    if (range.problem !== undefined) throw new ProtocolError("BAD_VERSION", range.problem);
    this.#phase = "frame";
    return start + PREFACE_SIZE;
  }

  /** Reads a frame that came before WELCOME. */
  readFrame(type: number, aux: number, buffer: Bytes, start: number, end: number): HandshakeFrame {
    const side = this.#side;
    if (this.#phase === "frame" && side === "client") {
      if (type === FrameType.REJECT) {
        return { type: "reject", reject: wire.decodeReject(aux, buffer, start, end) };
      }
      if (type === FrameType.WELCOME) {
        const welcome = wire.decodeWelcome(buffer, start, end);
        demandLimits(welcome.limits);
        return { type: "welcome", welcome };
      }
    }
    if (this.#phase === "frame" && side === "server") {
      if (type === FrameType.RESUME) {
        throw new ProtocolError(
          "SESSION_UNKNOWN",
          "Cannot resume session as this server keeps none",
        );
      }
      if (type === FrameType.HELLO) {
        const hello = wire.decodeHello(buffer, start, end);
        demandLimits(hello.limits);
        demandSerializer(hello.serializer, this.#serializer);
        this.#phase = "deciding";
        return { type: "hello", hello };
      }
    }
    throw new ProtocolError("PROTOCOL", `Cannot take frame of type ${type} before WELCOME`);
  }

  #clientPreface(buffer: Bytes, start: number, end: number): { problem?: string } | undefined {
    const preface = wire.decodeClientPreface(buffer, start, end);
    if (preface === undefined) return undefined;
    const { min, max } = preface;
    if (wire.negotiate(max, min) !== 0) return {};
    this.#output = (out) => this.#writePreface(out, 0);
    return {
      problem: `The client speaks ${versions(min, max)} of vnet, and this server ${VERSION}`,
    };
  }

  #writePreface(out: OutBuffer, chosen: number): void {
    if (this.#prefaceOwed) wire.encodeServerPreface(out, chosen);
    this.#prefaceOwed = false;
  }
}

function serverPreface(
  buffer: Bytes,
  start: number,
  end: number,
): { problem?: string } | undefined {
  const preface = wire.decodeServerPreface(buffer, start, end);
  if (preface === undefined) return undefined;
  const { chosen, lowest, highest } = preface;
  if (chosen === VERSION) return {};
  return {
    problem: `The server speaks ${versions(lowest, highest)} of vnet, and this client ${VERSION}`,
  };
}

function demandLimits(limits: wire.WireLimits): void {
  const problem = wire.checkLimits(limits);
  if (problem !== undefined) throw new ProtocolError("BAD_LIMITS", problem);
}

/** `raw` fits all: it takes every byte as it is. */
function demandSerializer(client: string, server: string): void {
  if (client === server || client === "raw" || server === "raw") return;
  throw new ProtocolError(
    "UNSUPPORTED",
    `The client uses the serializer '${client}', and this server '${server}'`,
  );
}

function versions(low: number, high: number): string {
  return low === high ? `version ${low}` : `versions ${low} to ${high}`;
}
