/**
 * One random story of a byte connection: an end that writes whenever it likes, and an end whose reads
 * of every kind are limited, given up and repeated. What was read must be what was written.
 *
 * Owns the story of one seed. Time stands still but for the story's own timers.
 */
import { ManualClock } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import { TimeoutError } from "../../src/base/errors.ts";
import { Connection } from "../../src/net/connection.ts";
import { settle } from "../../src/testing/clock.ts";
import { VirtualLink } from "../../src/testing/virtual_link.ts";
import { Rng } from "../_support/rng.ts";
import { timingOf, WALL } from "./_support.ts";

const ADDR = Addr.parse({ transport: "memory", hostname: "" });
const LF = 10;
const UNTOUCHED = 0xee;
const NO_BUFFER = new Uint8Array(0);
const GIVEN_UP = new Error("given up");
const ENOUGH_TURNS = 10_000;

/** What a story came to. */
export interface Story {
  readonly sent: Uint8Array;
  readonly received: Uint8Array;
  /** How reads ended, by name, and how often. */
  readonly ends: Map<string, number>;
  /** What must never happen, in words. */
  readonly problems: string[];
}

/** Tells the story of one seed. */
export class Interleaving {
  readonly #rng: Rng;
  readonly #clock = new ManualClock();
  readonly #near: Connection;
  readonly #far: Connection;
  readonly #sent: number[] = [];
  readonly #received: number[] = [];
  readonly #ends = new Map<string, number>();
  readonly #problems: string[] = [];
  /** What reads that were given up would have written to. */
  readonly #untouched: Uint8Array[] = [];
  #reading = 0;
  /** Timers of the story itself. */
  #pauses = 0;

  constructor(seed: number) {
    const rng = this.#rng = new Rng(seed);
    const faults = rng.int(2) === 0 ? {} : {
      delay: rng.int(4),
      jitter: rng.int(6),
      ...(rng.int(2) === 0 ? {} : { slice: 1 + rng.int(100) }),
    };
    const link = new VirtualLink({
      clock: this.#clock,
      seed,
      faults,
      nearAddr: ADDR,
      farAddr: ADDR,
    });
    const timing = timingOf(this.#clock);
    const timeout = rng.int(3) === 0 ? 1 + rng.int(8) : Infinity;
    this.#near = new Connection(link.near, { readTimeout: timeout }, timing);
    this.#far = new Connection(link.far, {}, timing);
  }

  /** Runs it to its end. */
  async tell(): Promise<Story> {
    const writing = this.#write();
    const readers = Array.from({ length: 1 + this.#rng.int(3) }, () => this.#read());
    for (let turn = 0; this.#reading > 0 && turn < ENOUGH_TURNS; turn++) {
      if (!await this.#clock.step()) await settle();
      if (this.#rng.int(8) === 0) this.#moveDeadline();
    }
    if (this.#reading > 0) this.#problems.push("It does not come to an end");
    else await Promise.all([writing, ...readers]);
    for (const conn of [this.#near, this.#far]) conn.abort();
    const left = this.#clock.pending - this.#pauses;
    if (left > 0) this.#problems.push(`${left} timers are left`);
    if (this.#untouched.some((buf) => buf.some((byte) => byte !== UNTOUCHED))) {
      this.#problems.push("Something was written to the buffer of a read that was given up");
    }
    return {
      sent: Uint8Array.from(this.#sent),
      received: Uint8Array.from(this.#received),
      ends: this.#ends,
      problems: this.#problems,
    };
  }

  async #write(): Promise<void> {
    const rng = this.#rng;
    for (let piece = 1 + rng.int(6); piece > 0; piece--) {
      if (rng.int(3) > 0) await this.#pause(rng.int(12));
      // Lines, now and then more than an idle buffer holds.
      const bytes = rng.bytes(rng.int(rng.pick([4, 30, 30, 30, 30, 800])))
        .map((byte) => byte < 25 ? LF : 32 + byte % 90);
      this.#sent.push(...bytes);
      await this.#far.write(bytes);
    }
    await this.#pause(rng.int(12));
    await this.#far.closeWrite();
  }

  /** Reads up to the end, in its own way each time. */
  async #read(): Promise<void> {
    this.#reading++;
    while (!await this.#once());
    this.#reading--;
  }

  async #once(): Promise<boolean> {
    const rng = this.#rng;
    const controller = new AbortController();
    const options = {
      ...(rng.int(2) === 0 ? {} : { timeout: rng.int(8) }),
      ...(rng.int(3) > 0 ? {} : { signal: controller.signal }),
    };
    if ("signal" in options) this.#pause(rng.int(8)).then(() => controller.abort(GIVEN_UP));
    const size = 1 + rng.int(rng.pick([3, 40, 600]));
    let buf = NO_BUFFER;
    try {
      switch (rng.int(3)) {
        case 0: {
          buf = new Uint8Array(size).fill(UNTOUCHED);
          const count = await this.#near.read(buf, options);
          if (count === null) return this.#note("end");
          this.#received.push(...buf.subarray(0, count));
          this.#note("read");
          break;
        }
        case 1: {
          this.#received.push(...await this.#near.readExactly(1 + rng.int(20), options));
          this.#note("readExactly");
          break;
        }
        default: {
          const line = await this.#near.readLine(options);
          if (line === null) return this.#note("end");
          for (let i = 0; i < line.length; i++) this.#received.push(line.charCodeAt(i));
          // Of the last line nobody can tell whether it had an end.
          if (this.#received.length < this.#sent.length) this.#received.push(LF);
          this.#note("readLine");
        }
      }
    } catch (error) {
      if (buf !== NO_BUFFER) this.#untouched.push(buf);
      if (error instanceof TimeoutError) {
        this.#note("timeout");
        if (error.message.includes("deadline")) {
          this.#note("deadline");
          this.#moveDeadline();
        }
      } else if (error === GIVEN_UP) this.#note("signal");
      else if (error instanceof Error && "code" in error && error.code === "TRUNCATED") {
        this.#note("truncated");
      } else this.#problems.push(String(error));
      // Otherwise a timeout of 0 ms could go on for ever without time passing.
      await this.#pause(rng.int(3));
    }
    return false;
  }

  #moveDeadline(): void {
    const rng = this.#rng;
    const at = rng.int(2) === 0 ? Infinity : WALL + this.#clock.now() + rng.int(20) - 2;
    this.#near.setReadDeadline(rng.int(2) === 0 || at === Infinity ? at : new Date(at));
  }

  async #pause(ms: number): Promise<void> {
    this.#pauses++;
    await new Promise<void>((go) => this.#clock.setTimer(this.#clock.now() + ms, go));
    this.#pauses--;
  }

  #note(end: string): true {
    this.#ends.set(end, (this.#ends.get(end) ?? 0) + 1);
    return true;
  }
}
