/**
 * Long-lived connections for Deno: framed messages, calls in both directions, heartbeats, reconnect,
 * registration, push and broadcast, over TCP, TLS, Unix sockets and WebSocket. One session API on every
 * transport.
 *
 * ```ts
 * import { connect, serve, text } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve("127.0.0.1:0", {
 *   serializer: text(),
 *   onMessage: (message, peer) => peer.send(`echo: ${message.body}`),
 * });
 * await using client = await connect(server.addr, { serializer: text() });
 * await client.send("hello");
 * for await (const { body } of client.messages) {
 *   assertEquals(body, "echo: hello");
 *   break;
 * }
 * ```
 *
 * Contracts are in `@vgo/vnet/contract`, plain connections with deadlines in `/net`, datagrams in `/udp`,
 * RFC 6455 by itself in `/websocket`, frames without sessions in `/frames`, MessagePack in `/msgpack`,
 * OpenTelemetry in `/otel`, virtual time and broken networks for tests in `/testing`.
 *
 * @module
 */
export { attach, Client, connect, serve } from "./src/runtime/api.ts";
export * from "./src/common.ts";
export { json, raw, text } from "./src/contract/serializers.ts";

export type { Bytes } from "./src/base/types.ts";
export type {
  AnyContract,
  Api,
  BodyOf,
  Issue,
  Loose,
  MaybeSchema,
  MessageSpec,
  MethodSpec,
  Outgoing,
  Schema,
  Serializer,
  SerializerFor,
  Untyped,
  Validated,
} from "./src/contract/types.ts";
export type { BroadcastOptions, BroadcastResult } from "./src/server/broadcast.ts";
export type { ServerCloseOptions } from "./src/server/hub.ts";
export type {
  Decision,
  DuplicateId,
  ListenAddress,
  Registration,
  ServeOptions,
  ServerEvent,
  ServerLimits,
} from "./src/server/options.ts";
export type { Registry } from "./src/server/registry.ts";
export type { Server, ServerPeer } from "./src/server/server.ts";
export type { ServerStats } from "./src/server/totals.ts";
