/**
 * Ports for sessions over WebSocket, and those who come to them: what the tests of such ports share.
 */
import { assertEquals } from "@std/assert";
import {
  Addr,
  type Client,
  type ConnectError,
  type HttpOptions,
  serve,
  type ServeOptions,
  type Server,
  type ServerEvent,
} from "@vgo/vnet";
import { ManualClock } from "@vgo/vnet/testing";
import type { Transport, TransportListener } from "../../src/base/types.ts";
import { cutTransport } from "../../src/stream/cut.ts";
import { listenWebSocketTransport } from "../../src/websocket/deno_session.ts";
import { VNET } from "./_session.ts";
import { worldOf, writeAll } from "./_support.ts";

/** Any port, and a path. */
export const HERE = "ws://127.0.0.1:0/chat";

/** A server and what it was told of. */
export async function served(http: HttpOptions = {}, options: ServeOptions = {}) {
  const events: ServerEvent<unknown>[] = [];
  const server = await serve(HERE, {
    http,
    methods: { echo: (input) => input },
    onEvent: (event) => events.push(event),
    ...options,
  });
  const rejects = () =>
    events.flatMap((event) => event.type === "reject" ? [`${event.code}: ${event.reason}`] : []);
  const errors = () => events.flatMap((event) => event.type === "error" ? [`${event.error}`] : []);
  return { server, rejects, errors };
}

/** Sends bytes as they are; gives the whole answer. */
export async function ask({ addr }: Pick<Server, "addr">, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: addr.port });
  await writeAll(conn, Uint8Array.from(text, (char) => char.charCodeAt(0)));
  return await answerOf(conn);
}

/** All that comes, as text. */
export async function answerOf(conn: Deno.Conn): Promise<string> {
  let answer = "";
  const buffer = new Uint8Array(4_096);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return answer;
}

/** A request. */
export function request(
  fields: Readonly<Record<string, string>> = {},
  line = "GET /chat HTTP/1.1",
): string {
  const lines = Object.entries({ Host: "127.0.0.1", ...fields })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line}\r\n${lines.join("")}\r\n`;
}

/** The fields of a request for a session. */
export const UPGRADE = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Protocol": VNET,
};

/** Makes a call. */
export async function works(client: Client): Promise<void> {
  const input = new Uint8Array([1, 2, 3]);
  assertEquals(await client.call("echo", input), input);
}

/** A listener for sessions on a clock of the test's own, and what it gave and told. */
export async function listening(maxPending: number, http: HttpOptions = {}) {
  const clock = new ManualClock();
  const told: ConnectError[] = [];
  const given: Transport[] = [];
  const listener: TransportListener = await listenWebSocketTransport(
    Addr.parse(HERE),
    { http, onHandshakeError: (error) => told.push(error) },
    { env: worldOf(clock), maxPending },
  );
  const accepting = (async () => {
    for await (const transport of listener) given.push(transport);
  })();
  const addr = Addr.of(listener.addr);
  const dial = () => Deno.connect({ hostname: addr.hostname, port: addr.port });
  const close = async () => {
    await listener.close();
    for (const transport of given) cutTransport(transport);
    await accepting;
  };
  return { addr, clock, told, given, dial, close };
}
