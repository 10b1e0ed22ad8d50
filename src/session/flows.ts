/**
 * The items of a stream on their way: what one end sends on a call, and what the other receives.
 *
 * Owns the credit of one direction of one call. A stream that has no credit waits by itself: it is
 * taken out of the rotation and comes back with the next grant.
 */
import type { Bytes } from "../base/types.ts";
import { ProtocolError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import type { OutBuffer } from "../base/out_buffer.ts";
import { decodeChunk, encodeChunk } from "../wire/call.ts";
import { Flag, FrameType } from "../wire/constants.ts";
import type { WireLimits } from "../wire/handshake.ts";
import { encodePiece } from "../wire/message.ts";
import { ReceiveCredit, StreamCredit } from "./credit.ts";
import type { SendCount } from "./numbering.ts";
import { demandSize, MIN_PIECE, Reassembly } from "./reassembly.ts";

/** What a piece costs beyond its bytes: what keeping it costs, so that empty items are not for nothing. */
const OVERHEAD = 64;
/** Below so many bytes, overhead included, a stream asks its source for more. */
const LOW_WATER = 32_768;
const NOTHING: Bytes = new Uint8Array(0);

/** What became of an attempt to write a piece. */
export type Progress = "more" | "blocked" | "done";

/** Something large that is written piece by piece, in turn with others of its kind. */
export interface Bulk {
  /** Whether it is in the rotation: kept by whoever rotates. */
  rotating: boolean;
  /** Writes one piece, of `maxPiece` bytes at most. `mixed`: small frames go along. */
  write(
    out: OutBuffer,
    count: SendCount,
    maxPiece: number,
    mixed: boolean,
    now: number,
  ): Progress;
}

/** The rest of a payload of which the first piece was written. */
export class Rest implements Bulk {
  rotating = false;
  readonly #type: number;
  readonly #id: number;
  readonly #payload: Uint8Array;
  readonly #finished: () => void;
  #offset: number;

  constructor(type: number, id: number, payload: Uint8Array, offset: number, finished: () => void) {
    this.#type = type;
    this.#id = id;
    this.#payload = payload;
    this.#offset = offset;
    this.#finished = finished;
  }

  write(out: OutBuffer, count: SendCount, maxPiece: number): Progress {
    const end = Math.min(this.#payload.length, this.#offset + maxPiece);
    const more = end < this.#payload.length;
    const piece = this.#payload.subarray(this.#offset, end);
    encodePiece(out, this.#type, this.#id, count.next(), more, piece);
    this.#offset = end;
    if (more) return "more";
    this.#finished();
    return "done";
  }
}

/** Items that this end sends on a call. */
export class SendFlow implements Bulk {
  rotating = false;
  /** Whether the frame that begins the stream was written, so that its items may follow. */
  begun = false;
  readonly #id: number;
  readonly #credit: StreamCredit;
  readonly #items = new Fifo<Uint8Array>();
  readonly #finished: () => void;
  #bytes = 0;
  #offset = 0;
  #ended = false;
  #last: ((out: OutBuffer) => void) | undefined;
  #over = false;
  #room: (() => void) | undefined;
  #onStop: (() => void) | undefined;

  /** The longest item that the other end takes, in bytes. */
  readonly maxItem: number;

  /** `remote`: what the other end accepts. `finished`: the end was written. */
  constructor(
    id: number,
    remote: Pick<WireLimits, "streamBytes" | "maxMessage">,
    finished: () => void,
  ) {
    this.#id = id;
    this.maxItem = remote.maxMessage;
    this.#credit = new StreamCredit(remote.streamBytes);
    this.#finished = finished;
  }

  /** Whether nothing more will be written. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether no more items will be added. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Adds an item; `false` when it is time to wait for `onRoom`. */
  push(item: Uint8Array): boolean {
    this.#items.push(item);
    this.#bytes += item.length + OVERHEAD;
    return this.#bytes < LOW_WATER;
  }

  /** Is called once, when there is room for more items, or no use in them. */
  onRoom(room: () => void): void {
    if (this.#over || this.#bytes < LOW_WATER) return room();
    this.#room = room;
  }

  /** Is called once, when the items are of no use any more. */
  onStop(stopped: () => void): void {
    this.#onStop = stopped;
  }

  /** No more items will come. `last` writes what goes in the place of an end, behind the items. */
  end(last?: (out: OutBuffer) => void): void {
    this.#ended = true;
    this.#last = last;
  }

  /** Forgets what waits: it is of no use any more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#items.clear();
    this.#bytes = 0;
    this.#tellRoom();
    this.#onStop?.();
  }

  /** Takes a grant; tells whether it brought anything. */
  grant(limit: number, now: number): boolean {
    return this.#credit.grantAt(limit, now);
  }

  write(
    out: OutBuffer,
    count: SendCount,
    maxPiece: number,
    mixed: boolean,
    now: number,
  ): Progress {
    if (this.#over) return "done";
    const item = this.#items.peek();
    if (item === undefined) {
      if (!this.#ended) return "blocked";
      if (this.#last === undefined) {
        if (this.#credit.available < OVERHEAD) return "blocked";
        this.#credit.spend(OVERHEAD);
        encodeChunk(out, this.#id, count.next(), true, NOTHING);
      } else {
        this.#last(out);
      }
      this.#over = true;
      this.#finished();
      return "done";
    }
    const left = item.length - this.#offset;
    const size = Math.min(left, maxPiece, this.#credit.room(mixed) - OVERHEAD);
    // A short piece is worth its header only if it is the last one.
    if (size < left && size < MIN_PIECE) {
      this.#credit.wait(now);
      return "blocked";
    }
    this.#credit.spend(size + OVERHEAD);
    const more = size < left;
    const piece = item.subarray(this.#offset, this.#offset + size);
    if (this.#offset > 0) encodePiece(out, FrameType.CHUNK, this.#id, count.next(), more, piece);
    else encodeChunk(out, this.#id, count.next(), false, piece, more ? item.length : -1);
    this.#offset += size;
    if (more) return "more";
    this.#items.shift();
    this.#bytes -= item.length + OVERHEAD;
    this.#offset = 0;
    if (this.#bytes < LOW_WATER) this.#tellRoom();
    return "more";
  }

  #tellRoom(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}

/** Who takes the items of a stream. */
export interface ItemSink {
  /** An item. Give `cost` back by `consumed`. */
  item(payload: Bytes, cost: number): void;
  /** No more will come. */
  ended(): void;
}

/** Items that this end receives on a call. */
export class ReceiveFlow {
  /** The call that they belong to. */
  readonly id: number;
  /** Who takes them. What came before it was there waits for it. */
  #sink: ItemSink | undefined;
  readonly #maxMessage: number;
  readonly #credit: ReceiveCredit;
  readonly #early: (() => void)[] = [];
  #reassembly: Reassembly | undefined;
  #ended = false;
  #over = false;

  constructor(id: number, window: number, maxMessage: number) {
    this.id = id;
    this.#maxMessage = maxMessage;
    this.#credit = new ReceiveCredit(window);
  }

  /** Whether the last item has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether a grant should be told. */
  get grantDue(): boolean {
    return !this.#over && !this.#ended && this.#credit.due;
  }

  /** The grant to tell, which then counts as told. */
  takeGrant(): number {
    return this.#credit.advertise();
  }

  /** Hands items to a sink from now on. */
  to(sink: ItemSink): void {
    this.#sink = sink;
    for (const tell of this.#early.splice(0)) tell();
  }

  /** What still comes is of no use. */
  discard(): void {
    this.to({ item: () => {}, ended: () => {} });
  }

  /** Its call is over for this end: from now on nothing is granted, whatever is still consumed. */
  stop(): void {
    this.#over = true;
  }

  /** The application is through with items that cost so much. */
  consumed(cost: number): void {
    this.#credit.release(cost);
  }

  /** Takes a CHUNK; tells whether a view of its body was given away, and not a copy. */
  frame(flags: number, buffer: Bytes, start: number, end: number): boolean {
    if (this.#ended) {
      throw new ProtocolError("PROTOCOL", "Cannot take CHUNK as the stream has ended");
    }
    const more = (flags & Flag.MORE) !== 0;
    const begun = this.#reassembly;
    if (begun !== undefined) {
      if ((flags & Flag.END) !== 0) {
        throw new ProtocolError("BAD_FRAME", "Cannot take fragment as only the first may have END");
      }
      const whole = begun.add(buffer.subarray(start, end), more, this.#charge(end - start));
      if (whole === undefined) return false;
      this.#reassembly = undefined;
      this.#deliver(whole, begun.cost, begun.topic === "END");
      return false;
    }
    const chunk = decodeChunk(flags, buffer, start, end);
    const cost = this.#charge(chunk.end - chunk.start);
    const last = (flags & Flag.END) !== 0;
    const piece = buffer.subarray(chunk.start, chunk.end);
    if (!more) {
      demandSize(piece.length, this.#maxMessage);
      this.#deliver(piece, cost, last);
      return true;
    }
    this.#reassembly = new Reassembly(last ? "END" : "", chunk.total, this.#maxMessage);
    this.#reassembly.add(piece, more, cost);
    return false;
  }

  #charge(size: number): number {
    const cost = size + OVERHEAD;
    if (this.#credit.receive(cost)) return cost;
    throw new ProtocolError("FLOW_CONTROL", "Cannot take CHUNK as there was no credit for it");
  }

  #deliver(payload: Bytes, cost: number, last: boolean): void {
    // An end that carries nothing is no item.
    if (!last || payload.length > 0) {
      this.#credit.hold(cost);
      this.#tell(() => this.#sink?.item(payload, cost));
    }
    if (!last) return;
    this.#ended = true;
    this.#tell(() => this.#sink?.ended());
  }

  #tell(tell: () => void): void {
    if (this.#sink === undefined) this.#early.push(tell);
    else tell();
  }
}
