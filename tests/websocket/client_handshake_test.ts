/** The client's half of the opening handshake: what is asked, and what answers are accepted. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConnectError } from "../../src/base/errors.ts";
import {
  type ClientRequest,
  readAnswer,
  requestBytes,
  webSocketUrl,
} from "../../src/websocket/client_handshake.ts";
import { acceptFor } from "../../src/websocket/handshake.ts";
import { acceptance, agree, readUpgrade } from "../../src/websocket/server_handshake.ts";
import { ACCEPT, headOf, KEY, sha1 } from "./_heads.ts";

const ASK: ClientRequest = {
  url: new URL("ws://example.com:8000/chat?a=1"),
  key: KEY,
  protocols: ["chat", "vnet.1"],
  compression: true,
  fields: [["x-a", "b"]],
};

Deno.test("requestBytes() asks as RFC 6455, section 4.1, says, and a server takes it", () => {
  const bytes = requestBytes(ASK);
  assertEquals(
    new TextDecoder().decode(bytes),
    `GET /chat?a=1 HTTP/1.1\r\nHost: example.com:8000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, vnet.1\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\nx-a: b\r\n\r\n`,
  );
  const asked = readUpgrade(headOf(new TextDecoder().decode(bytes)));
  const agreed = agree(asked, { spoken: ["vnet.1"], compression: true });
  const answer = headOf(new TextDecoder().decode(acceptance(agreed, acceptFor(KEY, sha1))));
  assertEquals(readAnswer(answer, ASK, ACCEPT), {
    protocol: "vnet.1",
    deflate: { windowBits: 15 },
  });
});

Deno.test("requestBytes() sends credentials of the URL, unless told others", () => {
  const url = new URL("wss://us%20er:p%C3%A4ss@example.com/");
  const plain = { ...ASK, url, protocols: [], compression: false, fields: [] };
  const { fields } = headOf(new TextDecoder().decode(requestBytes(plain)));
  assertEquals(fields.all("authorization"), ["Basic dXMgZXI6cMOkc3M="]);
  assertEquals(fields.all("host"), ["example.com"]);
  const told = { ...plain, fields: [["authorization", "Bearer x"]] as [string, string][] };
  const other = headOf(new TextDecoder().decode(requestBytes(told)));
  assertEquals(other.fields.all("authorization"), ["Bearer x"]);
});

const ANSWER: Readonly<Record<string, string>> = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Accept": ACCEPT,
};
const deflate = "permessage-deflate; server_no_context_takeover";

const ANSWERS: [
  name: string,
  fields: Record<string, string | string[] | undefined>,
  code: string,
  line?: string,
][] = [
  ["nothing more", {}, ""],
  ["other cases", { Upgrade: "WEBSOCKET", Connection: "keep-alive, upgrade" }, ""],
  ["a subprotocol that was offered", { "Sec-WebSocket-Protocol": "chat" }, ""],
  ["compression", { "Sec-WebSocket-Extensions": deflate }, ""],
  ["a smaller window of its own", {
    "Sec-WebSocket-Extensions": `${deflate}; server_max_window_bits=8`,
  }, ""],
  ["an empty list of extensions", { "Sec-WebSocket-Extensions": "" }, ""],
  ["no Upgrade", { Upgrade: undefined }, "WRONG_PROTOCOL"],
  ["no Connection", { Connection: undefined }, "WRONG_PROTOCOL"],
  ["no accept", { "Sec-WebSocket-Accept": undefined }, "WRONG_PROTOCOL"],
  ["another accept", { "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOA=" }, "WRONG_PROTOCOL"],
  ["two accepts", { "Sec-WebSocket-Accept": [ACCEPT, ACCEPT] }, "WRONG_PROTOCOL"],
  ["a subprotocol that was not offered", { "Sec-WebSocket-Protocol": "other" }, "WRONG_PROTOCOL"],
  ["two subprotocols", { "Sec-WebSocket-Protocol": ["chat", "vnet.1"] }, "WRONG_PROTOCOL"],
  ["an empty subprotocol", { "Sec-WebSocket-Protocol": "" }, "WRONG_PROTOCOL"],
  ["another extension", { "Sec-WebSocket-Extensions": "x-other" }, "WRONG_PROTOCOL"],
  ["two extensions", { "Sec-WebSocket-Extensions": `${deflate}, x-other` }, "WRONG_PROTOCOL"],
  ["context takeover", { "Sec-WebSocket-Extensions": "permessage-deflate" }, "WRONG_PROTOCOL"],
  ["a window for the client", {
    "Sec-WebSocket-Extensions": `${deflate}; client_max_window_bits=9`,
  }, "WRONG_PROTOCOL"],
  [
    "a parameter twice",
    { "Sec-WebSocket-Extensions": `${deflate}; server_no_context_takeover` },
    "WRONG_PROTOCOL",
  ],
  ["extensions that are none", { "Sec-WebSocket-Extensions": ";" }, "WRONG_PROTOCOL"],
  ["200", {}, "WRONG_PROTOCOL", "HTTP/1.1 200 OK"],
  ["302", { Location: "/" }, "WRONG_PROTOCOL", "HTTP/1.1 302 Found"],
  ["401", {}, "AUTH_FAILED", "HTTP/1.1 401 Unauthorized"],
  ["403", {}, "AUTH_FAILED", "HTTP/1.1 403 Forbidden"],
  ["404 without words", {}, "WRONG_PROTOCOL", "HTTP/1.1 404"],
  ["503", { "Retry-After": "7" }, "TOO_MANY_CONNECTIONS", "HTTP/1.1 503 Service Unavailable"],
  ["no number", {}, "WRONG_PROTOCOL", "HTTP/1.1 abc OK"],
  ["another version", {}, "WRONG_PROTOCOL", "HTTP/2 101 OK"],
];
for (const [name, fields, code, line = "HTTP/1.1 101 Switching Protocols"] of ANSWERS) {
  Deno.test(`readAnswer() ${code === "" ? "accepts" : "refuses"} an answer with ${name}`, () => {
    const lines = Object.entries({ ...ANSWER, ...fields }).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`)
    );
    const head = headOf([line, ...lines, "", ""].join("\r\n"));
    if (code === "") return void readAnswer(head, ASK, ACCEPT);
    const error = assertThrows(() => readAnswer(head, ASK, ACCEPT), ConnectError);
    assertEquals([error.code, error.initiator], [code, "remote"]);
    assertEquals(error.retryAfter, name === "503" ? 7_000 : 0);
    assert(
      error.message.startsWith("Cannot connect to ws://example.com:8000/chat as "),
      error.message,
    );
  });
}

Deno.test("readAnswer() accepts no extension and no subprotocol that was not asked for", () => {
  const plain = { ...ASK, protocols: [], compression: false };
  for (const field of [`Sec-WebSocket-Extensions: ${deflate}`, "Sec-WebSocket-Protocol: chat"]) {
    const lines = Object.entries(ANSWER).map(([name, value]) => `${name}: ${value}`);
    const head = headOf(["HTTP/1.1 101 OK", ...lines, field, "", ""].join("\r\n"));
    assertThrows(() => readAnswer(head, plain, ACCEPT), ConnectError);
  }
});

Deno.test("webSocketUrl() takes ws, wss and what stands for them, and nothing else", () => {
  assertEquals(webSocketUrl("ws://a:1/b?c").href, "ws://a:1/b?c");
  assertEquals(webSocketUrl(new URL("https://a")).href, "wss://a/");
  assertEquals(webSocketUrl("http://a:443/").href, "ws://a:443/");
  for (const bad of ["a", "ftp://a", "ws://a#b", "ws://a/#", "tcp://a:1", "ws://"]) {
    assertThrows(() => webSocketUrl(bad), TypeError, "Cannot connect as the URL must", bad);
  }
});
