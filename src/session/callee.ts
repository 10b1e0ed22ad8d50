/**
 * The calls that the other end makes, over one session.
 *
 * 1. Each gets exactly one final frame; its id is live until that is written.
 * 2. No more run at once than we have said that we take: one more is a flood, since an honest caller
 *    knows the number.
 * 3. Answers in fragments that are under way are together no longer than two messages may be: the
 *    others wait for their turn, since the other end has to keep what it has of each.
 */
import { ProtocolError, type RpcCode } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { viewOf } from "../base/views.ts";
import * as wire from "../wire/call.ts";
import { Flag, FrameType } from "../wire/constants.ts";
import type { WireLimits } from "../wire/handshake.ts";
import type { Metadata } from "../wire/metadata.ts";
import type { CallMachine } from "./call_machine.ts";
import type { CallOutput } from "./call_output.ts";
import { type CallEvents, demandPlain, problem, type RunningCall } from "./calls.ts";
import { ReceiveFlow, Rest, SendFlow } from "./flows.ts";
import { IdTable, placeMask } from "./id_table.ts";
import { demandSize, Reassembly } from "./reassembly.ts";

const NOTHING: Bytes = new Uint8Array(0);
const NO_METADATA: Metadata = Object.freeze({});

/** A call that comes in fragments. */
interface Gathering {
  readonly request: wire.Request;
  readonly upload: boolean;
  /** `undefined` once it will not be run: what still comes is not kept. */
  reassembly: Reassembly | undefined;
  /** Why it will not be run. */
  refusal: wire.ErrorHead | undefined;
}

/** The answering half of a session. */
export class Callee {
  readonly #machine: CallMachine;
  readonly #local: WireLimits;
  readonly #remote: WireLimits;
  readonly #events: CallEvents;
  readonly #output: CallOutput;
  readonly #calls: IdTable<RunningCall>;
  readonly #gathering = new Map<number, Gathering>();
  /** Ids of the calls that ended last, by their low bits. */
  readonly #ended: number[] = [];
  readonly #endedMask: number;
  /** The one that is being read. */
  readonly #request = wire.emptyRequest();
  /** Calls whose answers go in one frame, and wait for it. A closure for each would cost more than that. */
  readonly #ready = new Fifo<RunningCall>();
  /** Streams that come, and streams that go. */
  #uploads = 0;
  #streams = 0;
  /** Bytes of inputs, those included that are still to come. */
  #heldBytes = 0;
  /** Bytes of the answers in fragments that are under way, and those that wait to begin. */
  #answerBytes = 0;
  readonly #answers = new Fifo<{ readonly call: RunningCall; readonly payload: Uint8Array }>();

  /** `machine`: whose half it is. `local`: what we accept. `remote`: what the other end does. */
  constructor(
    machine: CallMachine,
    local: WireLimits,
    remote: WireLimits,
    events: CallEvents,
    output: CallOutput,
  ) {
    this.#machine = machine;
    this.#local = local;
    this.#remote = remote;
    this.#events = events;
    this.#output = output;
    this.#calls = new IdTable(local.maxCalls);
    this.#endedMask = placeMask(local.maxCalls);
  }

  /** Calls whose final frame was not written. */
  get size(): number {
    return this.#calls.size;
  }

  /** Those calls. */
  get calls(): RunningCall[] {
    return this.#calls.values();
  }

  /** The call with this id. */
  get(id: number): RunningCall | undefined {
    return this.#calls.get(id);
  }

  /** Whether the call with this id ended so lately that its caller may have sent more before it knew. */
  endedLately(id: number): boolean {
    return this.#ended[(id >>> 1) & this.#endedMask] === id;
  }

  /** Answers a call. */
  respond(call: RunningCall, payload: Uint8Array): void {
    const { maxMessage } = this.#remote;
    if (payload.length > maxMessage) {
      const words =
        `The answer must be at most ${maxMessage} bytes: current value is ${payload.length}`;
      this.#events.onLimit("maxMessageLength", "local");
      return this.fail(call, problem("RESOURCE_EXHAUSTED", words), NOTHING);
    }
    if (!this.#settle(call)) return;
    if (payload.length > this.#output.maxPiece) {
      this.#answers.push({ call, payload });
      return this.#beginAnswers();
    }
    call.answer = payload;
    this.#ready.push(call);
  }

  /** Whether whole answers wait to be written. */
  get ready(): boolean {
    return this.#ready.size > 0;
  }

  /** Writes whole answers until `out` holds `size` bytes. */
  writeAnswers(out: OutBuffer, size: number): void {
    const { count } = this.#output;
    while (out.length < size) {
      const call = this.#ready.shift();
      if (call === undefined) return;
      wire.encodeResponse(out, call.id, count.next(), true, call.answer);
      this.#output.wroteSmall();
      this.#finish(call);
    }
  }

  /**
   * Answers a call with an error, behind the items that were given before unless nobody waits for
   * them any more. A detail that is too long is left out.
   */
  fail(call: RunningCall, error: wire.ErrorHead, detail: Uint8Array): void {
    const { count, maxPiece } = this.#output;
    const told = detail.length + error.message.length * 3 <= maxPiece ? detail : NOTHING;
    const write = (out: OutBuffer) => wire.encodeError(out, call.id, count.next(), error, told);
    const { sending } = call;
    if (sending !== undefined && !sending.over && !call.cancelled) {
      if (sending.ended) return;
      sending.end(write);
      if (sending.begun) this.#output.rotate(sending);
      return;
    }
    if (!this.#settle(call)) return;
    sending?.stop();
    this.#output.push((out) => {
      write(out);
      this.#finish(call);
    });
  }

  /** Answers a call item by item; `undefined` when that cannot be, and the call has been failed. */
  stream(call: RunningCall): SendFlow | undefined {
    if (call.answered || this.#calls.get(call.id) !== call) return undefined;
    if (this.#streams >= Math.min(this.#remote.maxStreams, this.#local.maxStreams)) {
      this.fail(call, this.#tooMuch("maxStreams", false), NOTHING);
      return undefined;
    }
    this.#streams++;
    const flow = new SendFlow(call.id, this.#remote, () => {
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
    const begun = this.#gathering.size === 0 ? undefined : this.#gathering.get(id);
    if (begun !== undefined) {
      demandPlain(flags);
      const whole = begun.reassembly?.add(buffer.subarray(start, end), more, 0);
      if (more) return;
      this.#gathering.delete(id);
      if (whole !== undefined) this.#heldBytes -= whole.length;
      return this.#begin(id, begun.request, begun.upload, whole ?? NOTHING, now, begun.refusal);
    }
    const { maxCalls, maxMetadata, maxMessage } = this.#local;
    if (this.#calls.get(id) !== undefined) {
      throw new ProtocolError(
        "PROTOCOL",
        `Cannot take call as its id is in use: current value is ${id}`,
      );
    }
    if (this.#calls.size + this.#gathering.size >= maxCalls) {
      throw new ProtocolError("FLOOD", `Cannot take call as there are ${maxCalls} already`, {
        limit: "maxInFlight",
      });
    }
    const request = wire.decodeRequest(flags, buffer, start, end, maxMetadata, this.#request);
    const upload = (flags & Flag.END) === 0;
    const piece = viewOf(buffer, request.start, request.end);
    demandSize(more ? request.total : piece.length, maxMessage);
    if (!more) return this.#begin(id, request, upload, piece, now, undefined);
    const kept = { ...request };
    const begin: Gathering = { request: kept, upload, reassembly: undefined, refusal: undefined };
    this.#gathering.set(id, begin);
    if (this.#heldBytes + request.total > 2 * maxMessage) {
      begin.refusal = this.#tooMuch("maxMessageLength", true);
      return;
    }
    this.#heldBytes += request.total;
    begin.reassembly = new Reassembly("", request.total, maxMessage);
    begin.reassembly.add(piece, more, 0);
  }

  /** A CANCEL came; `false` when it is for no call that there is. */
  cancel(id: number, code: RpcCode): boolean {
    const call = this.#calls.get(id);
    if (call !== undefined) {
      if (call.cancelled) return true;
      call.cancelled = true;
      call.cancel(code);
      // Its handler has given all items and is gone: nothing else ends what gets no credit any more.
      if (call.sending?.ended) this.fail(call, cancelled(false), NOTHING);
      return true;
    }
    const begun = this.#gathering.get(id);
    if (begun === undefined) return false;
    if (begun.reassembly !== undefined) this.#heldBytes -= begun.request.total;
    begun.reassembly = undefined;
    begun.refusal = cancelled(true);
    return true;
  }

  /** A CHUNK came; tells what `ReceiveFlow.frame` does. */
  chunk(call: RunningCall, flags: number, buffer: Bytes, start: number, end: number): boolean {
    const flow = call.receiving;
    if (flow === undefined) {
      throw new ProtocolError("PROTOCOL", "Cannot take CHUNK as its call brings no stream");
    }
    const shared = flow.frame(flags, buffer, start, end);
    if (!call.answered) this.#output.grant(flow);
    return shared;
  }

  /** The session is over. */
  end(): void {
    for (const call of this.#calls.values()) {
      this.#finish(call);
      call.sending?.stop();
      if (!call.cancelled) call.cancel("UNAVAILABLE");
    }
    this.#gathering.clear();
    this.#ready.clear();
    this.#answers.clear();
  }

  #begin(
    id: number,
    request: wire.Request,
    upload: boolean,
    payload: Bytes,
    now: number,
    refusal: wire.ErrorHead | undefined,
  ): void {
    const { streamBytes, maxMessage, maxStreams } = this.#local;
    const { method, metadata, deadline } = request;
    const flow = upload ? new ReceiveFlow(id, streamBytes, maxMessage) : undefined;
    const deadlineAt = deadline === 0 ? Infinity : Math.ceil(now + deadline);
    const call = this.#events.newCall(
      this.#machine,
      id,
      method,
      payload,
      metadata ?? NO_METADATA,
      flow,
      deadlineAt,
    );
    this.#calls.add(call);
    this.#heldBytes += payload.length;
    if (upload) this.#uploads++;
    let refused = refusal;
    if (refused === undefined && this.#heldBytes > 2 * maxMessage) {
      refused = this.#tooMuch("maxMessageLength", true);
    } else if (refused === undefined && upload && this.#uploads > maxStreams) {
      refused = this.#tooMuch("maxStreams", true);
    }
    if (refused === undefined) return call.begin();
    flow?.discard();
    this.fail(call, refused, NOTHING);
  }

  /** Lets answers in fragments begin, in order, as many as there is room for. */
  #beginAnswers(): void {
    const { count, maxPiece } = this.#output;
    for (let next = this.#answers.peek(); next !== undefined; next = this.#answers.peek()) {
      const { call, payload } = next;
      const { id } = call;
      const { length } = payload;
      if (this.#answerBytes + length > 2 * this.#remote.maxMessage) return;
      this.#answers.shift();
      this.#answerBytes += length;
      const finished = () => {
        this.#finish(call);
        this.#answerBytes -= length;
        this.#beginAnswers();
      };
      this.#output.push((out) => {
        const piece = payload.subarray(0, maxPiece);
        wire.encodeResponse(out, id, count.next(), true, piece, undefined, length);
        this.#output.rotate(new Rest(FrameType.RESPONSE, id, payload, maxPiece, finished));
      });
    }
  }

  #tooMuch(limit: "maxMessageLength" | "maxStreams", notExecuted: boolean): wire.ErrorHead {
    this.#events.onLimit(limit, "remote");
    const words = limit === "maxStreams"
      ? "There are too many streams already"
      : "The calls that run hold too much already";
    return problem("RESOURCE_EXHAUSTED", words, notExecuted);
  }

  /** Whether an answer may be given: once, and only while its call is live. */
  #settle(call: RunningCall): boolean {
    if (call.answered || this.#calls.get(call.id) !== call) return false;
    call.answered = true;
    call.receiving?.stop();
    return true;
  }

  #finish(call: RunningCall): void {
    if (!this.#calls.delete(call)) return;
    this.#ended[(call.id >>> 1) & this.#endedMask] = call.id;
    this.#heldBytes -= call.payload.length;
    if (call.sending !== undefined) this.#streams--;
    if (call.receiving === undefined) return;
    this.#uploads--;
    call.receiving.stop();
    this.#output.ungrant(call.receiving);
  }
}

function cancelled(notExecuted: boolean): wire.ErrorHead {
  return problem("CANCELLED", "The caller cancelled", notExecuted);
}
