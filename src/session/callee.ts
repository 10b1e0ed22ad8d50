/**
 * The calls that the other end makes, over one session.
 *
 * 1. Each gets exactly one final frame; its id is live until that is written.
 * 2. No more run at once than we have said that we take: one more is a flood, since an honest caller
 *    knows the number.
 */
import { ProtocolError, type RpcCode } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import * as wire from "../wire/call.ts";
import { Flag, FrameType } from "../wire/constants.ts";
import type { WireLimits } from "../wire/handshake.ts";
import type { CallOutput } from "./call_output.ts";
import { type CallEvents, demandPlain, problem, RunningCall } from "./calls.ts";
import { ReceiveFlow, Rest, SendFlow } from "./flows.ts";
import { IdTable } from "./id_table.ts";
import { Reassembly } from "./reassembly.ts";

const NOTHING: Bytes = new Uint8Array(0);

/** A call that comes in fragments. */
interface Gathering {
  readonly request: wire.Request;
  readonly upload: boolean;
  readonly reassembly: Reassembly;
  cancelled: boolean;
}

/** The answering half of a session. */
export class Callee {
  readonly #local: WireLimits;
  readonly #remote: WireLimits;
  readonly #events: CallEvents;
  readonly #output: CallOutput;
  readonly #calls: IdTable<RunningCall>;
  readonly #gathering = new Map<number, Gathering>();
  #streams = 0;
  #heldBytes = 0;

  /** `local`: what we accept. `remote`: what the other end does. */
  constructor(local: WireLimits, remote: WireLimits, events: CallEvents, output: CallOutput) {
    this.#local = local;
    this.#remote = remote;
    this.#events = events;
    this.#output = output;
    this.#calls = new IdTable(local.maxCalls);
  }

  /** Calls whose final frame was not written. */
  get size(): number {
    return this.#calls.size;
  }

  /** The call with this id. */
  get(id: number): RunningCall | undefined {
    return this.#calls.get(id);
  }

  /** Answers a call. */
  respond(call: RunningCall, payload: Uint8Array): void {
    const { maxMessage } = this.#remote;
    if (payload.length > maxMessage) {
      const words =
        `The answer must be at most ${maxMessage} bytes: current value is ${payload.length}`;
      return this.fail(call, problem("RESOURCE_EXHAUSTED", words), NOTHING);
    }
    if (!this.#settle(call)) return;
    const { count, maxPiece } = this.#output;
    const { id } = call;
    this.#output.push((out) => {
      if (payload.length <= maxPiece) {
        wire.encodeResponse(out, id, count.next(), true, payload);
        return this.#finish(call);
      }
      const piece = payload.subarray(0, maxPiece);
      wire.encodeResponse(out, id, count.next(), true, piece, undefined, payload.length);
      const finished = () => this.#finish(call);
      this.#output.rotate(new Rest(FrameType.RESPONSE, id, payload, piece.length, finished));
    });
  }

  /** Answers a call with an error. A detail that is too long is left out. */
  fail(call: RunningCall, error: wire.ErrorHead, detail: Uint8Array): void {
    if (!this.#settle(call)) return;
    call.sending?.stop();
    const { count, maxPiece } = this.#output;
    const told = detail.length + error.message.length * 3 <= maxPiece ? detail : NOTHING;
    this.#output.push((out) => {
      wire.encodeError(out, call.id, count.next(), error, told);
      this.#finish(call);
    });
  }

  /** Answers a call item by item; `undefined` when that cannot be, and the call has been failed. */
  stream(call: RunningCall): SendFlow | undefined {
    if (call.answered || this.#calls.get(call.id) !== call) return undefined;
    const { maxStreams, streamBytes } = this.#remote;
    if (this.#streams >= Math.min(maxStreams, this.#local.maxStreams)) {
      this.fail(call, problem("RESOURCE_EXHAUSTED", "There are too many streams already"), NOTHING);
      return undefined;
    }
    this.#streams++;
    const flow = new SendFlow(call.id, streamBytes, () => {
      call.answered = true;
      this.#finish(call);
    });
    call.sending = flow;
    this.#output.push((out) => {
      // What was failed before its beginning was written needs no beginning.
      if (flow.over) return;
      wire.encodeResponse(out, call.id, this.#output.count.next(), false, NOTHING);
      flow.begun = true;
      this.#output.rotate(flow);
    });
    return flow;
  }

  /** A REQUEST came. */
  request(
    flags: number,
    id: number,
    buffer: Bytes,
    start: number,
    end: number,
    now: number,
  ): void {
    const more = (flags & Flag.MORE) !== 0;
    const begun = this.#gathering.get(id);
    if (begun !== undefined) {
      demandPlain(flags);
      const whole = begun.reassembly.add(buffer.subarray(start, end), more, 0);
      if (whole === undefined) return;
      this.#gathering.delete(id);
      return this.#begin(id, begun.request, begun.upload, whole, now, begun.cancelled);
    }
    const { maxCalls, maxMetadata, maxMessage } = this.#local;
    if (this.#calls.get(id) !== undefined) {
      throw new ProtocolError(
        "PROTOCOL",
        `Cannot take call as its id is in use: current value is ${id}`,
      );
    }
    if (this.#calls.size + this.#gathering.size >= maxCalls) {
      throw new ProtocolError("FLOOD", `Cannot take call as there are ${maxCalls} already`);
    }
    const request = wire.decodeRequest(flags, buffer, start, end, maxMetadata);
    const upload = (flags & Flag.END) === 0;
    const piece = buffer.subarray(request.start, request.end);
    if (!more) return this.#begin(id, request, upload, piece, now, false);
    const reassembly = new Reassembly("", request.total, maxMessage);
    reassembly.add(piece, more, 0);
    this.#gathering.set(id, { request, upload, reassembly, cancelled: false });
  }

  /** A CANCEL came; `false` when it is for no call that there is. */
  cancel(id: number, code: RpcCode): boolean {
    const call = this.#calls.get(id);
    if (call !== undefined) {
      if (!call.cancelled) {
        call.cancelled = true;
        this.#events.onCancel(call, code);
      }
      return true;
    }
    const begun = this.#gathering.get(id);
    if (begun === undefined) return false;
    begun.cancelled = true;
    return true;
  }

  /** A CHUNK came. */
  chunk(call: RunningCall, flags: number, buffer: Bytes, start: number, end: number): void {
    const flow = call.receiving;
    if (flow === undefined) {
      throw new ProtocolError("PROTOCOL", "Cannot take CHUNK as its call brings no stream");
    }
    flow.frame(flags, buffer, start, end);
    if (!call.answered) this.#output.grant(flow);
  }

  /** The session is over. */
  end(): void {
    for (const call of this.#calls.values()) {
      this.#finish(call);
      call.sending?.stop();
      if (!call.cancelled) this.#events.onCancel(call, "UNAVAILABLE");
    }
    this.#gathering.clear();
  }

  #begin(
    id: number,
    request: wire.Request,
    upload: boolean,
    payload: Bytes,
    now: number,
    cancelled: boolean,
  ): void {
    const { streamBytes, maxMessage, maxStreams } = this.#local;
    const { method, metadata, deadline } = request;
    const flow = upload ? new ReceiveFlow(id, streamBytes, maxMessage) : undefined;
    const deadlineAt = deadline === 0 ? Infinity : now + deadline;
    const call = new RunningCall(id, method, payload, metadata, flow, deadlineAt);
    this.#calls.add(call);
    this.#heldBytes += payload.length;
    if (upload) this.#streams++;
    if (cancelled) {
      return this.fail(call, problem("CANCELLED", "The caller cancelled", true), NOTHING);
    }
    if (this.#heldBytes > 2 * maxMessage || (upload && this.#streams > maxStreams)) {
      flow?.discard();
      const words = "The calls that run hold too much already";
      return this.fail(call, problem("RESOURCE_EXHAUSTED", words, true), NOTHING);
    }
    this.#events.onRequest(call);
  }

  /** Whether an answer may be given: once, and only while its call is live. */
  #settle(call: RunningCall): boolean {
    if (call.answered || this.#calls.get(call.id) !== call) return false;
    call.answered = true;
    return true;
  }

  #finish(call: RunningCall): void {
    if (!this.#calls.delete(call)) return;
    this.#heldBytes -= call.payload.length;
    if (call.sending !== undefined) this.#streams--;
    if (call.receiving === undefined) return;
    this.#streams--;
    this.#output.ungrant(call.receiving);
  }
}
