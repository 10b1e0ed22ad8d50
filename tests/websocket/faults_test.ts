/**
 * The rows W1 to W4, W7, M5 and F8 of the catalogue of faults, on connections: what the wire says, what
 * the application is told, and that the connection is gone. W5 and W6 are with the handshake.
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { ProtocolError } from "../../src/base/errors.ts";
import { zlibDeflate } from "../../src/websocket/deno_zlib.ts";
import { hex, join } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import type { ProtocolCase } from "./_case.ts";
import { deflated } from "./_cases_deflate.ts";
import { END_CASES } from "./_cases_end.ts";
import { FRAMING_CASES, HUGE_LENGTHS } from "./_cases_framing.ts";
import { UTF8_CASES } from "./_cases_utf8.ts";
import { EchoEnd } from "./_echo_end.ts";
import { CLOSE, close, fragments, frame, TEXT } from "./_frames.ts";
import { openOne, openPair, settle, take } from "./_support.ts";

/** The cases of some categories that end with a violation. */
function violations(cases: readonly ProtocolCase[], categories: RegExp): ProtocolCase[] {
  return cases.filter((one) =>
    categories.test(one.id) && one.end !== undefined && !one.clean && !HUGE_LENGTHS.includes(one)
  );
}

const ROWS: [row: string, cases: ProtocolCase[], codes: number[]][] = [
  ["W1 reserved bits, unknown opcodes and wrong masks", violations(FRAMING_CASES, /^[34]\./), [
    1002,
  ]],
  ["W2 broken control frames, fragments and close codes", [
    ...violations(FRAMING_CASES, /^[25]\./),
    ...violations(END_CASES, /^7\./),
  ], [1002, 1007]],
  ["W3 text that is no UTF-8", violations(UTF8_CASES, /^6\./), [1007]],
  ["W4 lengths beyond every limit", [...HUGE_LENGTHS], [1009]],
];

for (const [row, cases, codes] of ROWS) {
  Deno.test(`${row} end with ${codes.join(" or ")}`, async () => {
    assert(cases.length >= 8, `${cases.length}`);
    for (const one of cases) {
      const roles = one.role === undefined ? ["server", "client"] as const : [one.role];
      for (const role of roles) await violate(one, role, codes);
    }
  });
}

/** One violation: a close frame with its code, the end of the stream, one error, nothing else. */
async function violate(
  one: ProtocolCase,
  role: "client" | "server",
  codes: readonly number[],
): Promise<void> {
  const how = `case ${one.id} as ${role}`;
  const errors: unknown[] = [];
  const { ws, clock, other } = openOne(role, {
    onMessage: (message, ws) => ws.send(message),
    onError: (error) => errors.push(error),
  });
  await other.send(...one.send);
  if (role === "client") {
    // A client waits for the server to end the connection, and not for ever.
    await settle();
    await clock.advance(1_000);
  }
  const frames = await other.frames();
  other.transport.close();
  const info = await ws.closed;
  await settle();
  const last = frames.at(-1);
  assertEquals(last?.opcode, CLOSE, how);
  assertEquals((last?.payload[0] ?? 0) << 8 | (last?.payload[1] ?? 0), one.end, how);
  assertEquals([info.code, info.wasClean, info.initiator], [one.end, false, "remote"], how);
  assert(codes.includes(info.code), `${how}: ${info.code}`);
  assertEquals(errors, [info.error], how);
  assertInstanceOf(info.error, ProtocolError);
  assert(frames.length <= 3, how);
}

Deno.test("W4 a length that is allowed is not believed either, before its bytes are there", () => {
  const end = new EchoEnd("client", {
    limits: { maxFrameLength: 2 ** 30, maxMessageLength: 2 ** 30 },
  });
  const queue = new ByteQueue(hex("827f 0000000040000000 00"));
  end.protocol.receive(queue);
  assert(queue.space().length < 1_000, `${queue.space().length}`);
  assertEquals(end.end, undefined);
});

Deno.test("W7 a text message on a binary protocol ends with 1003, and the other way round", async () => {
  for (
    const [only, wrong, right] of [["binary", "text", hex("01")], [
      "text",
      hex("01"),
      "text",
    ]] as const
  ) {
    const { client, server } = openPair({ server: { only } });
    const fragment = client.write(hex("61"), only === "text" ? 1 : 2, { fin: false });
    client.write(hex("62"), 0);
    client.send(right);
    assertEquals((await take(server, 2)).length, 2, only);
    client.send(wrong);
    const info = await client.closed;
    assertEquals([info.code, info.initiator], [1003, "remote"], only);
    const { error } = await server.closed;
    assertInstanceOf(error, ProtocolError);
    assertEquals(error.code, "UNSUPPORTED");
    await fragment;
  }
});

Deno.test("W7 is noticed on the first byte of the message", async () => {
  const { ws, other } = openOne("client", { only: "binary" });
  await other.send(hex("01"));
  assertEquals((await other.frames(1))[0]?.payload.subarray(0, 2), close(1003).payload);
  other.transport.close();
  await ws.closed;
});

Deno.test("M5 a decompression bomb ends with 1009, whole or in fragments", async () => {
  const bomb = deflated(new Uint8Array(64 << 20));
  assert(bomb.length < 100_000);
  const halves = fragments(2, bomb.subarray(0, 20_000), bomb.subarray(20_000));
  for (const message of [[frame(2, bomb)], halves]) {
    const errors: unknown[] = [];
    const options = { maxMessageLength: 1 << 20, onError: (error: unknown) => errors.push(error) };
    const { ws, other } = openOne("server", options, { windowBits: 15 });
    await other.send(...message.map((one, i) => i === 0 ? { ...one, rsv: 4 } : one));
    assertEquals((await other.frames(1))[0]?.payload.subarray(0, 2), close(1009).payload);
    other.transport.close();
    const { code, error } = await ws.closed;
    await settle();
    assertEquals([code, errors], [1009, [error]]);
  }
});

Deno.test("M5 the inflater stops at the limit", () => {
  const bomb = join(deflated(new Uint8Array(1_000)), hex("0000ffff"));
  assertEquals(zlibDeflate.inflate(bomb, 999), undefined);
  assertEquals(zlibDeflate.inflate(bomb, 1_000)?.length, 1_000);
});

Deno.test("M5 a compressed frame where no compression was agreed on ends with 1002", async () => {
  const { ws, other } = openOne("server", { compression: true });
  await other.send(frame(2, deflated("x"), { rsv: 4 }));
  assertEquals((await other.frames(1))[0]?.payload.subarray(0, 2), close(1002).payload);
  other.transport.close();
  assertEquals((await ws.closed).code, 1002);
});

Deno.test("F8 what comes behind a close frame is ignored", async () => {
  const rng = new Rng(8);
  const { ws, other } = openOne("server");
  await other.send(frame(TEXT, "before"), close(1000, "bye"), rng.bytes(1_024));
  assertEquals((await other.frames()).map(({ opcode }) => opcode), [CLOSE]);
  await other.send(rng.bytes(1_024));
  other.transport.close();
  assertEquals((await ws.closed).reason, "bye");
  assertEquals(await take(ws, 2), ["before"]);
});

Deno.test("one WebSocket that breaks the rules disturbs no other", async () => {
  const pairs = Array.from({ length: 10 }, () => openPair());
  const bad = openOne("server");
  await bad.other.send(hex("ff"));
  bad.other.transport.close();
  assertEquals((await bad.ws.closed).code, 1002);
  for (const { client, server } of pairs) {
    server.send("fine");
    assertEquals(await take(client, 1), ["fine"]);
    await client.close();
  }
});
