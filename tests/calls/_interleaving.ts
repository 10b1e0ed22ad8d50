/**
 * One course of calls between two ends, in an order that a seed chooses: calls of every kind, answers,
 * cancels, deadlines, lost sessions, and bytes that arrive whenever they like.
 *
 * Owns the pipes, the handlers and their log. The real code of both ends runs, from the promise of a call
 * down to its frames; only the link and the handshake are left out.
 */
import { ManualClock } from "@vgo/vnet/testing";
import { json, RpcError } from "@vgo/vnet";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import { sessionBodies } from "../../src/peer/bodies.ts";
import type { AnyHandler, CallContext } from "../../src/peer/call_options.ts";
import { PeerCalls } from "../../src/peer/calls.ts";
import type { AnyPeer } from "../../src/peer/peer.ts";
import { NO_INTERCEPTION } from "../../src/peer/interceptors.ts";
import { Counters } from "../../src/peer/stats.ts";
import { CallMachine } from "../../src/session/call_machine.ts";
import { SendCount } from "../../src/session/numbering.ts";
import { FrameReader } from "../../src/wire/frame.ts";
import type { WireLimits } from "../../src/wire/handshake.ts";
import { LIMITS } from "../session/_calls.ts";
import { Rng } from "../_support/rng.ts";
import { settle } from "./_support.ts";

/** What became of the calls of one seed. */
export interface Report {
  /** What was found wrong; empty when all is well. */
  readonly problems: readonly string[];
  /** How calls ended, as "OK" or "CODE executed", and how often. */
  readonly ends: ReadonlyMap<string, number>;
}

const METHODS = ["value", "throw", "later", "items", "upload", "both", "nested", "nope"] as const;
/** Few calls, so that they have to wait for each other, and the smallest frames and windows there are. */
const LIMIT: WireLimits = {
  ...LIMITS,
  maxFrame: 16_384,
  maxCalls: 4,
  maxStreams: 3,
  streamBytes: 16_384,
};
/** An input of so many bytes takes two frames. */
const LARGE_INPUT = 10_000;
/** An item so long is more than its window; one of medium length is more than other frames leave of it. */
const LARGE_ITEM = 17_000;
const MEDIUM_ITEM = 6_000;

/** A call, and what is known of it. */
interface Made {
  readonly token: number;
  readonly method: string;
  readonly controller: AbortController;
  settled: number;
  end: string;
}

/** What calls of a peer need of the application's peer: nothing here. */
function noPeer(): AnyPeer {
  throw new Error("Nobody may ask for the peer");
}

/** One end. */
class End {
  readonly calls: PeerCalls;
  machine: CallMachine | undefined;
  /** Frames on their way to the other end. */
  pipe: Bytes[] = [];
  readonly #side: Side;
  readonly #out = new OutBuffer();

  constructor(world: Interleaving, side: Side) {
    this.#side = side;
    let order = 0;
    this.calls = new PeerCalls({
      clock: world.clock,
      serializer: sessionBodies({ serializer: json() }, side),
      counters: new Counters(0),
      callTimeout: 1_000,
      maxWaiting: 8,
      maxWaitingBytes: 1 << 20,
      machine: () => this.machine,
      wake: () => {},
      nextOrder: () => order++,
      callRefusal: () => undefined,
      taken: () => true,
      interception: NO_INTERCEPTION,
      handler: (method) => world.handler(method, this),
      peer: noPeer,
      report: (error) => world.report(error),
      settled: () => {},
    });
  }

  /** A session begins. */
  begin(): void {
    const options = { side: this.#side, local: LIMIT, remote: LIMIT };
    const { lane } = this.calls.outgoing;
    this.machine = new CallMachine({ ...options, lane }, new SendCount(), this.calls);
  }

  /** The session is lost, and what is on its way with it. */
  lose(): void {
    const { machine } = this;
    this.machine = undefined;
    this.pipe = [];
    machine?.end();
  }

  /** Writes what one turn would, into the pipe. */
  write(now: number): void {
    const { machine } = this;
    if (machine === undefined || !machine.hasOutput) return;
    const out = this.#out;
    machine.writeSmall(out, 16_384);
    machine.caller.write(out, 16_384, now);
    while (machine.output.writeBulk(out) && out.length < 16_384);
    const bytes = out.toBytes();
    out.reset();
    for (let at = 0; at < bytes.length;) {
      const length = 4 + new DataView(bytes.buffer).getUint32(at);
      this.pipe.push(bytes.subarray(at, at + length));
      at += length;
    }
  }

  /** Takes a frame. */
  take(frame: Bytes, now: number): void {
    const reader = new FrameReader(
      {
        onFrame: (type, flags, aux, id, _seq, buffer, start, end) =>
          this.machine?.frame(type, flags, aux, id, buffer, start, end, now),
      },
      this.#side === "client" ? "server" : "client",
      LIMIT.maxFrame,
    );
    reader.read(frame, 0, frame.length);
  }
}

/** One course of calls. */
export class Interleaving {
  readonly clock = new ManualClock();
  readonly #rng: Rng;
  readonly #ends: readonly [End, End];
  readonly #made: Made[] = [];
  /** How often the handler of each call was begun. */
  readonly #runs = new Map<number, number>();
  /** Handlers that wait; each is let go on by a call. */
  readonly #gates: (() => void)[] = [];
  readonly #problems: string[] = [];
  #token = 0;
  #ending = false;

  constructor(seed: number) {
    this.#rng = new Rng(seed);
    this.#ends = [new End(this, "client"), new End(this, "server")];
  }

  /** Runs it, and tells what came of it. */
  async run(steps = 40): Promise<Report> {
    this.#begin();
    for (let step = 0; step < steps; step++) {
      await this.#step();
      // Mostly what a step sets off is done before the next; sometimes both fall into one turn.
      if (this.#rng.int(4) > 0) await settle(1);
    }
    await this.#finish();
    this.#judge();
    const ends = new Map<string, number>();
    for (const { end } of this.#made) ends.set(end, (ends.get(end) ?? 0) + 1);
    return { problems: this.#problems, ends };
  }

  /** What a method does. */
  handler(method: string, end: End): AnyHandler | undefined {
    const wait = (signal: AbortSignal) => this.#wait(signal);
    const counted = (run: AnyHandler): AnyHandler => (input, call) => {
      const token = Number(input);
      this.#runs.set(token, (this.#runs.get(token) ?? 0) + 1);
      return run(input, call);
    };
    switch (method) {
      case "value":
        return counted((input) => input);
      case "throw":
        return counted(() => {
          throw new RpcError("ABORTED");
        });
      case "later":
        return counted(async (input, { signal }) => (await wait(signal), input));
      case "items":
        return counted(async function* (input, { signal }) {
          for (let n = 0; n < 4; n++) {
            if (n % 2 === 0) await wait(signal);
            const size = n === 1 ? LARGE_ITEM : MEDIUM_ITEM;
            yield n === 1 || n === 2 ? "x".repeat(size) : input;
          }
        });
      case "upload":
        return counted(async (_input, { stream }) => {
          let count = 0;
          for await (const _ of stream) if (++count === 4) break;
          return count;
        });
      case "both":
        return counted(async function* (_input, { stream, signal }) {
          for await (const item of stream) {
            await wait(signal);
            yield item;
          }
        });
      case "nested":
        return counted((_input, call) => this.#nest(end, call));
      default:
        return undefined;
    }
  }

  /** What a handler threw that is none of an application's. */
  report(error: unknown): void {
    this.#problems.push(`A handler failed: ${error}`);
  }

  // ── steps ──

  #begin(): void {
    for (const end of this.#ends) end.begin();
  }

  async #step(): Promise<void> {
    const rng = this.#rng;
    const end = rng.pick(this.#ends);
    switch (rng.int(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#call(end);
      case 4:
      case 5:
      case 6:
        return end.write(this.clock.now());
      case 7:
      case 8:
      case 9:
      case 10:
        return this.#deliver(end, 1 + rng.int(4));
      case 11:
      case 12:
        return this.#gates.splice(rng.int(this.#gates.length), 1)[0]?.();
      case 13:
        return rng.int(2) === 0
          ? this.#made.at(rng.int(Math.max(1, this.#made.length)))?.controller.abort(
            new Error("given up"),
          )
          : undefined;
      case 14:
        return await this.clock.advance(rng.int(60));
      case 15:
        if (rng.int(4) > 0) return;
        if (end.machine === undefined) return this.#begin();
        for (const end of this.#ends) end.lose();
    }
  }

  #call(end: End): void {
    const rng = this.#rng;
    const method = rng.pick(METHODS);
    const streams = method === "items" || method === "both" || rng.int(8) === 0;
    const made = this.#make(method);
    const timeout = rng.pick([20, 60, 200, Infinity]);
    const { signal } = made.controller;
    const upload = method === "upload" || method === "both";
    const options = {
      timeout,
      ...(rng.int(2) === 0 ? { signal } : {}),
      ...(upload ? { stream: this.#source(rng.int(6)) } : {}),
    };
    const { outgoing } = end.calls;
    // A large input comes in fragments, in the middle of which anything may happen.
    const pad = rng.int(4) === 0 ? " ".repeat(LARGE_INPUT) : "";
    const input = pad === "" ? made.token : new TextEncoder().encode(`${pad}${made.token}`);
    if (!streams) return this.#watch(made, outgoing.call(method, input, options));
    const items = outgoing.stream(method, input, { ...options, idleTimeout: 150 });
    const leaveAt = rng.int(3) === 0 ? rng.int(3) : Infinity;
    const loop = async () => {
      let count = 0;
      for await (const _ of items) {
        if (rng.int(3) === 0) await this.#wait(undefined);
        if (count++ === leaveAt) throw new Error("left");
      }
    };
    this.#watch(made, loop());
  }

  /** A handler makes a call of its own. */
  #nest(end: End, parent: CallContext<AnyPeer, unknown>): Promise<unknown> {
    const made = this.#make("later");
    const call = end.calls.outgoing.call("later", made.token, { parent });
    this.#watch(made, call);
    return call;
  }

  #make(method: string): Made {
    const token = ++this.#token;
    const made = { token, method, controller: new AbortController(), settled: 0, end: "" };
    this.#made.push(made);
    return made;
  }

  #watch(made: Made, work: Promise<unknown>): void {
    const settled = (end: string) => {
      made.settled++;
      made.end = end;
    };
    work.then(
      () => settled("OK"),
      (error) =>
        settled(error instanceof RpcError ? `${error.code} ${error.executed}` : `${error.message}`),
    );
  }

  async *#source(count: number): AsyncGenerator<unknown> {
    for (let n = 0; n < count; n++) {
      if (this.#rng.int(3) === 0) await this.#wait(undefined);
      yield n;
    }
  }

  /** Waits until the seed lets it go on; who looks at its signal may be let go earlier. */
  #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#ending) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#gates.push(resolve);
      if (signal === undefined || this.#rng.int(3) === 0) return;
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  #deliver(to: End, count: number): void {
    const from = this.#ends[to === this.#ends[0] ? 1 : 0];
    for (let n = 0; n < count; n++) {
      const frame = from?.pipe.shift();
      if (frame === undefined) return;
      to.take(frame, this.clock.now());
    }
  }

  /** Lets everything come to its end. */
  async #finish(): Promise<void> {
    this.#ending = true;
    if (this.#ends[0].machine === undefined) this.#begin();
    for (let idle = 0; idle < 3;) {
      const busy = this.#gates.length > 0 || this.#ends.some(({ machine }) => machine?.hasOutput);
      idle = busy ? 0 : idle + 1;
      for (const open of this.#gates.splice(0)) open();
      for (const end of this.#ends) end.write(this.clock.now());
      for (const end of this.#ends) this.#deliver(end, Infinity);
      await settle(1);
    }
  }

  #judge(): void {
    const wrong = (what: string) => this.#problems.push(what);
    for (const { token, method, settled, end } of this.#made) {
      const runs = this.#runs.get(token) ?? 0;
      const told = `call ${token} of '${method}' ended as ${
        end || "nothing"
      } and ran ${runs} times`;
      if (settled !== 1) wrong(`${told}: it settled ${settled} times`);
      if (runs > 1) wrong(`${told}: it ran more than once`);
      if (end === "OK" && runs !== 1) wrong(told);
      if (end.endsWith(" no") && runs !== 0) wrong(told);
      if (end.endsWith(" yes") && runs !== 1) wrong(told);
    }
    for (const [index, { machine, calls }] of this.#ends.entries()) {
      const left = {
        waiting: calls.outgoing.size,
        lane: calls.outgoing.lane.size,
        caller: machine?.caller.size,
        callee: machine?.callee.size,
      };
      if (Object.values(left).some((count) => count !== 0)) {
        wrong(`end ${index} has something left: ${JSON.stringify(left)}`);
      }
      calls.end("over");
    }
    if (this.clock.pending > 0) wrong(`${this.clock.pending} timers are left`);
  }
}
