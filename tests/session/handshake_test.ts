/** The handshake machine: prefaces, who may say what when, and how it refuses. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../src/base/errors.ts";
import { OutBuffer } from "../../src/base/out_buffer.ts";
import type { Bytes, Side } from "../../src/base/types.ts";
import { Handshake, type HandshakeFrame } from "../../src/session/handshake.ts";
import { FrameType } from "../../src/wire/constants.ts";
import * as wire from "../../src/wire/handshake.ts";
import { encoded, HELLO, LIMITS, WELCOME } from "../_support/wire_client.ts";

const REJECT: wire.Reject = {
  code: "AUTH_FAILED",
  retryAfter: 5,
  epoch: new Uint8Array(8),
  lastRecv: undefined,
  reason: "no",
};

function make(side: Side, options: { preface?: boolean; serializer?: string } = {}): Handshake {
  const { preface = true, serializer = "raw" } = options;
  return new Handshake(side, preface, serializer, Infinity);
}

function output(handshake: Handshake): Bytes {
  const out = new OutBuffer();
  handshake.write(out);
  assert(!handshake.hasOutput);
  return out.toBytes();
}

/** Gives a frame to a handshake, without its header. */
function read(handshake: Handshake, frame: Bytes): HandshakeFrame {
  const view = new DataView(frame.buffer);
  return handshake.readFrame(view.getUint8(4), view.getUint16(6), frame, 16, frame.length);
}

function refused(work: () => unknown): string {
  return assertThrows(work, ProtocolError).code;
}

const hello = (more: Partial<wire.Hello> = {}) =>
  encoded((out) => wire.encodeHello(out, { ...HELLO, ...more }));
const welcome = (more: Partial<wire.Welcome> = {}) =>
  encoded((out) => wire.encodeWelcome(out, { ...WELCOME, ...more }));
const clientPreface = encoded(wire.encodeClientPreface);
const serverPreface = (chosen: number) => encoded((out) => wire.encodeServerPreface(out, chosen));

Deno.test("Handshake.readPreface() waits for all of it, and takes no more", () => {
  for (const side of ["client", "server"] as const) {
    const bytes = new Uint8Array(20);
    bytes.set(side === "server" ? clientPreface : serverPreface(1), 4);
    const handshake = make(side);
    for (let end = 4; end < 12; end++) {
      assertEquals([handshake.readPreface(bytes, 4, end), handshake.unproven], [4, true]);
    }
    assertEquals([handshake.readPreface(bytes, 4, 20), handshake.unproven], [12, false]);
  }
});

Deno.test("Handshake.readPreface() judges each byte of the magic as it comes", () => {
  for (const side of ["client", "server"] as const) {
    for (let at = 0; at < 5; at++) {
      const bytes = side === "server" ? clientPreface.slice() : serverPreface(1);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const handshake = make(side);
      assertEquals(handshake.readPreface(bytes, 0, at), 0);
      assertEquals(refused(() => handshake.readPreface(bytes, 0, at + 1)), "PROTOCOL");
    }
  }
});

Deno.test("Handshake of a server shows its versions to a client that has none in common", () => {
  const handshake = make("server");
  const bytes = Uint8Array.of(...clientPreface.subarray(0, 5), 3, 2, 0);
  assertEquals(refused(() => handshake.readPreface(bytes, 0, 8)), "BAD_VERSION");
  handshake.refuse("BAD_VERSION", "no");
  assertEquals(output(handshake), serverPreface(0));
});

Deno.test("Handshake without a preface begins with frames, and writes none", () => {
  const client = make("client", { preface: false });
  const server = make("server", { preface: false });
  assertEquals([client.unproven, server.unproven], [false, false]);
  client.hello(HELLO);
  assertEquals(read(server, output(client)).type, "hello");
  server.welcome(WELCOME);
  assertEquals(read(client, output(server)).type, "welcome");
});

Deno.test("Handshake of a server takes one HELLO, and then nothing", () => {
  const handshake = make("server", { preface: false });
  assertEquals(handshake.deciding, false);
  assertEquals(read(handshake, hello({ clientId: "ann" })), {
    type: "hello",
    hello: { ...HELLO, clientId: "ann", metadata: Object.create(null) },
  });
  assertEquals([handshake.deciding, handshake.hasOutput], [true, false]);
  assertEquals(refused(() => read(handshake, hello())), "PROTOCOL");
});

Deno.test("Handshake of a server keeps no sessions to resume", () => {
  const handshake = make("server", { preface: false });
  const resume = () => handshake.readFrame(FrameType.RESUME, 0, new Uint8Array(0), 0, 0);
  assertEquals(refused(resume), "SESSION_UNKNOWN");
});

Deno.test("Handshake refuses every other type, on both sides", () => {
  for (const side of ["client", "server"] as const) {
    const fine = side === "client"
      ? [FrameType.WELCOME, FrameType.REJECT]
      : [FrameType.HELLO, FrameType.RESUME];
    for (let type = 0; type < 256; type++) {
      if (fine.some((it) => it === type)) continue;
      const handshake = make(side, { preface: false });
      const frame = () => handshake.readFrame(type, 0, new Uint8Array(64), 0, 64);
      assertEquals(refused(frame), "PROTOCOL", `${side}: ${type}`);
    }
  }
});

Deno.test("Handshake judges the limits of the other end on both sides", () => {
  const limits = { ...LIMITS, maxMessage: 0 };
  assertEquals(
    refused(() => read(make("server", { preface: false }), hello({ limits }))),
    "BAD_LIMITS",
  );
  assertEquals(
    refused(() => read(make("client", { preface: false }), welcome({ limits }))),
    "BAD_LIMITS",
  );
});

Deno.test("Handshake lets serializers in that are equal, or raw on one side", () => {
  const pairs: [client: string, server: string, fine: boolean][] = [
    ["json", "json", true],
    ["raw", "json", true],
    ["json", "raw", true],
    ["", "", true],
    ["", "raw", true],
    ["json", "text", false],
    ["", "json", false],
    ["JSON", "json", false],
  ];
  for (const [client, serializer, fine] of pairs) {
    const handshake = make("server", { preface: false, serializer });
    const ask = () => read(handshake, hello({ serializer: client }));
    if (fine) assertEquals(ask().type, "hello");
    else assertEquals(refused(ask), "UNSUPPORTED", `${client} and ${serializer}`);
  }
});

Deno.test("Handshake.refuse() says nothing to who has not shown that it speaks vnet", () => {
  const handshake = make("server");
  handshake.refuse("PROTOCOL", "no");
  assertEquals(handshake.hasOutput, false);
  handshake.readPreface(clientPreface, 0, 8);
  handshake.refuse("AUTH_FAILED", "no", 5);
  const bytes = output(handshake);
  assertEquals(
    bytes,
    encoded(
      (out) => wire.encodeServerPreface(out, 1),
      (out) => wire.encodeReject(out, REJECT),
    ),
  );
  const client = make("client");
  client.refuse("PROTOCOL", "no");
  assertEquals(client.hasOutput, false);
});

Deno.test("Handshake of a client reads a REJECT", () => {
  const handshake = make("client", { preface: false });
  const frame = read(handshake, encoded((out) => wire.encodeReject(out, REJECT)));
  assertEquals(frame, { type: "reject", reject: REJECT });
});
