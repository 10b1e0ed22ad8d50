/**
 * One direction of a link: the fault engine that the simulation, the fault connection and the fault
 * proxy share.
 *
 * Owns when bytes arrive, what becomes of them on the way, and how many fit. Knows neither sockets
 * nor addresses; time and chance are given.
 *
 * 1. What is sent arrives in the order of sending, whatever the jitter.
 * 2. With nothing to wait for it arrives within `send`, and no timer is set.
 * 3. At most `CAPACITY` bytes are sent and not yet read by the other end.
 * 4. One timer at most is set, for the earliest arrival; none while the lane is held.
 */
import type { Clock } from "../base/types.ts";
import type { ResolvedFaults } from "./faults.ts";
import type { Random } from "./random.ts";

/** How many bytes one direction holds: the socket buffers of both ends together. */
export const CAPACITY = 262_144;

/** A blocked writer goes on when this much is free, so that a slow reader does not cause tiny writes. */
const WAKE_AT = 16_384;
/** On a slow link bytes arrive in pieces this many ms apart, so that there is progress to see. */
const PIECE_MS = 50;
const NOTHING = new Uint8Array(0);

/** What travels: bytes, the end of the stream, or a reset. */
export type PacketKind = "data" | "end" | "reset";

interface Packet {
  readonly kind: PacketKind;
  readonly data: Uint8Array;
  at: number;
  next: Packet | undefined;
}

/** What a lane needs of the link that it is part of. */
export interface LaneHost {
  readonly clock: Clock;
  readonly faults: ResolvedFaults;
  /** Something has arrived at the end of `lane`. */
  arrive(lane: Lane, kind: PacketKind, data: Uint8Array): void;
  /** `lane` has room for a writer that waits. */
  roomy(lane: Lane): void;
}

/** Brings what one end sends to the other end. */
export class Lane {
  readonly #host: LaneHost;
  readonly #random: Random;
  #head: Packet | undefined;
  #tail: Packet | undefined;
  #timer: Disposable | undefined;
  #timerAt = Infinity;
  #held = false;
  #stopped = false;
  #freeAt = -Infinity;
  #unread = 0;
  #untilFlip = 0;
  #flipChance = 0;

  /** Each lane has its own chance, so that traffic the other way does not change what happens here. */
  constructor(host: LaneHost, random: Random) {
    this.#host = host;
    this.#random = random;
  }

  /** How many bytes may be sent now. */
  get room(): number {
    return CAPACITY - this.#unread;
  }

  /** Whether nothing arrives for now. */
  get held(): boolean {
    return this.#held;
  }

  /** Sends bytes; there must be room for them. `data` may be changed afterwards. */
  send(data: Uint8Array): void {
    this.#unread += data.length;
    const carried = this.#host.faults.corrupt > 0 ? this.#flip(data.slice()) : data;
    const perSecond = this.#host.faults.bytesPerSecond;
    const piece = perSecond === Infinity
      ? data.length
      : Math.max(1, Math.ceil(perSecond * PIECE_MS / 1_000));
    for (let at = 0; at < data.length; at += piece) {
      this.#put("data", carried.subarray(at, at + piece));
    }
  }

  /** Sends the end of the stream. */
  end(): void {
    this.#put("end", NOTHING);
  }

  /** Sends a reset. It arrives in its turn. */
  reset(): void {
    this.#put("reset", NOTHING);
  }

  /** The receiver has taken `count` bytes. */
  consumed(count: number): void {
    this.#unread -= count;
    if (this.room >= WAKE_AT) this.#host.roomy(this);
  }

  /** How many bytes the next read may give. */
  readLimit(): number {
    const slice = this.#host.faults.slice;
    return slice === Infinity || slice === 1 ? slice : 1 + this.#random.below(slice);
  }

  /** Holds back all that is on its way and all that will be sent, or lets it go. */
  hold(on: boolean): void {
    this.#held = on;
    this.#pump();
  }

  /** The faults have changed: what is on its way starts anew under the new ones. */
  reschedule(): void {
    this.#freeAt = -Infinity;
    for (let packet = this.#head; packet !== undefined; packet = packet.next) {
      packet.at = this.#arrival(packet.data.length);
    }
    this.#pump();
  }

  /** Nothing arrives any more, for ever. */
  stop(): void {
    this.#stopped = true;
    this.#head = undefined;
    this.#tail = undefined;
    this.#arm();
  }

  #put(kind: PacketKind, data: Uint8Array): void {
    if (this.#stopped) return;
    const at = this.#arrival(data.length);
    if (this.#head === undefined && !this.#held && at <= this.#host.clock.now()) {
      this.#host.arrive(this, kind, data);
      return;
    }
    const packet: Packet = { kind, data: data.slice(), at, next: undefined };
    if (this.#tail === undefined) this.#head = packet;
    else this.#tail.next = packet;
    this.#tail = packet;
    this.#arm();
  }

  /** The earliest instant: a packet also waits for those before it. */
  #arrival(length: number): number {
    const { delay, jitter, bytesPerSecond } = this.#host.faults;
    let at = this.#host.clock.now();
    if (bytesPerSecond !== Infinity) {
      this.#freeAt = Math.max(at, this.#freeAt) + length / bytesPerSecond * 1_000;
      at = this.#freeAt;
    }
    at += delay;
    if (jitter > 0) at += jitter * this.#random.next();
    return at;
  }

  #pump(): void {
    const now = this.#host.clock.now();
    while (this.#head !== undefined && !this.#held && this.#head.at <= now) {
      const { kind, data, next } = this.#head;
      this.#head = next;
      if (next === undefined) this.#tail = undefined;
      this.#host.arrive(this, kind, data);
    }
    this.#arm();
  }

  #arm(): void {
    const at = this.#held ? Infinity : this.#head?.at ?? Infinity;
    if (at === this.#timerAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = at;
    if (at === Infinity) return;
    this.#timer = this.#host.clock.setTimer(at, () => {
      this.#timerAt = Infinity;
      this.#pump();
    });
  }

  /** Draws the distance to the next flip rather than a chance per byte: clean bytes cost nothing. */
  #flip(data: Uint8Array): Uint8Array {
    const chance = this.#host.faults.corrupt;
    if (this.#flipChance !== chance) {
      this.#flipChance = chance;
      this.#untilFlip = this.#distance();
    }
    let at = this.#untilFlip;
    for (; at < data.length; at += 1 + this.#distance()) {
      data[at] = (data[at] ?? 0) ^ (1 << this.#random.below(8));
    }
    this.#untilFlip = at - data.length;
    return data;
  }

  #distance(): number {
    if (this.#flipChance >= 1) return 0;
    return Math.floor(Math.log(1 - this.#random.next()) / Math.log1p(-this.#flipChance));
  }
}
