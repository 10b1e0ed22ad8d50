/**
 * The protocol table: what an end that echoes must do, as server and as client, however its input is
 * cut.
 *
 * Organised and numbered as the Autobahn test suite is, from its public case descriptions and from the
 * RFCs. Cases whose number has an "x" are ours.
 */
import { assert, assertEquals } from "@std/assert";
import { constants, inflateRawSync } from "node:zlib";
import { join, sameFrames } from "../_support/feed.ts";
import type { ProtocolCase } from "./_case.ts";
import { DEFLATE_CASES } from "./_cases_deflate.ts";
import { END_CASES } from "./_cases_end.ts";
import { FRAMING_CASES } from "./_cases_framing.ts";
import { UTF8_CASES } from "./_cases_utf8.ts";
import { cuttings, EchoEnd, feedCut, type Role, stream } from "./_echo_end.ts";
import { CLOSE, close, type Frame } from "./_frames.ts";

const CASES: readonly ProtocolCase[] = [
  ...FRAMING_CASES,
  ...UTF8_CASES,
  ...END_CASES,
  ...DEFLATE_CASES,
];

for (const one of CASES) {
  Deno.test(`WebSocket case ${one.id} ${one.name}`, () => {
    for (const role of rolesOf(one)) {
      const bytes = stream(role, one.send);
      for (const [name, cuts] of cuttings(bytes.length, 6_455)) {
        const end = new EchoEnd(role, one);
        feedCut(end, bytes, cuts);
        check(one, end, `as ${role}, ${name}`);
      }
      if (one.failsAt !== undefined) checkEarly(one, role, one.failsAt);
    }
  });
}

Deno.test("the protocol table has at least 300 cases, each with its own number", () => {
  const ids = CASES.map(({ id, role = "" }) => `${id} ${role}`);
  assertEquals(new Set(ids).size, ids.length, `${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  const numbers = new Set(CASES.map(({ id }) => id));
  assert(numbers.size >= 300, `${numbers.size}`);
  const categories = new Set(CASES.map(({ id }) => id.split(".")[0]));
  assertEquals([...categories].map(Number).sort((a, b) => a - b), [
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    9,
    10,
    12,
    13,
  ]);
});

function rolesOf({ role }: ProtocolCase): readonly Role[] {
  return role === undefined ? ["server", "client"] : [role];
}

function check(one: ProtocolCase, end: EchoEnd, how: string): void {
  const written = end.written();
  assertEquals(end.end?.code, one.end, `${how}: ${end.end?.reason}`);
  assertEquals(end.end?.wasClean ?? false, one.clean ?? false, how);
  assertEquals(end.protocol.open, one.end === undefined, how);
  if (one.end !== undefined) {
    const last = written.pop();
    assert(last !== undefined, `${how}: no close frame`);
    checkClose(one, last, how);
  }
  const echoes = one.windowBits === undefined ? [] : written.filter(({ opcode }) => opcode < 8);
  if (one.messages !== undefined) {
    assert(sameFrames(end.messages, one.messages), `${how}: other messages`);
    assert(sameFrames(echoes.map(contentOf), one.messages), `${how}: other echoes`);
  }
  const rest = written.filter((frame) => !echoes.includes(frame));
  const got = rest.map(({ opcode, payload, fin = true }) => ({ opcode, payload, fin }));
  const wanted = one.get.map(({ opcode, payload }) => ({ opcode, payload, fin: true }));
  assert(sameFrames(got, wanted), `${how}: wrote ${show(got)} in place of ${show(wanted)}`);
}

function checkClose(one: ProtocolCase, last: Frame, how: string): void {
  assertEquals(last.opcode, CLOSE, how);
  const asked = one.send.find((sent) => "opcode" in sent && sent.opcode === CLOSE);
  if (one.clean && asked !== undefined && "payload" in asked) {
    assertEquals(last.payload, asked.payload, how);
  } else {
    assertEquals(last.payload.subarray(0, 2), close(one.end ?? 0).payload, how);
  }
  assert(last.payload.length <= 125, how);
}

/** The end must be there with the byte that makes it certain, and not one byte before. */
function checkEarly(
  one: ProtocolCase,
  role: Role,
  { frame, byte }: { readonly frame: number; readonly byte: number },
): void {
  const before = stream(role, one.send.slice(0, frame)).length;
  const whole = stream(role, one.send.slice(0, frame + 1));
  const payload = one.send[frame];
  assert(payload !== undefined && !(payload instanceof Uint8Array));
  const at = whole.length - payload.payload.length + byte;
  const end = new EchoEnd(role, one);
  feedCut(end, whole.subarray(0, at), [before]);
  assertEquals(end.end, undefined, `as ${role}: it ended too early`);
  end.feed(whole.subarray(at, at + 1));
  assertEquals(end.end?.code, one.end, `as ${role}: it did not end with the first wrong byte`);
  const atOnce = new EchoEnd(role, one);
  atOnce.feed(whole.subarray(0, at + 1));
  assertEquals(atOnce.end?.code, one.end, `as ${role}: it did not see the wrong byte in one read`);
}

/** What a data frame carries. */
function contentOf({ opcode, payload, rsv }: Frame): string | Uint8Array {
  const bytes = rsv === 4
    ? inflateRawSync(join(payload, new Uint8Array([0, 0, 255, 255])), {
      finishFlush: constants.Z_SYNC_FLUSH,
    })
    : payload;
  return opcode === 1 ? new TextDecoder().decode(bytes) : new Uint8Array(bytes);
}

function show(frames: readonly Frame[]): string {
  return frames.slice(0, 5).map(({ opcode, payload }) => `${opcode}(${payload.length})`).join(" ");
}
