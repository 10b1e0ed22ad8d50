/** How a session machine ends: by a word, by a violation, by time, by its link; always once. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type CloseCode, FrameError, ProtocolError, VnetError } from "../../src/base/errors.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as control from "../../src/wire/control.ts";
import * as handshake from "../../src/wire/handshake.ts";
import { encodeMessage, encodeMessageStart } from "../../src/wire/message.ts";
import { MachineEnd, MachinePair } from "../_support/machine_pair.ts";
import { Rng } from "../_support/rng.ts";
import { encoded, HELLO, rawFrame, utf8, WELCOME } from "../_support/wire_client.ts";

const PREFACE = encoded(handshake.encodeClientPreface);
const ANSWER = encoded((out) => handshake.encodeServerPreface(out, 1));
const GREETING = encoded(handshake.encodeClientPreface, (out) => handshake.encodeHello(out, HELLO));
const WELCOMED = encoded(
  (out) => handshake.encodeServerPreface(out, 1),
  (out) => handshake.encodeWelcome(out, WELCOME),
);

/** Where a machine can be when something happens to it, and how it gets there. */
const PHASES: Record<string, (end: MachineEnd) => void> = {
  "server, fresh": () => {},
  "server, inside the preface": (end) => end.input(PREFACE.subarray(0, 3), 0),
  "server, after the preface": (end) => end.input(PREFACE, 0),
  "server, deciding": (end) => end.input(GREETING, 0),
  "server, open": (end) => {
    end.input(GREETING, 0);
    end.admit();
    written(end);
  },
  "client, fresh": (end) => {
    end.greet();
    written(end);
  },
  "client, after the preface": (end) => {
    end.greet();
    written(end);
    end.input(ANSWER, 0);
  },
  "client, open": (end) => {
    end.greet();
    written(end);
    end.input(WELCOMED, 0);
    written(end);
  },
};

/** Takes all that a machine has to write, as a writer does: it asks until there is nothing more. */
function written(end: MachineEnd): void {
  while (end.output(0).length > 0) end.machine.wrote(0);
}

/** A machine in one of these phases. */
function inPhase(name: string): MachineEnd {
  const side: Side = name.startsWith("client") ? "client" : "server";
  const end = new MachineEnd({ side, heartbeat: { interval: 60_000, timeout: 5_000 } });
  PHASES[name]?.(end);
  assertEquals(end.ends, [], name);
  return end;
}

/** The last words of a machine: what `output` has, without a preface. */
function farewell(end: MachineEnd, now = 0): string {
  const bytes = end.output(now);
  const start = bytes[0] === 0xf9 ? 8 : 0;
  if (bytes.length === start) return "";
  const view = new DataView(bytes.buffer, start);
  const kind = view.getUint8(4) === FrameType.CLOSE ? "CLOSE" : "REJECT";
  assertEquals(view.getUint32(0) + 4 + start, bytes.length, "There must be one farewell");
  return `${kind} ${view.getUint16(6)}`;
}

for (const name of Object.keys(PHASES)) {
  Deno.test(`SessionMachine.close() ends once, and says so where it can: ${name}`, () => {
    const end = inPhase(name);
    end.machine.close("DRAINING", "bye");
    end.machine.close("NORMAL", "again");
    end.machine.close("NORMAL", "again");
    const { code, reason, initiator, retryAfter, wrongProtocol } = end.end;
    assertEquals([code, reason, initiator], ["DRAINING", "bye", "local"]);
    assertEquals([retryAfter, wrongProtocol], [0, false]);
    const words = name.endsWith("open")
      ? "CLOSE 2"
      : ["server, after the preface", "server, deciding"].includes(name)
      ? "REJECT 2"
      : "";
    assertEquals(farewell(end), words);
    deaf(end);
  });

  Deno.test(`SessionMachine.linkEnded() ends once, without a word: ${name}`, () => {
    const cause = new TypeError("reset");
    for (const error of [undefined, cause]) {
      const end = inPhase(name);
      end.cut(error);
      end.cut();
      end.machine.close("NORMAL", "again");
      assertEquals([end.end.code, end.end.initiator], ["LINK_LOST", "network"]);
      const partial = name.includes("inside");
      if (error !== undefined) assertEquals(end.end.error?.cause, cause);
      else if (!partial) assertEquals(end.end.error, undefined);
      else {
        assertInstanceOf(end.end.error, FrameError);
        assertEquals(end.end.error.code, "TRUNCATED");
      }
      assertEquals(end.output(0).length, 0);
      deaf(end);
    }
  });

  Deno.test(`SessionMachine ends on bad bytes with one typed error: ${name}`, () => {
    const bad = name.includes("fresh") || name.includes("inside")
      ? new Uint8Array(64).fill(0x41)
      : new Uint8Array(64).fill(0xff);
    const end = inPhase(name);
    end.input(bad, 0);
    const unproven = name.includes("fresh") || name.includes("inside");
    assertInstanceOf(end.end.error, ProtocolError);
    assertEquals(end.end.initiator, "remote");
    assertEquals(end.end.wrongProtocol, unproven);
    assertEquals(end.end.code, unproven ? "PROTOCOL" : "FRAME_TOO_LARGE");
    assertEquals(farewell(end) === "", unproven || name === "client, after the preface");
    deaf(end);
  });
}

Deno.test("SessionMachine gives what it had to say before CLOSE, and CLOSE last", () => {
  const end = inPhase("server, deciding");
  end.admit();
  end.machine.close("NORMAL", "");
  const bytes = end.output(0);
  const frames = framesOf(bytes.subarray(8));
  assertEquals(frames, [FrameType.WELCOME, FrameType.CLOSE]);
});

Deno.test("SessionMachine.welcome() and reject() do nothing once it is decided or over", () => {
  for (const name of Object.keys(PHASES)) {
    if (name === "server, deciding") continue;
    const end = inPhase(name);
    end.machine.reject("AUTH_FAILED", "no", 0, new Uint8Array(8));
    end.machine.welcome(WELCOME, HELLO);
    assertEquals([end.ends, end.output(0).length], [[], 0], name);
  }
  const end = inPhase("server, deciding");
  end.machine.reject("AUTH_FAILED", "no", 70, new Uint8Array(8));
  end.machine.welcome(WELCOME, HELLO);
  end.machine.reject("NORMAL", "", 0, new Uint8Array(8));
  assertEquals([end.log, farewell(end)], [["hello", "end AUTH_FAILED"], "REJECT 12"]);
});

Deno.test("SessionMachine tells a client why it was rejected, and for how long", () => {
  const pair = new MachinePair();
  pair.client.greet();
  pair.settle();
  pair.server.machine.reject("TOO_MANY_CONNECTIONS", "full", 1_500, new Uint8Array(8));
  pair.settle();
  const { code, reason, initiator, retryAfter } = pair.client.end;
  assertEquals([code, reason, initiator, retryAfter], [
    "TOO_MANY_CONNECTIONS",
    "full",
    "remote",
    1_500,
  ]);
});

Deno.test("SessionMachine passes CLOSE and its reason on, and ignores what follows", () => {
  const end = inPhase("client, open");
  end.input(
    encoded(
      (out) => encodeMessage(out, 1, "before", utf8("x")),
      (out) => control.encodeClose(out, "SERVER_RESTART", 0, 0, "soon back"),
      (out) => encodeMessage(out, 2, "after", utf8("x")),
      (out) => out.bytes(new Rng(1).bytes(1_024)),
    ),
    0,
  );
  assertEquals(end.log, ["open", "message", "end SERVER_RESTART"]);
  assertEquals([end.end.reason, end.end.initiator], ["soon back", "remote"]);
  assertEquals(end.output(0).length, 0);
  deaf(end);
});

Deno.test("SessionMachine ends a handshake by its absolute deadline, whatever drips in", () => {
  for (const name of Object.keys(PHASES)) {
    if (name.endsWith("open")) continue;
    const end = inPhase(name);
    const rest = (name.startsWith("client") ? WELCOMED : GREETING).subarray(
      name.includes("inside") ? 3 : name.includes("fresh") ? 0 : 8,
    );
    for (let at = 0; at < 49; at++) {
      if (name !== "server, deciding") end.input(rest.subarray(at, at + 1), at * 100);
      end.machine.handleTimeout(at * 100);
    }
    assertEquals(end.ends, [], name);
    assertEquals(end.machine.nextTimeout(), 5_000, name);
    end.machine.handleTimeout(5_000);
    assertEquals([end.end.code, end.end.initiator], ["HANDSHAKE_TIMEOUT", "remote"]);
    deaf(end);
  }
});

Deno.test("SessionMachine ends when a frame takes too long, and does not while frames come", () => {
  const end = inPhase("server, open");
  const frame = encoded((out) => encodeMessage(out, 1, "", new Uint8Array(40)));
  let at = 0;
  for (const byte of frame.subarray(0, 40)) end.input(Uint8Array.of(byte), at += 700);
  assertEquals(end.machine.nextTimeout(), 700 + 30_000);
  end.machine.handleTimeout(30_699);
  assertEquals(end.ends, []);
  const other = inPhase("server, open");
  for (let seq = 1, now = 0; seq < 100; seq++) {
    // The end of one frame and the beginning of the next: there is always a part that waits.
    const next = encoded((out) => encodeMessage(out, seq, "", new Uint8Array(40)));
    if (seq > 1) other.input(next.subarray(0, 10), now += 1_000);
    other.input(next.subarray(seq > 1 ? 10 : 0), now);
    other.machine.handleTimeout(now);
    assertEquals(other.ends, []);
  }
  end.machine.handleTimeout(30_700);
  assertEquals([end.end.code, farewell(end, 30_700)], ["BAD_FRAME", "CLOSE 4"]);
});

Deno.test("SessionMachine ends when a write makes no progress, and says nothing into it", () => {
  const end = inPhase("server, open");
  end.outbox.push("", new Uint8Array(100));
  assert(end.output(1_000).length > 0);
  assertEquals(end.machine.nextTimeout(), 16_000);
  end.machine.wrote(10_000);
  end.machine.handleTimeout(16_000);
  assertEquals([end.ends, end.machine.nextTimeout()], [[], 25_000]);
  end.machine.handleTimeout(25_000);
  assertEquals([end.end.code, end.end.initiator], ["WRITE_TIMEOUT", "network"]);
  assertEquals([end.output(25_000).length, end.machine.nextTimeout()], [0, Infinity]);
});

Deno.test("SessionMachine has no write to time when there was nothing to write", () => {
  const end = inPhase("server, open");
  end.outbox.push("", new Uint8Array(100));
  end.output(1_000);
  end.machine.wrote(1_001);
  end.output(1_001);
  assert(end.machine.nextTimeout() > 20_000);
});

Deno.test("SessionMachine ends on silence with a word to who may still hear it", () => {
  const pair = MachinePair.open({ heartbeat: { interval: 200, timeout: 100 } });
  while (pair.client.ends.length === 0 && pair.now < 10_000) {
    pair.tick(1_000);
    pair.flush(pair.client);
    pair.flush(pair.server);
  }
  assertEquals(pair.now, 300);
  assertEquals([pair.client.end.code, pair.client.end.initiator], ["HEARTBEAT_TIMEOUT", "network"]);
});

/** Frames that an open session cannot take, and what it calls them. */
const VIOLATIONS: readonly [CloseCode, Bytes][] = [
  ["PROTOCOL", encoded((out) => handshake.encodeHello(out, HELLO))],
  ["SESSION_UNKNOWN", rawFrame({ type: FrameType.RESUME })],
  ["FLOOD", rawFrame({ type: FrameType.REQUEST, id: 1, seq: 1 })],
  ["BAD_FRAME", rawFrame({ type: FrameType.CLOSE }, new Uint8Array(10))],
  ["BAD_FRAME", rawFrame({ type: FrameType.SKIP, seq: 1 }, new Uint8Array(1))],
  ["BAD_FRAME", rawFrame({ type: FrameType.GOAWAY }, new Uint8Array(3))],
  ["UNKNOWN_CRITICAL", rawFrame({ type: 0x40, seq: 1 })],
  [
    "FRAME_TOO_LARGE",
    encoded((out) => encodeMessageStart(out, 1, "", 2 ** 31, new Uint8Array(4_096))),
  ],
  ["PROTOCOL", encoded((out) => encodeMessage(out, 2, "", utf8("x")))],
];

Deno.test("SessionMachine ends on each violation with the code for it, before what follows", () => {
  for (const [expected, bytes] of VIOLATIONS) {
    const end = inPhase("server, open");
    const code = expected === "SESSION_UNKNOWN" ? "PROTOCOL" : expected;
    end.input(
      encoded((out) => out.bytes(bytes), (out) => encodeMessage(out, 1, "", utf8("x"))),
      0,
    );
    assertEquals([end.end.code, end.got], [code, []], expected);
    assertInstanceOf(end.end.error, VnetError);
    assert(farewell(end).startsWith("CLOSE"), expected);
    deaf(end);
  }
});

Deno.test("SessionMachine ends once at most in 3,000 mutated conversations", () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 3_000; seed++) {
    const rng = new Rng(seed);
    const names = Object.keys(PHASES);
    const name = rng.pick(names);
    const end = inPhase(name);
    const stream = encoded(
      (out) => out.bytes(name.startsWith("client") ? WELCOMED : GREETING),
      (out) => encodeMessage(out, 1, "a", rng.bytes(40)),
      (out) => control.encodePing(out, 1, 0),
      (out) => encodeMessageStart(out, 2, "b", 9_000, new Uint8Array(4_096)),
      (out) => control.encodeAck(out, 0, 2_000_000),
      (out) => out.bytes(rawFrame({ type: 0xc1, seq: 3 })),
    ).slice(rng.int(3) === 0 ? 8 : 0);
    for (let i = rng.int(4); i > 0; i--) {
      stream[rng.int(Math.min(200, stream.length))] = rng.int(256);
    }
    for (let at = 0, now = 0; at < stream.length; now += rng.int(200)) {
      const size = 1 + rng.int(rng.pick([3, 50, 5_000]));
      end.input(stream.subarray(at, at + size), now);
      at += size;
      if (rng.int(3) === 0) end.output(now);
      if (end.machine.nextTimeout() <= now) end.machine.handleTimeout(now);
      if (end.hello !== undefined && rng.int(2) === 0) end.admit();
    }
    const [first] = end.ends;
    const what = first?.code ?? "goes on";
    seen.set(what, (seen.get(what) ?? 0) + 1);
    if (first !== undefined) deaf(end);
  }
  for (const code of ["goes on", "PROTOCOL", "BAD_FRAME", "FRAME_TOO_LARGE", "UNKNOWN_CRITICAL"]) {
    assert((seen.get(code) ?? 0) > 5, `${code}: ${JSON.stringify([...seen])}`);
  }
});

/** After its end a machine tells nothing, whatever is done to it (`MachineEnd` watches), and is quiet. */
function deaf(end: MachineEnd): void {
  const told = end.log.length;
  end.output(0);
  for (
    const bytes of [
      GREETING,
      WELCOMED,
      encoded((out) => encodeMessage(out, 1, "", utf8("x"))),
    ]
  ) {
    end.input(bytes, 100_000);
  }
  end.machine.handleTimeout(1e9);
  end.machine.close("NORMAL", "");
  end.cut();
  end.outbox.push("", utf8("x"));
  assertEquals([end.output(1e9).length, end.machine.hasOutput], [0, false]);
  assertEquals([end.log.length, end.ends.length, end.machine.open], [told, 1, false]);
  assertEquals(end.machine.nextTimeout(), Infinity);
}

function framesOf(bytes: Uint8Array): number[] {
  const types: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 4 + view.getUint32(at)) {
    types.push(view.getUint8(at + 4));
  }
  return types;
}
