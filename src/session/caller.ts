/**
 * The calls that this end makes, over one session.
 *
 * 1. A call gets its id when it is written, and holds it until the other end's final frame, whether or
 *    not its caller still waits: so we never have more calls open than the other end allows.
 * 2. It is told one outcome, and nothing after that.
 * 3. Answers that come in fragments are together no longer than two messages may be: the other end
 *    begins no more at a time.
 */
import { type LimitName, ProtocolError, type RpcCode } from "../base/errors.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes, Side } from "../base/types.ts";
import { viewOf } from "../base/views.ts";
import * as wire from "../wire/call.ts";
import { Flag, FrameType } from "../wire/constants.ts";
import type { WireLimits } from "../wire/handshake.ts";
import { metadataSize } from "../wire/metadata.ts";
import type { CallOutput } from "./call_output.ts";
import {
  type CallEvents,
  demandPlain,
  type PendingCall,
  problem,
  type RequestLane,
} from "./calls.ts";
import { ReceiveFlow, Rest, SendFlow } from "./flows.ts";
import { IdTable } from "./id_table.ts";
import { demandSize, Reassembly } from "./reassembly.ts";

const MAX_ID = 2 ** 31 - 1;
const MAX_REMAINING = 2 ** 31 - 1;
const NOTHING: Bytes = new Uint8Array(0);

/** What a caller is made with. */
export interface CallerOptions {
  readonly side: Side;
  /** What we accept. */
  readonly local: WireLimits;
  /** What the other end accepts. */
  readonly remote: WireLimits;
  readonly lane: RequestLane;
  /** Ids are given from here on. @default {1} */
  readonly firstId?: number;
  /** After this one they begin anew. @default {2147483647} */
  readonly lastId?: number;
}

/** An answer that comes in fragments. */
interface Gathering {
  readonly total: number;
  readonly reassembly: Reassembly;
  readonly error: wire.ErrorFrame | undefined;
}

/** The calling half of a session. */
export class Caller {
  readonly #options: CallerOptions;
  readonly #events: CallEvents;
  readonly #output: CallOutput;
  readonly #calls: IdTable<PendingCall>;
  readonly #gathering = new Map<number, Gathering>();
  /** Bytes of the answers that come in fragments, those included that are still to come. */
  #gatheredBytes = 0;
  /** The one that is being read. */
  readonly #response = wire.emptyPayload();
  readonly #firstId: number;
  #nextId: number;
  #streams = 0;
  #held = false;

  constructor(options: CallerOptions, events: CallEvents, output: CallOutput) {
    const { side, remote, firstId = 1 } = options;
    this.#options = options;
    this.#events = events;
    this.#output = output;
    this.#calls = new IdTable(remote.maxCalls);
    this.#firstId = side === "client" ? 1 : 2;
    this.#nextId = firstId % 2 === this.#firstId % 2 ? firstId : firstId + 1;
  }

  /** Calls whose final frame has not come. */
  get size(): number {
    return this.#calls.size;
  }

  /** Calls that were written and whose callers still wait. */
  get written(): PendingCall[] {
    return this.#calls.values().filter(({ state }) => state === "written");
  }

  /** How many calls more the other end takes. */
  get room(): number {
    return this.#held ? 0 : Math.max(0, this.#options.remote.maxCalls - this.#calls.size);
  }

  /** Whether the next call of the lane may be written. */
  get ready(): boolean {
    return this.#options.lane.size > 0 && this.room > 0;
  }

  /** The other end goes away: what was not written is for the next session. */
  hold(): void {
    this.#held = true;
  }

  /** The call with this id. */
  get(id: number): PendingCall | undefined {
    return this.#calls.get(id);
  }

  /** A caller has given up: the other end is asked to stop. */
  cancel(call: PendingCall, code: RpcCode): void {
    if (call.state !== "written") return;
    call.state = "settled";
    call.sending?.stop();
    if (call.receiving !== undefined) {
      call.receiving.discard();
      call.receiving.stop();
      this.#output.ungrant(call.receiving);
    }
    const { id } = call;
    this.#output.push((out) => wire.encodeCancel(out, id, this.#output.count.next(), code));
  }

  /**
   * Writes the calls that are next in the lane and were accepted before `before`, until `out` holds `size`
   * bytes; `false` when there is none, or no place for it.
   */
  write(out: OutBuffer, size: number, now: number, before = Infinity): boolean {
    const { lane } = this.#options;
    let wrote = false;
    for (let room = this.room; room > 0 && out.length < size; room = this.room) {
      const call = lane.shift(before);
      if (call === undefined) break;
      wrote = true;
      const refusal = this.#refusal(call);
      if (refusal === undefined) {
        this.#write(out, call, now);
      } else {
        call.state = "settled";
        call.failed(refusal, NOTHING);
      }
    }
    return wrote;
  }

  /** A RESPONSE came. */
  response(call: PendingCall, flags: number, buffer: Bytes, start: number, end: number): void {
    if (flags === Flag.END && this.#gathering.size === 0 && call.receiving === undefined) {
      // Most are whole, and nothing but a payload.
      demandSize(end - start, this.#options.local.maxMessage);
      return this.#responded(call, viewOf(buffer, start, end));
    }
    const more = (flags & Flag.MORE) !== 0;
    const begun = this.#gathering.get(call.id);
    if (begun !== undefined) {
      if (begun.error !== undefined) throw mixed();
      demandPlain(flags);
      const whole = begun.reassembly.add(buffer.subarray(start, end), more, 0);
      if (whole !== undefined) this.#responded(call, whole);
      return;
    }
    if (call.receiving !== undefined) {
      throw new ProtocolError("PROTOCOL", "Cannot take RESPONSE as its call streams already");
    }
    const { local } = this.#options;
    const response = wire.decodeResponse(
      flags,
      buffer,
      start,
      end,
      local.maxMetadata,
      this.#response,
    );
    const piece = viewOf(buffer, response.start, response.end);
    if (more) return this.#gather(call, response.total, piece, undefined);
    demandSize(piece.length, local.maxMessage);
    if ((flags & Flag.END) !== 0) return this.#responded(call, piece);
    call.receiving = new ReceiveFlow(call.id, local.streamBytes, local.maxMessage);
    if (call.state === "written") call.streaming(call.receiving);
    else {
      call.receiving.discard();
      call.receiving.stop();
    }
  }

  /** An ERROR came. */
  error(
    call: PendingCall,
    aux: number,
    flags: number,
    buffer: Bytes,
    start: number,
    end: number,
  ): void {
    const more = (flags & Flag.MORE) !== 0;
    const begun = this.#gathering.get(call.id);
    if (begun !== undefined) {
      if (begun.error === undefined) throw mixed();
      demandPlain(flags);
      const whole = begun.reassembly.add(buffer.subarray(start, end), more, 0);
      if (whole !== undefined) this.#failed(call, begun.error, whole);
      return;
    }
    const { local } = this.#options;
    const error = wire.decodeError(aux, flags, buffer, start, end, local.maxMetadata);
    const piece = buffer.subarray(error.start, error.end);
    if (more) this.#gather(call, error.total, piece, error);
    else this.#failed(call, error, piece);
  }

  /** A CHUNK came; tells what `ReceiveFlow.frame` does. */
  chunk(call: PendingCall, flags: number, buffer: Bytes, start: number, end: number): boolean {
    const flow = call.receiving;
    if (flow === undefined) {
      throw new ProtocolError("PROTOCOL", "Cannot take CHUNK as its call does not stream");
    }
    const shared = flow.frame(flags, buffer, start, end);
    if (flow.ended) this.#release(call);
    else if (call.state === "written") this.#output.grant(flow);
    return shared;
  }

  /** The session is over; the other end has said that it took no more than so many tracked frames. */
  end(accepted = Infinity): void {
    for (const call of this.#calls.values()) {
      const waits = call.state === "written";
      this.#release(call);
      if (!waits) continue;
      if (call.count <= accepted) call.lost();
      else {call.failed(
          problem("UNAVAILABLE", "The other end closed before it came", true),
          NOTHING,
        );}
    }
    this.#gathering.clear();
  }

  #write(out: OutBuffer, call: PendingCall, now: number): void {
    const { remote } = this.#options;
    const { count, maxPiece } = this.#output;
    call.id = this.#freeId();
    call.count = count.count + 1;
    call.state = "written";
    this.#calls.add(call);
    const { id, method, payload, metadata, upload } = call;
    const remaining = call.deadline === Infinity
      ? 0
      : Math.max(1, Math.min(MAX_REMAINING, Math.ceil(call.deadline - now)));
    const begin = upload ? this.#upload(call, remote) : undefined;
    if (payload.length <= maxPiece) {
      wire.encodeRequest(out, id, count.next(), remaining, method, !upload, payload, metadata);
      return begin?.();
    }
    const piece = payload.subarray(0, maxPiece);
    const { length } = payload;
    wire.encodeRequest(out, id, count.next(), remaining, method, !upload, piece, metadata, length);
    this.#output.rotate(new Rest(FrameType.REQUEST, id, payload, piece.length, begin ?? none));
  }

  #upload(call: PendingCall, remote: WireLimits): () => void {
    this.#streams++;
    const flow = new SendFlow(call.id, remote, () => {});
    call.sending = flow;
    return () => {
      flow.begun = true;
      if (!flow.over) call.uploading(flow);
    };
  }

  #refusal({ payload, metadata, upload }: PendingCall): wire.ErrorHead | undefined {
    const { local, remote } = this.#options;
    const { maxMessage } = remote;
    const maxStreams = Math.min(remote.maxStreams, local.maxStreams);
    const block = metadataSize(metadata);
    // The machine has left room for so much in a frame.
    const maxBlock = Math.min(remote.maxMetadata, remote.maxFrame / 2);
    if (block > maxBlock) {
      const words = `The metadata must be at most ${maxBlock} bytes: current value is ${block}`;
      return this.#refused("maxMetadataLength", words);
    }
    if (payload.length > maxMessage) {
      const words =
        `The input must be at most ${maxMessage} bytes: current value is ${payload.length}`;
      return this.#refused("maxMessageLength", words);
    }
    if (!upload || this.#streams < maxStreams) return undefined;
    return this.#refused("maxStreams", `There are ${maxStreams} streams already`);
  }

  #refused(limit: LimitName, words: string): wire.ErrorHead {
    this.#events.onLimit(limit, "local");
    return problem("RESOURCE_EXHAUSTED", words, true);
  }

  /** Rising, from the start again after the last one, and passing over those that are live. */
  #freeId(): number {
    const { lastId = MAX_ID } = this.#options;
    let id: number;
    do {
      id = this.#nextId > lastId ? this.#firstId : this.#nextId;
      this.#nextId = id + 2;
    } while (this.#calls.get(id) !== undefined);
    return id;
  }

  #gather(
    call: PendingCall,
    total: number,
    piece: Uint8Array,
    error: wire.ErrorFrame | undefined,
  ): void {
    const { maxMessage } = this.#options.local;
    const reassembly = new Reassembly("", total, maxMessage);
    if (this.#gatheredBytes + total > 2 * maxMessage) {
      throw new ProtocolError(
        "FLOW_CONTROL",
        `Cannot take answer as those that come in fragments must be at most ${
          2 * maxMessage
        } bytes together`,
        { limit: "maxMessageLength" },
      );
    }
    reassembly.add(piece, true, 0);
    this.#gatheredBytes += total;
    this.#gathering.set(call.id, { total, reassembly, error });
  }

  #responded(call: PendingCall, payload: Bytes): void {
    const waits = call.state === "written";
    this.#release(call);
    if (waits) call.responded(payload);
  }

  #failed(call: PendingCall, error: wire.ErrorHead, detail: Bytes): void {
    const waits = call.state === "written";
    this.#release(call);
    if (waits) call.failed(error, detail);
  }

  #release(call: PendingCall): void {
    call.state = "settled";
    this.#calls.delete(call);
    if (this.#gathering.size > 0) {
      this.#gatheredBytes -= this.#gathering.get(call.id)?.total ?? 0;
      this.#gathering.delete(call.id);
    }
    if (call.receiving !== undefined) {
      call.receiving.stop();
      this.#output.ungrant(call.receiving);
    }
    if (call.sending === undefined) return;
    call.sending.stop();
    this.#streams--;
  }
}

function none(): void {}

function mixed(): ProtocolError {
  return new ProtocolError("BAD_FRAME", "Cannot take RESPONSE and ERROR for one call");
}
