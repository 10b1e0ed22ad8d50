/**
 * vnet in a page: the client half over the browser's own WebSocket, with reconnect, calls and push. Nothing
 * of Deno is in it; bundle it with whatever you bundle with.
 *
 * A client comes back at once when the network does, or when the page is looked at again.
 *
 * ```ts ignore
 * import { connect, json } from "@vgo/vnet/browser";
 *
 * const client = await connect("wss://example.org/chat", {
 *   serializer: json(),
 *   onMessage: ({ topic, body }) => console.log(topic, body),
 * });
 * console.log(await client.call("join", { room: "lobby" }));
 * ```
 *
 * @module
 */
import "./runtime/browser_symbols.ts";

export { attach, Client, connect } from "./runtime/browser_api.ts";
export { Addr } from "./base/addr.ts";
export { json, raw, text } from "./contract/serializers.ts";
export {
  ClosedError,
  ConnectError,
  FrameError,
  LimitError,
  ProtocolError,
  RpcError,
  TimeoutError,
  VnetError,
} from "./base/errors.ts";

export type { ClientConstructor } from "./runtime/client_type.ts";
export type { Address, AddrInit, TransportName } from "./base/addr.ts";
export type {
  CloseCode,
  DialCode,
  Executed,
  FrameErrorCode,
  RpcCode,
  RpcErrorOptions,
  VnetErrorOptions,
} from "./base/errors.ts";
export type { CloseInfo, CloseOptions, DrainInfo, Lifecycle } from "./base/lifecycle.ts";
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
} from "./base/types.ts";
export type { ClientTls, ServerTls, TlsInfo } from "./base/tls.ts";
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
} from "./contract/types.ts";
export type { ClientPeer } from "./client/client.ts";
export type {
  ClientEvent,
  ConnectOptions,
  Credential,
  DialAddress,
  Metadata,
} from "./client/options.ts";
export type { AttachOptions } from "./peer/attach.ts";
export type {
  CallContext,
  CallOptions,
  CallStream,
  Handler,
  Handlers,
} from "./peer/call_options.ts";
export type {
  IncomingCall,
  IncomingMessage,
  Interceptor,
  OutgoingCall,
  OutgoingMessage,
} from "./peer/interceptors.ts";
export type { DropPolicy, PeerState, SendOptions } from "./peer/owner.ts";
export type {
  HeartbeatOptions,
  LimitName,
  Limits,
  Overflow,
  QueueOptions,
  SessionOptions,
} from "./peer/options.ts";
export type { AnyPeer, Peer } from "./peer/peer.ts";
export type { LimitCounts, PeerStats, RoundTrips, Traffic } from "./peer/stats.ts";
export type { Reconnect } from "./session/backoff.ts";
