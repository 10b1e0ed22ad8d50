/** What strangers look like. */
import { assertEquals } from "@std/assert";
import { sniff } from "../../src/wire/sniff.ts";
import { Rng } from "../_support/rng.ts";
import { frames, unhex } from "./vectors.ts";

const TEXTS: readonly (readonly [text: string, name: string])[] = [
  ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"],
  ["POST /x HTTP/1.1\r\n", "HTTP"],
  ["OPTIONS * HTTP/1.1\r\n", "HTTP"],
  ["HTTP/1.1 400 Bad Request\r\n", "HTTP"],
  ["GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "WebSocket"],
  ["HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\r\n", "WebSocket"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"],
  ["SSH-2.0-OpenSSH_9.9\r\n", "SSH"],
  ["220 mail.example.org ESMTP\r\n", "SMTP or FTP"],
  ["220-Welcome\r\n", "SMTP or FTP"],
  ["AMQP\x00\x00\x09\x01", "AMQP"],
  ['INFO {"server_id":"x"}\r\n', "NATS"],
  ["-ERR unknown command\r\n", "Redis"],
  ["hello there\n", "text"],
  ["你好，世界", "text"],
];
const BYTES: readonly (readonly [hex: string, name: string | undefined])[] = [
  ["16 03 01 02 00 01 00 01 fc 03 03", "TLS"],
  ["15 03 03 00 02 02 28", "TLS"],
  ["10 1a 00 04 4d 51 54 54 04 02 00 3c", "MQTT"],
  ["10 80 01 00 04 4d 51 54 54 05 02", "MQTT"],
  ["10 16 00 06 4d 51 49 73 64 70 03 02", "MQTT"],
  ["20 02 00 00", "MQTT"],
  ["00 00 12 04 00 00 00 00 00 00 03 00 00 00 64", "HTTP/2"],
  ["05 01 00", "SOCKS"],
  ["05 02 00 02", "SOCKS"],
  ["05 00", "SOCKS"],
  ["04 01 00 50 7f 00 00 01 00", "SOCKS"],
  ["ad 12 00 00 00 05", "tcpstream"],
  ["00 00 00 05 68 65 6c 6c 6f", "another length-prefixed framing"],
  ["05 00 00 00 68 65 6c 6c 6f", "another length-prefixed framing"],
  ["f9 56 4e 45 54 02 02 00", "vnet"],
  // Half a character at the end of what has come.
  ["61 62 63 64 e4 bd", "text"],
  ["", undefined],
  ["47", undefined],
  ["00 00 00 00 00", undefined],
  ["ff fe fd fc fb fa", undefined],
  ["f9 00 00 f9", undefined],
];

Deno.test("sniff() H1 names what a stranger speaks", () => {
  const encoder = new TextEncoder();
  for (const [text, name] of TEXTS) assertEquals(sniff(encoder.encode(text)), name, text);
  for (const [hex, name] of BYTES) assertEquals(sniff(unhex(hex)), name, hex);
});

Deno.test("sniff() looks at the beginning of what it is given", () => {
  const inside = new Uint8Array(100);
  inside.set(new TextEncoder().encode("GET / HTTP/1.1\r\n"), 50);
  assertEquals(sniff(inside.subarray(50)), "HTTP");
  const long = new Uint8Array(200_000).fill(0x61);
  assertEquals(sniff(long), "text");
});

Deno.test("sniff() takes any bytes", () => {
  const names = new Set([...TEXTS, ...BYTES].map(([, name]) => name));
  for (let seed = 1; seed <= 3_000; seed++) {
    const rng = new Rng(seed);
    const name = sniff(rng.bytes(rng.int(40)));
    assertEquals(names.has(name), true, `seed ${seed}: ${name}`);
  }
  for (const { bytes } of frames) assertEquals(names.has(sniff(bytes)), true);
});
