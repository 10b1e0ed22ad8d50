import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { json } from "@vgo/vnet";
import { bytes, contract, message, type } from "@vgo/vnet/contract";
import { decodeMessage, encodeMessage, sessionBodies } from "../../src/peer/bodies.ts";
import { doubled, doubledLater, jsonBytes, utf8 } from "./_support.ts";

const api = contract({
  server: {
    now: message(doubled()),
    later: message(doubledLater()),
    raw: message(bytes()),
    any: message(type<unknown>()),
    ["__proto__"]: message(doubled()),
  },
});
const client = sessionBodies({ contract: api }, "client");
const server = sessionBodies({ contract: api }, "server");

Deno.test("encodeMessage() gives the bytes of the original, now or when its check is through", async () => {
  assertEquals(encodeMessage(client, "now", 5), jsonBytes(5));
  assertEquals(await encodeMessage(client, "later", 5), jsonBytes(5));
  assertEquals(encodeMessage(client, "raw", utf8("{")), utf8("{"));
  assertEquals(encodeMessage(client, "any", { a: 1 }), jsonBytes({ a: 1 }));
  assertEquals(encodeMessage(client, "__proto__", 5), jsonBytes(5));
});

Deno.test("encodeMessage() refuses a body that does not fit, and a topic that there is not", async () => {
  const words = "Cannot send message 'now' as it must fit the contract: 'n': Expected a number";
  const error = assertThrows(() => encodeMessage(client, "now", "x"), TypeError, words);
  assertEquals(error.cause, [{ message: "Expected a number", path: ["n"] }]);
  await assertRejects(async () => await encodeMessage(client, "later", "x"), TypeError, "'later'");
  for (const topic of ["", "nope", "constructor", "toString"]) {
    assertThrows(() => encodeMessage(client, topic, 5), TypeError, "has no topic");
  }
  // What the server understands is not what the client does.
  assertThrows(() => encodeMessage(server, "now", 5), TypeError, "has no topic");
});

Deno.test("decodeMessage() gives what the schema makes of it, now or when its check is through", async () => {
  assertEquals(decodeMessage(server, "now", jsonBytes(5)), 10);
  assertEquals(await decodeMessage(server, "later", jsonBytes(5)), 10);
  assertEquals(decodeMessage(server, "raw", utf8("{")), utf8("{"));
  assertEquals(decodeMessage(server, "__proto__", jsonBytes(5)), 10);
});

Deno.test("decodeMessage() throws what there is against a body, and gives nothing of it", async () => {
  const decode = async (topic: string, payload: Uint8Array<ArrayBuffer>) =>
    await decodeMessage(server, topic, payload);
  const words = "Cannot take message 'now' as it must fit the contract: 'n': Expected a number";
  const error = await assertRejects(() => decode("now", jsonBytes("x")), TypeError, words);
  assertEquals(error.cause, [{ message: "Expected a number", path: ["n"] }]);
  assertThrows(() => decodeMessage(server, "now", jsonBytes("x")), TypeError, words);
  await assertRejects(() => decode("later", jsonBytes("x")), TypeError, "'later'");
  await assertRejects(() => decode("now", new Uint8Array(0)), TypeError, "Expected a number");
  await assertRejects(() => decode("now", utf8("{")), SyntaxError);
  await assertRejects(() => decode("any", utf8("{")), SyntaxError);
  for (const topic of ["nope", "", "constructor"]) {
    await assertRejects(() => decode(topic, jsonBytes(5)), TypeError, "has no topic");
  }
  // What the server understands is not what the client does.
  assertThrows(() => decodeMessage(client, "now", jsonBytes(5)), TypeError, "has no topic");
});

Deno.test("without a contract any topic carries what the serializer holds", () => {
  const loose = sessionBodies({ serializer: json() }, "client");
  assertEquals(encodeMessage(loose, "", [1]), jsonBytes([1]));
  assertEquals(decodeMessage(loose, "x", jsonBytes([1])), [1]);
  assertThrows(() => decodeMessage(loose, "", utf8("{")), SyntaxError);
});
