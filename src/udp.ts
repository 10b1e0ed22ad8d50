/**
 * UDP with timeouts and deadlines, a bounded queue, and no surprises: a peer that is not there ends
 * nothing, and a datagram that was cut says so.
 *
 * Needs the flag `--unstable-net`, or `"unstable": ["net"]` in deno.json.
 *
 * @example Echo
 * ```ts
 * import { dialUdp, listenUdp } from "@vgo/vnet/udp";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listenUdp("127.0.0.1:0");
 * (async () => {
 *   for await (const { data, from } of server) await server.send(data, from);
 * })();
 *
 * await using client = await dialUdp(server.localAddr, { readTimeout: 10_000 });
 * await client.send("Hello from vnet!");
 * const { data, from } = await client.receive();
 * assertEquals(new TextDecoder().decode(data), "Hello from vnet!");
 * assertEquals(`${from}`, `${server.localAddr}`);
 * ```
 *
 * @module
 */
import type { Address } from "./base/addr.ts";
import { openDialed, openListening } from "./udp/open.ts";
import { openPeers } from "./udp/peers.ts";
import type {
  DialUdpOptions,
  ListenUdpOptions,
  ListenUdpPeersOptions,
  UdpConn,
  UdpListener,
} from "./udp/types.ts";

export { Addr, type Address, type AddrInit, type TransportName } from "./base/addr.ts";
export {
  type CloseCode,
  ClosedError,
  ConnectError,
  type DialCode,
  LimitError,
  TimeoutError,
  VnetError,
  type VnetErrorOptions,
} from "./base/errors.ts";
export type { CloseInfo, CloseOptions, Lifecycle } from "./base/lifecycle.ts";
export type { Bytes, Initiator, WaitOptions } from "./base/types.ts";
export { type SequenceOptions, SequenceTracker, type SequenceVerdict } from "./udp/sequence.ts";
export type {
  Datagram,
  DatagramInfo,
  DialUdpOptions,
  ListenUdpOptions,
  ListenUdpPeersOptions,
  MulticastMembership,
  MulticastOptions,
  ReplyLimit,
  UdpConn,
  UdpListener,
  UdpOptions,
  UdpStats,
} from "./udp/types.ts";

/**
 * Opens a socket that sends to one address and hears nobody else.
 *
 * A name is looked up once, here. Nothing is sent, so this says nothing about whether anybody is there.
 * Answers that come from another address than was asked (as to broadcast and multicast) are ignored:
 * use {@linkcode listenUdp} there.
 *
 * @throws {ConnectError} where the name has no address or none is found within `timeout`, or the local
 *   address cannot be bound
 * @throws {TypeError} without the flag `--unstable-net`, or where an address is none of UDP
 * @throws {RangeError} where an option is out of its range
 *
 * @example A question, its answer, and what happens if there is none
 * ```ts
 * import { dialUdp, listenUdp, TimeoutError } from "@vgo/vnet/udp";
 * import { assertRejects } from "@std/assert";
 *
 * await using silent = await listenUdp("127.0.0.1:0");
 * await using conn = await dialUdp(silent.localAddr, { readTimeout: 10 });
 * await conn.send("anybody there?");
 * await assertRejects(() => conn.receive(), TimeoutError);
 * ```
 */
export function dialUdp(address: Address, options: DialUdpOptions = {}): Promise<UdpConn> {
  return openDialed(address, options);
}

/**
 * Opens a socket that hears everybody who sends to `address`. `":40001"` means all interfaces, port 0 a
 * free one.
 *
 * @throws {ConnectError} where the address cannot be bound
 * @throws {TypeError} without the flag `--unstable-net`, or where the address is none of UDP
 * @throws {RangeError} where an option is out of its range
 *
 * @example No amplifier: at most three times as much goes out as came in, until the sender has shown
 * that it receives at the address it claims
 * ```ts
 * import { dialUdp, LimitError, listenUdp } from "@vgo/vnet/udp";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using server = await listenUdp("127.0.0.1:0", { replyLimit: {} });
 * await using client = await dialUdp(server.localAddr);
 * await client.send("question");
 * const { from } = await server.receive();
 * const answer = new Uint8Array(1_000);
 * await assertRejects(() => server.send(answer, from), LimitError);
 *
 * const secret = crypto.randomUUID().slice(0, 24);
 * await server.send(secret, from); // 24 bytes for 8
 * await client.send((await client.receive()).data); // only a receiver knows it
 * const { data } = await server.receive();
 * assertEquals(new TextDecoder().decode(data), secret);
 * server.validate(from);
 * await server.send(answer, from);
 * ```
 */
// deno-lint-ignore require-await -- what it throws must be a rejection
export async function listenUdp(
  address: Address,
  options: ListenUdpOptions = {},
): Promise<UdpConn> {
  return openListening(address, options);
}

/**
 * As {@linkcode listenUdp}, but gives a {@linkcode UdpConn} of its own for each sender. Those that are
 * silent for `idleTimeout` end.
 *
 * @throws {ConnectError} where the address cannot be bound
 * @throws {TypeError} without the flag `--unstable-net`, or where the address is none of UDP
 * @throws {RangeError} where an option is out of its range
 *
 * @example
 * ```ts
 * import { dialUdp, listenUdpPeers } from "@vgo/vnet/udp";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenUdpPeers("127.0.0.1:0");
 * await using client = await dialUdp(listener.addr);
 * await client.send("first");
 *
 * await using conn = await listener.accept();
 * assertEquals(`${conn.remoteAddr}`, `${client.localAddr}`);
 * const { data } = await conn.receive();
 * await conn.send(data);
 * assertEquals((await client.receive()).data.length, 5);
 * ```
 */
// deno-lint-ignore require-await -- what it throws must be a rejection
export async function listenUdpPeers(
  address: Address,
  options: ListenUdpPeersOptions = {},
): Promise<UdpListener> {
  return openPeers(address, options);
}
