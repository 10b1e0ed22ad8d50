/**
 * A transport that tells of messages on their way, in virtual time: parts are a sign of life and of progress,
 * within bounds, and the session says how long a message may be.
 */
import { assert, assertEquals } from "@std/assert";
import { attach, type AttachOptions, type DrainInfo, type Peer, type Untyped } from "@vgo/vnet";
import { Simulation } from "@vgo/vnet/testing";
import type { SessionTransport } from "../../src/stream/link.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encoded, HELLO, LIMITS, rawFrame } from "../_support/wire_client.ts";

const H = 1_000;
const T = 500;
const MIB = 1 << 20;

/** The transport in the hands of the test: nothing is sent until it says so. */
class Slow implements SessionTransport {
  readonly localAddr = undefined;
  readonly remoteAddr = undefined;
  readAt = -Infinity;
  wroteAt = -Infinity;
  /** How long messages were to be, from first to last. */
  readonly lengths: number[] = [];
  /** What was sent. */
  readonly sent: Uint8Array[] = [];
  /** Whether what is sent next is stuck. */
  stuck = false;
  #over = false;
  readonly #unread: Uint8Array[] = [];
  #wake = () => {};
  #letGo = () => {};

  get maxMessageLength(): number {
    return this.lengths.at(-1) ?? Infinity;
  }

  set maxMessageLength(length: number) {
    this.lengths.push(length);
  }

  async send(message: Uint8Array): Promise<void> {
    this.sent.push(message);
    if (this.stuck) await new Promise<void>((resolve) => this.#letGo = resolve);
  }

  give(message: Uint8Array): void {
    this.#unread.push(message);
    this.#wake();
  }

  close(): void {
    this.#over = true;
    this.#letGo();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (!this.#over) {
      const message = this.#unread.shift();
      if (message !== undefined) yield message;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** A server's end on a slow transport, open. */
async function opened(sim: Simulation, options: Partial<AttachOptions<Untyped, "server">> = {}) {
  const transport = new Slow();
  const attaching = attach(transport, {
    side: "server",
    runtime: sim,
    heartbeat: { interval: H, timeout: T },
    ...options,
  });
  transport.give(encoded((out) => handshake.encodeHello(out, HELLO)));
  const peer = await sim.run(attaching);
  transport.give(encoded((out) => control.encodeAck(out, 0, LIMITS.recvBytes)));
  await sim.advance(0);
  return { transport, peer };
}

function ended(peer: Peer): () => string | undefined {
  let how: string | undefined;
  peer.closed.then(({ code }: DrainInfo) => how = code);
  return () => how;
}

Deno.test("B11 half a message is a sign of life, as half a frame is", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim);
  const end = ended(peer);
  for (let n = 0; n < 20; n++) {
    await sim.advance(H + T - 100);
    transport.readAt = sim.clock.now();
  }
  assertEquals(end(), undefined);
  // Once it is whole the count begins anew, and silence is still silence.
  transport.give(rawFrame({ type: 0x90 }));
  await sim.advance(H + T - 100);
  assertEquals(end(), undefined);
  await sim.advance(200);
  assertEquals(end(), "HEARTBEAT_TIMEOUT");
});

Deno.test("B1 an end that falls silent amid a message is dead as soon as any other", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim);
  const end = ended(peer);
  for (let n = 0; n < 7; n++) {
    await sim.advance(300);
    transport.readAt = sim.clock.now();
  }
  await sim.advance(H + T - 1);
  assertEquals(end(), undefined);
  await sim.advance(50);
  assertEquals(end(), "HEARTBEAT_TIMEOUT");
});

Deno.test("L1 a message that is never whole is a sign of life for frameTimeout, and then none", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim, { frameTimeout: 5_000 });
  const end = ended(peer);
  for (let at = 0; at < 5_000; at += 250) {
    await sim.advance(250);
    transport.readAt = sim.clock.now();
    assertEquals(end(), undefined);
  }
  for (let at = 0; at < H + T + 500; at += 250) {
    await sim.advance(250);
    transport.readAt = sim.clock.now();
  }
  assertEquals(end(), "HEARTBEAT_TIMEOUT");
});

Deno.test("M1 part of a message that was written is progress; none for writeTimeout is the end", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim, { writeTimeout: 2_000, heartbeat: false });
  const end = ended(peer);
  transport.stuck = true;
  peer.trySend(new Uint8Array(100_000));
  await sim.advance(0);
  const { bytes } = peer.queued;
  assert(bytes >= 100_000, `${bytes} bytes wait`);
  for (let n = 0; n < 10; n++) {
    await sim.advance(1_900);
    transport.wroteAt = sim.clock.now();
  }
  assertEquals(end(), undefined);
  await sim.advance(1_999);
  assertEquals(end(), undefined);
  await sim.advance(1);
  assertEquals(end(), "WRITE_TIMEOUT");
});

Deno.test("M1 an old sign of progress is none for what is written later", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim, { writeTimeout: 2_000, heartbeat: false });
  const end = ended(peer);
  transport.wroteAt = sim.clock.now();
  await sim.advance(1_500);
  transport.stuck = true;
  peer.trySend(new Uint8Array(10));
  await sim.advance(1_999);
  assertEquals(end(), undefined);
  await sim.advance(1);
  assertEquals(end(), "WRITE_TIMEOUT");
});

Deno.test("H3 messages may be 16 KiB long at first, and 1 MiB or the window afterwards", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim);
  assertEquals(transport.lengths, [16_384, MIB]);
  peer.abort();
  const { transport: larger, peer: other } = await opened(sim, {
    limits: { maxFrameLength: MIB },
  });
  assertEquals(larger.lengths, [16_384, 4 * MIB]);
  other.abort();
  const client = new Slow();
  const attaching = attach(client, { side: "client", runtime: sim }).catch(() => "over");
  assertEquals(client.lengths, [MIB]);
  client.close();
  assertEquals(await sim.run(attaching), "over");
});

Deno.test("F6 a message beyond what may come ends the session, whoever lets it through", async () => {
  await using sim = new Simulation();
  const { transport, peer } = await opened(sim);
  transport.give(rawFrame({ type: 0x90 }, new Uint8Array(MIB - 15)));
  const info = await sim.run(peer.closed);
  assertEquals([info.code, info.initiator], ["FRAME_TOO_LARGE", "remote"]);
  const last = transport.sent.at(-1);
  assertEquals(last?.[4], FrameType.CLOSE);
});
