/**
 * A call as the two ends of a session know it, and the lane in which calls wait to be made.
 *
 * Owns no protocol: `call_machine.ts` does.
 */
import { type LimitName, ProtocolError, type RpcCode } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import type { Bytes, Initiator } from "../base/types.ts";
import type { Metadata } from "../wire/metadata.ts";
import type { ErrorHead } from "../wire/call.ts";
import { Flag } from "../wire/constants.ts";
import type { CallMachine } from "./call_machine.ts";
import type { ReceiveFlow, SendFlow } from "./flows.ts";

/**
 * A call that this end makes, as whoever made it keeps it: no base class, as every one would cost as much
 * as all else of a call. It is told at most one of `responded`, `failed` and `lost`; all are told from
 * inside the machine, so none may throw.
 */
export interface PendingCall {
  /** 0 until it is written. */
  id: number;
  /** Its REQUEST, or the first part of it, is tracked frame number so much. */
  count: number;
  /** `"waiting"`: not written. `"settled"`: its caller knows its fate, the other end may not. */
  state: "waiting" | "written" | "settled";
  sending: SendFlow | undefined;
  receiving: ReceiveFlow | undefined;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly metadata: Metadata | undefined;
  /** Its place among everything that was accepted, messages included. */
  readonly order: number;
  /** What the other end is told; `Infinity`: no limit. */
  readonly deadline: number;
  /** Whether items go along. */
  readonly upload: boolean;
  /** The whole answer. */
  responded(payload: Bytes): void;
  /** The answer comes item by item; `failed` or `lost` may still follow. */
  streaming(flow: ReceiveFlow): void;
  /** The call was written, and items may be sent along. */
  uploading(flow: SendFlow): void;
  /** The other end says that it failed, or this end that it cannot be made. */
  failed(error: ErrorHead, detail: Bytes): void;
  /** The session is over, and the call was written: whether it ran is not known. */
  lost(): void;
}

/** A call that the other end makes, as whoever answers it keeps it: no base class here either. */
export interface RunningCall {
  readonly id: number;
  readonly method: string;
  readonly payload: Bytes;
  readonly metadata: Metadata;
  /** Items that come along. */
  readonly receiving: ReceiveFlow | undefined;
  /** When its caller gives up; `Infinity`: never. */
  readonly deadlineAt: number;
  /** Once its answer is given; the call itself is over when that is written. */
  answered: boolean;
  cancelled: boolean;
  /** What is to be written once it is answered, where that is one frame. */
  answer: Uint8Array;
  sending: SendFlow | undefined;
  /** Answer it, now or later, exactly once. */
  begin(): void;
  /** Its caller has no use for the answer any more: it still wants to be told when it has ended. */
  cancel(code: RpcCode): void;
}

/** What is told of the calls of the other end. */
export interface CallEvents {
  /** A call came: gives what keeps it. `calls`: where it is to be answered. */
  newCall(
    calls: CallMachine,
    id: number,
    method: string,
    payload: Bytes,
    metadata: Metadata,
    receiving: ReceiveFlow | undefined,
    deadlineAt: number,
  ): RunningCall;
  /** A call, or its answer, was refused since it went beyond a limit; `whose`: who would have. */
  onLimit(limit: LimitName, whose: Initiator): void;
}

/** What a waiting call counts beyond its payload, in bytes. */
const OVERHEAD = 64;

/** So many calls that were given up may keep their places in the lane. */
const MAX_GONE = 64;

/** Calls that wait to be written. It outlives links: what was never written goes out on the next. */
export class RequestLane {
  readonly #calls = new Fifo<PendingCall>();
  #bytes = 0;
  #live = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Calls that wait. */
  get size(): number {
    return this.#live;
  }

  /** Places in the lane, those of calls included that were given up. */
  get places(): number {
    return this.#calls.size;
  }

  /** Adds a call. */
  push(call: PendingCall): void {
    this.#bytes += call.payload.length + OVERHEAD;
    this.#live++;
    this.#calls.push(call);
  }

  /** The call that is next; what was given up meanwhile is passed over. */
  peek(): PendingCall | undefined {
    let call = this.#calls.peek();
    while (call !== undefined && call.state === "settled") {
      this.#calls.shift();
      call = this.#calls.peek();
    }
    return call;
  }

  /** Those that wait, in order, and perhaps some that were given up. */
  get calls(): Iterable<PendingCall> {
    return this.#calls;
  }

  /** Takes the call off that is next, where it was accepted before `order`. */
  shift(before: number): PendingCall | undefined {
    const call = this.peek();
    if (call === undefined || call.order >= before) return undefined;
    this.#calls.shift();
    this.#forget(call);
    return call;
  }

  /** A waiting call was given up. Its place in the lane goes later: taking it out now would cost more. */
  giveUp(call: PendingCall): void {
    if (call.state !== "waiting") return;
    call.state = "settled";
    this.#forget(call);
    // Behind one that waits for long, as all do without a link, the others must not pile up.
    if (this.#calls.size <= 2 * this.#live + MAX_GONE) return;
    for (const kept of this.#calls.clear()) if (kept.state === "waiting") this.#calls.push(kept);
  }

  #forget(call: PendingCall): void {
    this.#bytes -= call.payload.length + OVERHEAD;
    this.#live--;
  }
}

/** An error that this end gives by itself. */
export function problem(code: RpcCode, message: string, notExecuted = false): ErrorHead {
  return { code, message, notExecuted, retryable: code === "UNAVAILABLE", retryAfter: 0 };
}

/** @throws {ProtocolError} BAD_FRAME when a fragment that is not the first has more than MORE */
export function demandPlain(flags: number): void {
  if ((flags & (Flag.END | Flag.META)) === 0) return;
  throw new ProtocolError(
    "BAD_FRAME",
    "Cannot take fragment as only the first may have END or META",
  );
}
