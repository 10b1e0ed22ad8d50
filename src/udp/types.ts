/**
 * What the UDP room promises: options, sockets, datagrams.
 *
 * Owns no behaviour. Timeouts are ms per operation; deadlines are instants as `Date.now()` counts
 * them, `Infinity` for none.
 */
import type { Addr, Address } from "../base/addr.ts";
import type { Lifecycle } from "../base/lifecycle.ts";
import type { Bytes, WaitOptions } from "../base/types.ts";

/** One datagram, as it came. */
export interface Datagram {
  /** What was in it; may be empty. It is yours. */
  readonly data: Bytes;
  /** Who says to have sent it. A source address can be forged. */
  readonly from: Addr;
  /** Whether it was longer than `maxDatagramLength`, and its end is lost. */
  readonly truncated: boolean;
}

/** A datagram that was read into a buffer. */
export interface DatagramInfo {
  /** How many bytes of the buffer it fills. */
  readonly size: number;
  /** Who says to have sent it. A source address can be forged. */
  readonly from: Addr;
  /** Whether it was longer than the buffer, and its end is lost. */
  readonly truncated: boolean;
}

/** What has come and gone. */
export interface UdpStats {
  /** Datagrams that were taken into the queue or given to a waiting reader. */
  readonly received: number;
  /** Datagrams that the system has taken. */
  readonly sent: number;
  /** Datagrams that found the queue full. What the system itself dropped cannot be counted. */
  readonly dropped: number;
  /** Datagrams of others than the remote address. */
  readonly ignored: number;
  /** Failures that the network reported (refused, reset) or answers that could not be sent. */
  readonly networkErrors: number;
  /** Datagrams that wait to be read. */
  readonly queued: number;
}

/** Options of every UDP socket. */
export interface UdpOptions {
  /** How long a read may wait, in ms. @default {Infinity} */
  readonly readTimeout?: number;
  /** How long a send may wait until the system takes the datagram, in ms. @default {Infinity} */
  readonly writeTimeout?: number;
  /** So many datagrams may wait to be read; further ones are dropped. At least 1. @default {256} */
  readonly maxQueued?: number;
  /** So many bytes may wait to be read; what does not fit is dropped. @default {4_194_304} */
  readonly maxQueuedBytes?: number;
  /** Longer datagrams are cut, and say so. From 1 to 65,535 bytes. @default {65_535} */
  readonly maxDatagramLength?: number;
  /** Whether others may bind the same address; multicast receivers on one machine must. @default {false} */
  readonly reuseAddress?: boolean;
}

/** Options of {@linkcode dialUdp}. `timeout` and `signal` limit the look-up of the name. */
export interface DialUdpOptions extends UdpOptions, WaitOptions {
  /** Where to send from. @default {a free port of any interface; of loopback for a loopback address} */
  readonly localAddr?: Address;
  /** How long the look-up of the name may take, in ms. @default {5_000} */
  readonly timeout?: number;
}

/** Options of {@linkcode listenUdp}. */
export interface ListenUdpOptions extends UdpOptions {
  /**
   * Limits what is sent to an address that has not been validated, so that a forged source cannot turn
   * this socket into an amplifier (RFC 9000, section 8.1). `{}` switches it on. @default {false}
   */
  readonly replyLimit?: ReplyLimit | false;
}

/** Options of {@linkcode listenUdpPeers}. */
export interface ListenUdpPeersOptions extends ListenUdpOptions {
  /** A peer that neither sent nor was sent anything for so long is ended, in ms. @default {60_000} */
  readonly idleTimeout?: number;
  /** So many peers at once, those not yet accepted included; datagrams of others are dropped. @default {1_024} */
  readonly maxPeers?: number;
  /** How long `accept` may wait, in ms. @default {Infinity} */
  readonly acceptTimeout?: number;
}

/** How much an address may be sent before {@linkcode UdpConn.validate} was called for it. */
export interface ReplyLimit {
  /** So many bytes may be sent for each byte that came. @default {3} */
  readonly factor?: number;
  /**
   * So many addresses are remembered, validated ones and others each; then the least recently heard
   * one is forgotten, which counts as never heard. @default {1_024}
   */
  readonly maxAddresses?: number;
  /** An address that was silent for so long is forgotten, in ms. @default {60_000} */
  readonly ttl?: number;
}

/** Options of {@linkcode UdpConn.joinMulticast}. Loopback and TTL hold for the socket as a whole. */
export interface MulticastOptions {
  /** Whether what this socket sends to groups also reaches this machine. @default {as it was; at first false} */
  readonly loopback?: boolean;
  /** So many routers may hand on what it sends to IPv4 groups, plus one; 0 to 255. @default {as it was; at first 1} */
  readonly ttl?: number;
  /** Address of the interface for an IPv4 group, index for an IPv6 group. @default {the system chooses} */
  readonly networkInterface?: string | number;
}

/** Membership of a multicast group. `await using` leaves it, and so does the end of the socket. */
export interface MulticastMembership extends AsyncDisposable {
  /** The group. */
  readonly group: string;
  /** Leaves the group. Idempotent. */
  leave(): Promise<void>;
}

/**
 * A UDP socket. Of {@linkcode dialUdp} it has a remote address, and hears nobody else; of
 * {@linkcode listenUdp} it hears everybody, and `send` is told where to.
 *
 * UDP promises nothing: datagrams may get lost, be duplicated and come in another order.
 *
 * `for await` gives datagram after datagram; it ends when the socket is closed, and throws when it was
 * aborted. Leaving the loop closes nothing. An open socket keeps the program alive only while
 * somebody waits for a datagram.
 */
export interface UdpConn extends AsyncIterable<Datagram>, Lifecycle {
  /** A number that no other UDP socket of this program has. */
  readonly id: number;
  /** Where it is bound. */
  readonly localAddr: Addr;
  /** The only address that it talks to; `undefined` where it talks to all. */
  readonly remoteAddr: Addr | undefined;
  /** Datagrams that found the queue full. What the system itself dropped cannot be counted. */
  readonly dropped: number;
  /** What has come and gone. */
  readonly stats: UdpStats;
  /** How long a read may wait, in ms. For reads that begin from now on. */
  readTimeout: number;
  /** How long a send may wait until the system takes the datagram, in ms. */
  writeTimeout: number;
  /** The instant from which reads fail, pending ones included. `Infinity`: none. */
  setReadDeadline(at: number | Date): void;
  /** The instant from which sends fail, pending ones included. `Infinity`: none. */
  setWriteDeadline(at: number | Date): void;
  /** Both deadlines at once. */
  setDeadline(at: number | Date): void;
  /**
   * Waits for a datagram. Several waits are served in turn. After a timeout just receive again: nothing
   * was lost.
   *
   * @throws {TimeoutError} where none came within the timeout or before the deadline
   * @throws {ClosedError} where the socket has ended or ends meanwhile
   */
  receive(options?: WaitOptions): Promise<Datagram>;
  /**
   * Waits for a datagram, and copies it into `buf` when it is there. What does not fit is lost, and
   * `truncated` says so. Errors are those of `receive`.
   */
  read(buf: Uint8Array, options?: WaitOptions): Promise<DatagramInfo>;
  /**
   * Sends one datagram, and resolves when the system has taken it; whether it arrives nobody knows. A
   * peer that refuses it is no error, and no failure ends the socket. The promise need not be awaited.
   *
   * `to` must be left out after {@linkcode dialUdp}, and given otherwise. A broadcast address will do.
   * An answer to the `from` of a datagram does not fail for want of a way there: whoever can forge a
   * source address could end a loop by it. `stats.networkErrors` counts it.
   *
   * @throws {LimitError} `TOO_LARGE` above 65,507 bytes (IPv6: 65,527), before anything is sent;
   *   `QUEUE_FULL` with 16,384 sends pending, or where `replyLimit` does not allow it
   * @throws {TimeoutError} where the system did not take it in time; it may go out nevertheless
   * @throws {VnetError} `UNREACHABLE`, `NAME_NOT_FOUND` or `NOT_PERMITTED`, as the system says of an
   *   address that the program has chosen
   * @throws {ClosedError} where the socket has ended or ends meanwhile
   */
  send(data: Uint8Array | string, to?: Address): Promise<void>;
  /**
   * Joins a multicast group. Bind to all interfaces (`":5353"`) to hear it.
   *
   * @throws {TypeError | RangeError} where the group is none, or an option does not fit it
   * @throws {ConnectError} where the system cannot join it, or is in it already
   */
  joinMulticast(group: string, options?: MulticastOptions): Promise<MulticastMembership>;
  /**
   * Says that whoever uses this address has shown to receive there, by sending back what only a
   * receiver could know: `replyLimit` no longer holds for it. Without `replyLimit` nothing happens.
   */
  validate(address?: Address): void;
}

/** Gives a {@linkcode UdpConn} for each sender. They share one socket, and end with the listener. */
export interface UdpListener extends AsyncIterable<UdpConn>, Lifecycle {
  /** Where it is bound. */
  readonly addr: Addr;
  /** How many peers there are now, those not yet accepted included. */
  readonly peers: number;
  /** Datagrams that found no room, of new senders and of known ones. */
  readonly dropped: number;
  /** How long `accept` may wait, in ms. */
  acceptTimeout: number;
  /** The instant from which `accept` fails, pending ones included. `Infinity`: none. */
  setAcceptDeadline(at: number | Date): void;
  /**
   * Waits for a sender that is new. Its first datagram waits in its queue.
   *
   * @throws {TimeoutError} where none came in time
   * @throws {ClosedError} where the listener has ended or ends meanwhile
   */
  accept(options?: WaitOptions): Promise<UdpConn>;
}
