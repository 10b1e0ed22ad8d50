/** What one end does beside the table: masks, closing, pongs under pressure, single frames, fuzz. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { mask } from "../../src/websocket/masking.ts";
import { encodeMessage } from "../../src/websocket/frame_writer.ts";
import { isCloseCode } from "../../src/websocket/rfc6455.ts";
import { Utf8Validator } from "../../src/websocket/utf8.ts";
import { body, hex, join, sameFrame, sameFrames } from "../_support/feed.ts";
import { Rng } from "../_support/rng.ts";
import { cuttings, EchoEnd, feedCut, stream } from "./_echo_end.ts";
import {
  BINARY,
  CLOSE,
  close,
  CONTINUATION,
  decode,
  fragments,
  frame,
  PING,
  PONG,
  TEXT,
} from "./_frames.ts";

Deno.test("mask() is XOR with a repeated key, at every alignment, length and phase", () => {
  const rng = new Rng(53);
  for (let length = 0; length < 70; length++) {
    for (let start = 0; start < 5; start++) {
      for (let before = 0; before < 5; before++) {
        const bytes = rng.bytes(start + length + 3);
        const key = rng.bytes(4);
        const expected = bytes.map((byte, i) =>
          i < start || i >= start + length ? byte : byte ^ (key[(i - start + before) % 4] ?? 0)
        );
        const number = new DataView(key.buffer).getUint32(0);
        mask(bytes, start, start + length, number, before);
        assert(sameFrame(bytes, expected), `length ${length}, start ${start}, before ${before}`);
      }
    }
  }
});

Deno.test("mask() heeds where a view lies in its memory", () => {
  for (let offset = 0; offset < 8; offset++) {
    const bytes = new Uint8Array(new ArrayBuffer(100), offset, 64);
    mask(bytes, 0, 64, 0x01020304);
    assertEquals([...bytes.subarray(0, 6), bytes[63]], [1, 2, 3, 4, 1, 2, 4], `${offset}`);
  }
});

Deno.test("Utf8Validator.push() agrees with the platform on random bytes, in pieces", () => {
  const rng = new Rng(3_629);
  const leads = [
    0x20,
    0x7f,
    0x80,
    0x9f,
    0xa0,
    0xbf,
    0xc2,
    0xdf,
    0xe0,
    0xed,
    0xef,
    0xf0,
    0xf4,
    0xf5,
  ];
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: rng.int(12) }, () => rng.pick(leads));
    const validator = new Utf8Validator();
    const cut = rng.int(bytes.length + 1);
    const valid = validator.push(bytes, 0, cut) && validator.push(bytes, cut, bytes.length) &&
      validator.complete;
    assertEquals(valid, isUtf8(bytes), `seed 3629, ${bytes}`);
  }
});

Deno.test("isCloseCode() has the codes of the RFC, its registry and the private ranges", () => {
  const allowed = Array.from({ length: 6_000 }, (_, code) => code).filter(isCloseCode);
  const first = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  assertEquals(allowed.slice(0, 12), first);
  assertEquals([allowed[12], allowed.at(-1), allowed.length], [3000, 4999, 2_012]);
  assertEquals([1000.5, NaN, -1, 65_536].filter(isCloseCode), []);
});

Deno.test("WebSocketProtocol.close() sends the code once and ends with the answer", () => {
  for (const role of ["server", "client"] as const) {
    const end = new EchoEnd(role);
    end.protocol.close(4_001, "done");
    end.protocol.close(4_002, "again");
    end.take();
    assertEquals(end.written().map(({ payload }) => payload), [close(4_001, "done").payload]);
    assertEquals([end.protocol.open, end.end], [false, undefined]);
    end.feed(stream(role, [frame(TEXT, "late"), frame(PING, "late"), close(4_001), frame(TEXT)]));
    assertEquals(end.end, { code: 4_001, reason: "done", wasClean: true, initiator: "local" });
    assertEquals([end.messages, end.written().length], [[], 1]);
  }
});

Deno.test("WebSocketProtocol.close() without a code, and answers that differ", () => {
  const without = new EchoEnd("client");
  without.protocol.close(undefined, "");
  without.feed(stream("client", [frame(CLOSE)]));
  assertEquals([without.end?.code, without.written()[0]?.payload.length], [1005, 0]);
  const crossed = new EchoEnd("client");
  crossed.protocol.close(1000, "mine");
  crossed.feed(stream("client", [close(1001, "theirs")]));
  assertEquals(crossed.end, { code: 1001, reason: "theirs", wasClean: true, initiator: "local" });
});

Deno.test("WebSocketProtocol ends with 1006 where the link ends without a close frame", () => {
  const cut = new EchoEnd("server");
  cut.feed(stream("server", [frame(TEXT, "a", { fin: false })]));
  cut.protocol.linkEnded();
  assertEquals([cut.end?.code, cut.end?.wasClean, cut.end?.initiator], [1006, false, "network"]);
  assertEquals(cut.messages, []);
  const lost = new EchoEnd("server");
  lost.protocol.close(1000, "");
  const cause = new Error("reset");
  lost.protocol.linkEnded(cause);
  assertEquals([lost.end?.code, lost.end?.error?.cause], [1006, cause]);
  lost.feed(stream("server", [frame(PING)]));
  assertEquals(lost.written().length, 1);
});

Deno.test("WebSocketProtocol drops what follows a violation, and says it in a reason that fits", () => {
  const end = new EchoEnd("server");
  end.feed(stream("server", [frame(TEXT, "good"), frame(3), frame(TEXT, "late"), close(1000)]));
  assertEquals([end.messages, end.end?.code, end.end?.initiator], [["good"], 1002, "remote"]);
  const [echo, bye, ...rest] = end.written();
  assertEquals([echo?.opcode, bye?.opcode, rest.length], [TEXT, CLOSE, 0]);
  assertEquals(
    new TextDecoder().decode(bye?.payload.subarray(2)),
    "Cannot decode frame as its opcode must be 0 to 2 or 8 to 10: current value is 3",
  );
});

Deno.test("B6 pings while writes are blocked: the first few and the newest are answered", () => {
  const end = new EchoEnd("server");
  const queue = new ByteQueue();
  for (let i = 0; i < 10_000; i++) {
    queue.push(stream("server", [frame(PING, `${i}`)], i));
    end.protocol.receive(queue);
  }
  assert(end.protocol.waitingBytes < 1_000, `${end.protocol.waitingBytes}`);
  end.take();
  const answered = end.written().map(({ payload }) => new TextDecoder().decode(payload));
  assertEquals([answered.length, answered[0], answered.at(-1)], [17, "0", "9999"]);
  end.feed(stream("server", [frame(PING, "now")]));
  assertEquals(end.written().at(-1)?.payload, join("now"));
});

Deno.test("WebSocketProtocol.send() gives frames that the other end takes, of every length", () => {
  const lengths = [0, 1, 63, 64, 65, 125, 126, 127, 200, 65_535, 65_536, 70_000];
  for (const windowBits of [undefined, 15]) {
    const options = windowBits === undefined ? {} : { windowBits };
    for (const role of ["server", "client"] as const) {
      const sender = new EchoEnd(role, options);
      const sent = lengths.flatMap((length) => [
        "x".repeat(length),
        "é☃😀\u{feff}".repeat(length).slice(0, length - length % 5),
        body(length),
      ]);
      for (const message of sent) {
        assert(sender.protocol.betweenMessages);
        sender.protocol.send(message);
      }
      const output = sender.protocol.takeOutput()?.toBytes();
      assert(output !== undefined);
      const receiver = new EchoEnd(role === "server" ? "client" : "server", options);
      receiver.feed(output);
      assert(sameFrames(receiver.messages, sent), `${role} ${windowBits}`);
    }
  }
});

Deno.test("WebSocketProtocol.send() compresses what gets shorter by it", () => {
  const end = new EchoEnd("server", { windowBits: 15 });
  const noise = new Rng(15).bytes(5_000);
  for (const message of ["x".repeat(5_000), noise, "x".repeat(1_000)]) end.protocol.send(message);
  end.take();
  const [text, binary, short] = end.written();
  assertEquals([text?.rsv, binary?.rsv, short?.rsv], [4, 0, 0]);
  assert((text?.payload.length ?? 0) < 50);
  assert(sameFrame(binary?.payload, noise));
});

Deno.test("WebSocketProtocol.send() as client masks each frame with another key, and leaves bytes alone", () => {
  for (const length of [100, 100_000]) {
    const data = body(length);
    const end = new EchoEnd("client");
    end.protocol.send(data);
    end.protocol.send(data);
    assert(sameFrame(data, body(length)), "The payload was masked in place");
    const output = end.protocol.takeOutput()?.toBytes() ?? new Uint8Array(0);
    const half = output.length / 2;
    assert(!sameFrame(output.subarray(0, half), output.subarray(half)), "The keys are the same");
    assertEquals(decode(output, true).map(({ payload }) => sameFrame(payload, data)), [true, true]);
  }
});

Deno.test("encodeMessage() is what send() writes", () => {
  for (const message of ["text", "é", "x".repeat(300), body(5), body(70_000)]) {
    const end = new EchoEnd("server");
    end.protocol.sendEncoded(encodeMessage(message));
    assertEquals(end.protocol.waitingFrames, 1);
    end.take();
    const direct = new EchoEnd("server");
    direct.protocol.send(message);
    direct.take();
    assert(sameFrames(end.written(), direct.written()));
  }
});

Deno.test("WebSocketProtocol.sendFrame() writes fragments with control frames between them", () => {
  const { protocol, ...end } = endOf("client");
  protocol.sendFrame(TEXT, hex("f09f"), false);
  assertEquals(protocol.betweenMessages, false);
  protocol.sendFrame(PING, body(125), true);
  protocol.sendFrame(CONTINUATION, hex("9880"), false);
  protocol.sendFrame(PONG, body(0), true);
  protocol.sendFrame(CONTINUATION, hex(""), true);
  assertEquals(protocol.betweenMessages, true);
  assertEquals(
    end.written().map(({ opcode, fin, payload }) => [opcode, fin, payload.length]),
    [[1, false, 2], [9, true, 125], [0, false, 2], [10, true, 0], [0, true, 0]],
  );
});

Deno.test("WebSocketProtocol.sendFrame() refuses what must not be sent, and stays as it was", () => {
  const { protocol, ...end } = endOf("server");
  const refuse = (opcode: number, data: Uint8Array, fin: boolean, words: string) =>
    assertThrows(() => protocol.sendFrame(opcode, data, fin), Error, words);
  refuse(CONTINUATION, body(1), true, "opcode 0 continues a message: none was begun");
  refuse(3, body(1), true, "its opcode must be 0, 1, 2, 9 or 10: current value is 3");
  refuse(11, body(1), true, "current value is 11");
  refuse(CLOSE, body(2), true, "a close frame is sent by close()");
  refuse(PING, body(126), true, "a control frame has at most 125 bytes: current value is 126");
  refuse(PONG, body(1), false, "a control frame must not be fragmented");
  refuse(TEXT, hex("ff"), true, "the payload of a text must be UTF-8");
  refuse(TEXT, hex("f09f"), true, "the payload of a text must be UTF-8");
  protocol.sendFrame(TEXT, hex("f09f"), false);
  refuse(TEXT, join("x"), true, "a message was begun: its next fragments have opcode 0");
  refuse(CONTINUATION, join("x"), true, "the payload of a text must be UTF-8");
  protocol.sendFrame(CONTINUATION, hex("9880"), true);
  assertEquals(end.written().map(({ payload }) => payload), [hex("f09f"), hex("9880")]);
});

Deno.test("F16 messages stay as they are when their connection reads on", () => {
  const rng = new Rng(16);
  const sent = Array.from({ length: 2_000 }, () => rng.bytes(rng.int(300)));
  const bytes = stream("server", sent.map((data) => frame(BINARY, data)));
  const end = new EchoEnd("server");
  const queue = new ByteQueue();
  let shared: Uint8Array | undefined;
  for (let at = 0; at < bytes.length;) {
    const space = queue.space();
    const count = Math.min(space.length, bytes.length - at, 1 + rng.int(5_000));
    space.set(bytes.subarray(at, at + count));
    queue.fill(count);
    at += count;
    end.protocol.receive(queue);
    if (end.protocol.shared) shared = queue.buffer;
    if (shared !== queue.buffer) queue.rewind();
    end.take();
  }
  assert(sameFrames(end.messages, sent), "seed 16");
});

Deno.test("F16 what control frames carry is a copy: the memory that was read into is used again", () => {
  const end = new EchoEnd("server");
  const queue = new ByteQueue();
  const payloads = Array.from({ length: 40 }, (_, i) => `${i}`.padStart(2, "0"));
  for (const payload of payloads) {
    const bytes = stream("server", [frame(PING, payload), frame(PONG, payload)]);
    const space = queue.space();
    space.set(bytes);
    queue.fill(bytes.length);
    end.protocol.receive(queue);
    assertEquals(end.protocol.shared, false);
    queue.rewind();
  }
  end.take();
  assertEquals(end.pongs, payloads.map((payload) => join(payload)));
  assertEquals(end.written().at(-1)?.payload, join("39"));
});

Deno.test("WebSocketProtocol takes any bytes: frames, or one violation, and nothing else", () => {
  for (let seed = 0; seed < 3_000; seed++) {
    const rng = new Rng(seed);
    const role = seed % 2 === 0 ? "server" : "client";
    const bytes = hostile(role, rng);
    const ends = cuttings(bytes.length, seed).map(([, cuts]) => {
      const end = new EchoEnd(role, seed % 3 === 0 ? { windowBits: 15 } : {});
      feedCut(end, bytes, cuts);
      return end;
    });
    for (const { end, messages } of ends) {
      assertEquals(end?.code, ends[0]?.end?.code, `seed ${seed}: the end depends on the cuts`);
      assert(sameFrames(messages, ends[0]?.messages ?? []), `seed ${seed}: so do the messages`);
    }
  }
});

/** Frames of which most are good, and some of whose bits are not. */
function hostile(role: "server" | "client", rng: Rng): Uint8Array {
  const frames = Array.from({ length: 1 + rng.int(6) }, () => {
    switch (rng.int(8)) {
      case 0:
        return [frame(PING, rng.bytes(rng.int(130)))];
      case 1:
        return fragments(rng.pick([TEXT, BINARY]), "ä", "ö", "");
      case 2:
        return [close(rng.pick([1000, 1005, 3000, 12]))];
      default:
        return [frame(rng.pick([TEXT, BINARY]), "grüße")];
    }
  }).flat();
  const bytes = stream(role, frames, rng.seed);
  for (let i = rng.int(4); i > 0; i--) bytes[rng.int(bytes.length)] = rng.uint32();
  return bytes;
}

function endOf(role: "server" | "client") {
  const end = new EchoEnd(role);
  return {
    protocol: end.protocol,
    written: () => {
      end.take();
      return end.written();
    },
  };
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
