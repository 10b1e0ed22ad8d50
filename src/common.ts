/**
 * What every entry point for sessions gives, in Deno and in a page: addresses, errors, and the types of a
 * client and of a peer. Nothing of a server, and nothing that only Deno has.
 */
export { Addr } from "./base/addr.ts";
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
  Args,
  BodyIn,
  Callable,
  CallArgs,
  LocalApi,
  Message,
  MessageOf,
  Part,
  RemoteApi,
  Reply,
  Result,
  SendArgs,
  Streamable,
  Topic,
  Types,
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
