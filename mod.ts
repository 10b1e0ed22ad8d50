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
export { Addr } from "./src/base/addr.ts";
export { json, raw, text } from "./src/contract/serializers.ts";
export {
  ClosedError,
  ConnectError,
  FrameError,
  LimitError,
  ProtocolError,
  RpcError,
  TimeoutError,
  VnetError,
} from "./src/base/errors.ts";

export type { ClientConstructor } from "./src/runtime/client_type.ts";
export type { Address, AddrInit, TransportName } from "./src/base/addr.ts";
export type {
  CloseCode,
  DialCode,
  Executed,
  FrameErrorCode,
  RpcCode,
  RpcErrorOptions,
  VnetErrorOptions,
} from "./src/base/errors.ts";
export type { CloseInfo, CloseOptions, DrainInfo, Lifecycle } from "./src/base/lifecycle.ts";
export type {
  Adoptable,
  Bytes,
  ByteTransport,
  Clock,
  DialOptions,
  HttpOptions,
  Initiator,
  ListenOptions,
  Logger,
  MessageTransport,
  Queued,
  Runtime,
  Side,
  Transport,
  TransportListener,
  WaitOptions,
} from "./src/base/types.ts";
export type { ClientTls, ServerTls, TlsInfo } from "./src/base/tls.ts";
export type {
  AnyContract,
  Api,
  Args,
  BodyIn,
  BodyOf,
  Callable,
  CallArgs,
  Issue,
  LocalApi,
  Loose,
  MaybeSchema,
  Message,
  MessageOf,
  MessageSpec,
  MethodSpec,
  Outgoing,
  Part,
  RemoteApi,
  Reply,
  Result,
  Schema,
  SendArgs,
  Serializer,
  SerializerFor,
  Streamable,
  Topic,
  Types,
  Untyped,
  Validated,
} from "./src/contract/types.ts";
export type { ClientPeer } from "./src/client/client.ts";
export type {
  ClientEvent,
  ConnectOptions,
  Credential,
  DialAddress,
  Metadata,
} from "./src/client/options.ts";
export type { AttachOptions } from "./src/peer/attach.ts";
export type {
  CallContext,
  CallOptions,
  CallStream,
  Handler,
  Handlers,
} from "./src/peer/call_options.ts";
export type {
  IncomingCall,
  IncomingMessage,
  Interceptor,
  OutgoingCall,
  OutgoingMessage,
} from "./src/peer/interceptors.ts";
export type { DropPolicy, PeerState, SendOptions } from "./src/peer/owner.ts";
export type {
  HeartbeatOptions,
  LimitName,
  Limits,
  Overflow,
  QueueOptions,
  SessionOptions,
} from "./src/peer/options.ts";
export type { AnyPeer, Peer } from "./src/peer/peer.ts";
export type { LimitCounts, PeerStats, RoundTrips, Traffic } from "./src/peer/stats.ts";
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
export type { Reconnect } from "./src/session/backoff.ts";
