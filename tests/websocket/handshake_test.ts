/** The server's half of the opening handshake, fed whole and byte by byte; rows W5 and W6. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { acceptFor, addedFields, agreeOn, checkProtocols } from "../../src/websocket/handshake.ts";
import { extensionsOf, tokensOf } from "../../src/websocket/header_values.ts";
import { HttpError, takeHead } from "../../src/websocket/http_head.ts";
import {
  acceptance,
  agree,
  isSameHost,
  readUpgrade,
  refusalHead,
} from "../../src/websocket/server_handshake.ts";
import { everyByte, join } from "../_support/feed.ts";
import { ACCEPT, headOf, KEY, read, sha1 } from "./_heads.ts";

const GOOD: Readonly<Record<string, string>> = {
  Host: "example.com:8000",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
};

/** A request; a field that is `undefined` is left out, one that is an array comes more than once. */
function request(
  fields: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  line = "GET /chat?room=1 HTTP/1.1",
): string {
  const lines = Object.entries({ ...GOOD, ...fields }).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`)
  );
  return [line, ...lines, "", ""].join("\r\n");
}

function statusOf(text: string): number {
  const heads = [read(text), read(text, everyByte(join(text).length))];
  const [status, other] = heads.map((head) => {
    if (typeof head === "number") return head;
    try {
      readUpgrade(head);
      return 101;
    } catch (error) {
      assertInstanceOf(error, HttpError);
      return error.status;
    }
  });
  assertEquals(status, other, "The status depends on the cuts");
  return status ?? 0;
}

const many = (count: number) =>
  Array.from({ length: count }, (_, i) => `X-${i}: ${i}`).join("\r\n");

const REQUESTS: [name: string, text: string, status: number][] = [
  ["a good one", request(), 101],
  [
    "names and tokens in any case",
    request({ Upgrade: "WebSocket", Connection: "keep-alive, UPGRADE" }),
    101,
  ],
  ["Connection twice", request({ Connection: ["keep-alive", "Upgrade"] }), 101],
  ["an absolute target", request({}, "GET http://example.com:8000/chat HTTP/1.1"), 101],
  ["an absolute target without a path", request({}, "GET http://example.com HTTP/1.1"), 101],
  ["no blanks behind colons", request().replaceAll(": ", ":"), 101],
  [
    "blanks and tabs around values",
    request().replaceAll(": ", ": \t ").replaceAll("\r\n", " \t\r\n").replace(/^([^\r]*) \t/, "$1")
      .replace(/ \t\r\n$/, "\r\n").replace(/ \t\r\n$/, "\r\n"),
    101,
  ],
  ["an empty content", request({ "Content-Length": "0" }), 101],
  ["100 header fields", request({ "X-A": "1" }).replace("X-A: 1", many(95)), 101],
  ["no Upgrade", request({ Upgrade: undefined }), 426],
  ["another Upgrade", request({ Upgrade: "h2c" }), 426],
  ["Upgrade to something like it", request({ Upgrade: "websocket2" }), 426],
  ["no Connection", request({ Connection: undefined }), 400],
  ["another Connection", request({ Connection: "keep-alive" }), 400],
  ["no Host", request({ Host: undefined }), 400],
  ["an empty Host", request({ Host: "" }), 400],
  ["two Hosts", request({ Host: ["a", "b"] }), 400],
  ["no key", request({ "Sec-WebSocket-Key": undefined }), 400],
  ["an empty key", request({ "Sec-WebSocket-Key": "" }), 400],
  ["two keys", request({ "Sec-WebSocket-Key": [KEY, KEY] }), 400],
  ["a short key", request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZQ==" }), 400],
  ["a key that is no base64", request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25*ZQ==" }), 400],
  ["no version", request({ "Sec-WebSocket-Version": undefined }), 426],
  ["version 8", request({ "Sec-WebSocket-Version": "8" }), 426],
  ["two versions", request({ "Sec-WebSocket-Version": ["13", "13"] }), 426],
  ["POST", request({}, "POST / HTTP/1.1"), 405],
  ["get", request({}, "get / HTTP/1.1"), 405],
  ["HTTP/1.0", request({}, "GET / HTTP/1.0"), 505],
  ["HTTP/2", request({}, "GET / HTTP/2"), 505],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 505],
  ["no version of HTTP", request({}, "GET /"), 400],
  ["two blanks", request({}, "GET  / HTTP/1.1"), 400],
  ["a blank at the end", request({}, "GET / HTTP/1.1 "), 400],
  ["a target that is no path", request({}, "GET chat HTTP/1.1"), 400],
  ["a target with a fragment", request({}, "GET /#a HTTP/1.1"), 400],
  ["a target with other characters", request({}, "GET /\u00e4 HTTP/1.1"), 400],
  ["a body", request({ "Content-Length": "5" }), 400],
  ["a chunked body", request({ "Transfer-Encoding": "chunked" }), 400],
  ["two origins", request({ Origin: ["http://a", "http://b"] }), 400],
  ["a list of subprotocols that is none", request({ "Sec-WebSocket-Protocol": "a b" }), 400],
  ["a subprotocol twice", request({ "Sec-WebSocket-Protocol": ["a", "b, a"] }), 400],
  ["an extension that is none", request({ "Sec-WebSocket-Extensions": "a; =" }), 400],
  ["a blank before a colon", request().replace("Host:", "Host :"), 400],
  ["a line that goes on", request().replace("Upgrade:", "X: a\r\n b\r\nUpgrade:"), 400],
  ["a field without a name", request({ "": "x" }), 400],
  ["a line without a colon", request().replace("Host:", "Host"), 400],
  ["NUL in a value", request({ "X-A": "a\0b" }), 400],
  ["a bare CR in a value", request({ "X-A": "a\rb" }), 400],
  ["a bare LF in a value", request({ "X-A": "a\nb" }), 400],
  ["bare LFs everywhere", request().replaceAll("\r\n", "\n"), 400],
  ["an empty line first", `\r\n${request()}`, 400],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["a vnet client", "\xf9VNET\x01\x01\x00", 400],
  ["nothing that ends, with a LF", "hello\nworld", 400],
];

/** The bombs, and what older parsers fell over. */
const BOMBS: [name: string, text: string, status: number][] = [
  ["101 header fields", request({ "X-A": "1" }).replace("X-A: 1", many(96)), 431],
  ["2,000 header fields", request({ "X-A": "1" }).replace("X-A: 1", many(2_000)), 431],
  ["1,000,000 empty fields", `GET / HTTP/1.1\r\n${"a:\r\n".repeat(1_000_000)}\r\n`, 431],
  ["a field of 16 KiB", request({ "X-A": "x".repeat(16_384) }), 431],
  ["a path of 16 KiB", request({}, `GET /${"x".repeat(16_384)} HTTP/1.1`), 431],
  ["a head that never ends", `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}`, 431],
  [
    "12,000 blanks in the subprotocols",
    request({ "Sec-WebSocket-Protocol": `a${" ".repeat(12_000)}b` }),
    400,
  ],
  [
    "4,000 commas in the subprotocols",
    request({ "Sec-WebSocket-Protocol": `a${", ".repeat(4_000)}b` }),
    101,
  ],
  [
    "6,000 semicolons in the extensions",
    request({ "Sec-WebSocket-Extensions": `a${"; ".repeat(6_000)}` }),
    400,
  ],
  [
    "12,000 quotes in the extensions",
    request({ "Sec-WebSocket-Extensions": `a; b=${'"'.repeat(12_000)}` }),
    400,
  ],
  [
    "names of Object.prototype",
    request({ "X-A": "1" }).replace("X-A: 1", "__proto__: 1\r\nconstructor: 2"),
    101,
  ],
];

for (const [name, text, status] of REQUESTS) {
  Deno.test(`readUpgrade() answers ${status} to ${name}`, () =>
    assertEquals(statusOf(text), status));
}
for (const [name, text, status] of BOMBS) {
  Deno.test(`W5 a request with ${name} is answered ${status}`, () => {
    const short = text.length > 30_000 ? text.slice(0, 30_000) : text;
    assertEquals(read(text) === 431 ? 431 : statusOf(short), status);
  });
}

Deno.test("readUpgrade() tells what was asked", () => {
  const asked = readUpgrade(headOf(request({
    Origin: "https://example.com",
    "Sec-WebSocket-Protocol": ["chat, superchat", "vnet.1"],
    "Sec-WebSocket-Extensions": 'permessage-deflate; client_max_window_bits; x="10", other',
    Cookie: "a=\xe4",
  })));
  assertEquals(
    [asked.target, asked.host, asked.origin, asked.key],
    ["/chat?room=1", "example.com:8000", "https://example.com", KEY],
  );
  assertEquals(asked.protocols, ["chat", "superchat", "vnet.1"]);
  assertEquals(asked.offers, [
    { name: "permessage-deflate", params: [["client_max_window_bits", true], ["x", "10"]] },
    { name: "other", params: [] },
  ]);
  assertEquals(asked.fields.all("COOKIE".toLowerCase()).length, 1);
});

Deno.test("takeHead() leaves what follows the head in the queue", () => {
  const queue = new ByteQueue(join(request(), "and more"));
  assert(takeHead(queue) !== undefined);
  assertEquals(queue.take(queue.length), join("and more"));
});

Deno.test("refusals say what would be right", () => {
  const headers = (text: string) => {
    try {
      readUpgrade(headOf(text));
    } catch (error) {
      assertInstanceOf(error, HttpError);
      return error.headers;
    }
  };
  assertEquals(headers(request({}, "POST / HTTP/1.1")), { allow: "GET" });
  assertEquals(headers(request({ "Sec-WebSocket-Version": "8" }))?.["sec-websocket-version"], "13");
  assertEquals(headers(request({ Upgrade: undefined }))?.upgrade, "websocket");
  assertEquals(
    new TextDecoder().decode(
      refusalHead(403, "Forbidden", 3, [["x-a", "b"], ["Content-Length", "9"]]),
    ),
    "HTTP/1.1 403 Forbidden\r\nx-a: b\r\nConnection: close\r\nContent-Length: 3\r\n\r\n",
  );
});

Deno.test("acceptance() is the answer of RFC 6455, section 1.3", () => {
  const asked = readUpgrade(headOf(request({ "Sec-WebSocket-Protocol": "superchat, chat" })));
  const agreement = agree(asked, { spoken: ["chat"], compression: true });
  assertEquals(acceptFor(asked.key, sha1), ACCEPT);
  assertEquals(
    new TextDecoder().decode(acceptance(agreement, ACCEPT, [["x-a", "b"]])),
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\nSec-WebSocket-Protocol: chat\r\nx-a: b\r\n\r\n`,
  );
});

Deno.test("agreeOn() takes the client's first that the server speaks", () => {
  assertEquals(agreeOn(["a", "b", "c"], ["c", "b"]), "b");
  assertEquals(agreeOn(["a"], ["b"]), "");
  assertEquals(agreeOn([], ["b"]), "");
});

const OFFERS: [offer: string, answer: string | undefined, windowBits?: number][] = [
  ["permessage-deflate", "", 15],
  ["permessage-deflate; client_max_window_bits", "", 15],
  ["permessage-deflate; client_max_window_bits=8", "", 15],
  ["permessage-deflate; server_no_context_takeover; client_no_context_takeover", "", 15],
  ["permessage-deflate; server_max_window_bits=10", "; server_max_window_bits=10", 10],
  ['permessage-deflate; server_max_window_bits="10"', "; server_max_window_bits=10", 10],
  ["permessage-deflate; server_max_window_bits=8", undefined],
  ["permessage-deflate; server_max_window_bits=8, permessage-deflate", "", 15],
  ["x-other, permessage-deflate", "", 15],
  ["permessage-deflate; server_max_window_bits", undefined],
  ["permessage-deflate; server_max_window_bits=16", undefined],
  ["permessage-deflate; server_max_window_bits=010", undefined],
  ["permessage-deflate; client_max_window_bits=7", undefined],
  ["permessage-deflate; server_no_context_takeover=1", undefined],
  ["permessage-deflate; server_no_context_takeover; server_no_context_takeover", undefined],
  ["permessage-deflate; unknown", undefined],
  ["x-webkit-deflate-frame", undefined],
  ["", undefined],
];
for (const [offer, window, windowBits] of OFFERS) {
  Deno.test(`agree() ${window === undefined ? "declines" : "answers"} the offer "${offer}"`, () => {
    const asked = readUpgrade(headOf(request({ "Sec-WebSocket-Extensions": offer })));
    const agreed = agree(asked, { spoken: [], compression: true });
    const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assertEquals(agreed.extensions, window === undefined ? "" : answer + window);
    assertEquals(agreed.deflate?.windowBits, windowBits);
    assertEquals(agree(asked, { spoken: [], compression: false }).extensions, "");
  });
}

const ORIGINS: [origin: string | undefined, host: string, same: boolean][] = [
  [undefined, "example.com", true],
  ["http://example.com", "example.com", true],
  ["https://example.com", "example.com", true],
  ["https://example.com", "example.com:443", true],
  ["http://EXAMPLE.com:80", "example.COM", true],
  ["http://[::1]:8000", "[::1]:8000", true],
  ["http://example.com:8000", "example.com", false],
  ["http://evil.example", "example.com", false],
  ["http://example.com.evil.example", "example.com", false],
  ["http://evil.example/?example.com", "example.com", false],
  ["null", "example.com", false],
  ["", "example.com", false],
  ["file://", "", false],
  ["chrome-extension://example.com", "example.com", false],
  ["http://a b", "a b", false],
];
for (const [origin, host, same] of ORIGINS) {
  Deno.test(`W6 the origin ${origin} at the host ${host} is ${same ? "" : "not "}its own`, () => {
    assertEquals(isSameHost({ origin, host }), same);
  });
}

Deno.test("addedFields() and checkProtocols() refuse what would break the handshake", () => {
  assertEquals(addedFields({ "X-A": "b" }), [["x-a", "b"]]);
  for (const name of ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "content-length"]) {
    assertThrows(() => addedFields({ [name]: "x" }), TypeError, "the handshake sets it itself");
  }
  assertThrows(() => addedFields({ "x-a": "a\r\nb: c" }), TypeError);
  checkProtocols(["a", "b"]);
  assertThrows(() => checkProtocols(["a b"]), TypeError, "must be a token");
  assertThrows(() => checkProtocols(["a", "a"]), RangeError, "must differ");
});

Deno.test("tokensOf() and extensionsOf() read lists, or nothing", () => {
  assertEquals(tokensOf(" a ,, b\t,"), ["a", "b"]);
  assertEquals(tokensOf("\xa0a"), undefined);
  assertEquals(extensionsOf(""), []);
  assertEquals(extensionsOf('a; b="c,d"'), undefined);
  assertEquals(extensionsOf('a; b="\\c"'), [{ name: "a", params: [["b", "c"]] }]);
  for (const bad of ["a;", ";", "a b", 'a; b="c', "a; b=", "a; b c"]) {
    assertEquals(extensionsOf(bad), undefined, bad);
  }
});
