/**
 * Opening UDP sockets on the system's network.
 *
 * Owns the checks of options, the look-up of names and the choice of where to bind.
 */
import { lookup } from "node:dns/promises";
import { Addr, type Address } from "../base/addr.ts";
import { ConnectError, TimeoutError } from "../base/errors.ts";
import { startWait } from "../base/wait.ts";
import type { Clock, WaitOptions } from "../base/types.ts";
import { SystemClock } from "../net/clock.ts";
import { Endpoint, type EndpointOptions, type Outlet } from "./endpoint.ts";
import { infoOf, openError, requireUnstableNet } from "./failures.ts";
import { ByteBudget } from "./inbox.ts";
import { canonicalIp, isLoopback, isVersion6, targetAddr, udpAddr } from "./ip.ts";
import { joinGroup } from "./multicast.ts";
import { ReplyBudget } from "./reply_limit.ts";
import { type DatagramSocket, SocketLoop } from "./socket_loop.ts";
import type { DialUdpOptions, ListenUdpOptions, UdpConn, UdpOptions } from "./types.ts";

/** What is outside of the program. Tests bring their own. */
export interface Outside {
  readonly clock: Clock;
  /** The time that deadlines are told in, in ms. */
  dateNow(): number;
  bind(options: BindOptions): DatagramSocket;
  /** The IP addresses of a name. */
  lookup(hostname: string): Promise<readonly string[]>;
}

/** Where to bind. */
export interface BindOptions {
  readonly hostname: string;
  readonly port: number;
  readonly reuseAddress: boolean;
}

/** What every endpoint needs, checked and with its defaults. */
export type Settings = Omit<EndpointOptions, "outlet" | "remoteAddr">;

/** See `../udp.ts`. */
export async function openDialed(
  address: Address,
  options: DialUdpOptions,
  outside: Outside = system(),
): Promise<UdpConn> {
  requireUnstableNet();
  const remote = targetAddr(address);
  const local = options.localAddr === undefined ? undefined : udpAddr(options.localAddr);
  const settings = checkedSettings(options, outside);
  options.signal?.throwIfAborted();
  const ip = await resolve(remote, local, options, outside);
  const bound = local ?? localFor(ip);
  if (isVersion6(ip) && !isVersion6(canonicalIp(bound.hostname) ?? ip)) {
    throw new ConnectError(
      "UNREACHABLE",
      `Cannot dial ${remote} from ${bound} as the one is of IPv6 and the other of IPv4`,
      { initiator: "local" },
    );
  }
  const remoteAddr = Addr.parse({ transport: "udp", hostname: ip, port: remote.port });
  return openOn(bound, options, settings, outside, remoteAddr);
}

/** See `../udp.ts`. */
export function openListening(
  address: Address,
  options: ListenUdpOptions,
  outside: Outside = system(),
): UdpConn {
  requireUnstableNet();
  return openOn(udpAddr(address), options, checkedSettings(options, outside), outside, undefined);
}

/** The system's network, and one clock for all sockets on it. */
export function system(): Outside {
  return systemOutside ??= {
    clock: new SystemClock(),
    dateNow: () => Date.now(),
    bind: (options) => Deno.listenDatagram({ transport: "udp", ...options }),
    lookup: async (hostname) =>
      (await lookup(hostname, { all: true })).map(({ address }) => address),
  };
}

let systemOutside: Outside | undefined;

/** Binds, or says in words why not. */
export function bind(addr: Addr, options: UdpOptions, outside: Outside): DatagramSocket {
  const { hostname, port } = addr;
  try {
    return outside.bind({ hostname, port, reuseAddress: options.reuseAddress ?? false });
  } catch (error) {
    throw openError(`listen on ${addr}`, error);
  }
}

/** Checks options. */
export function checkedSettings(options: ListenUdpOptions, outside: Outside): Settings {
  const {
    readTimeout = Infinity,
    writeTimeout = Infinity,
    maxQueued = 256,
    maxQueuedBytes = 4 << 20,
    maxDatagramLength = 65_535,
    replyLimit = false,
  } = options;
  demand("readTimeout", readTimeout, readTimeout >= 0, "at least 0");
  demand("writeTimeout", writeTimeout, writeTimeout >= 0, "at least 0");
  demand("maxQueued", maxQueued, maxQueued >= 1 && maxQueued < Infinity, "a number from 1");
  demand(
    "maxQueuedBytes",
    maxQueuedBytes,
    maxQueuedBytes >= 1 && maxQueuedBytes < Infinity,
    "a number from 1",
  );
  demand(
    "maxDatagramLength",
    maxDatagramLength,
    Number.isInteger(maxDatagramLength) && maxDatagramLength >= 1 && maxDatagramLength <= 65_535,
    "an integer from 1 to 65535",
  );
  return {
    clock: outside.clock,
    dateNow: () => outside.dateNow(),
    readTimeout,
    writeTimeout,
    maxQueued,
    maxDatagramLength,
    budget: new ByteBudget(maxQueuedBytes),
    replies: replyLimit === false ? undefined : new ReplyBudget(replyLimit),
  };
}

/** Throws a `RangeError` where an option is not what it must be. */
export function demand(name: string, value: number, good: boolean, expected: string): void {
  if (good) return;
  throw new RangeError(
    `Cannot open UDP socket as '${name}' must be ${expected}: current value is ${value}`,
  );
}

/** Takes a socket over; room for one byte more than is wanted shows what was cut. */
export function makeLoop(socket: DatagramSocket, settings: Settings): SocketLoop {
  return new SocketLoop(socket, settings.clock, settings.maxDatagramLength + 1);
}

/** A whole socket as the way out. */
export function outletOf(loop: SocketLoop): Outlet {
  return {
    localAddr: loop.localAddr,
    ipv6: loop.ipv6,
    get networkErrors() {
      return loop.networkErrors;
    },
    send: (data, to) => loop.socket.send(data, to),
    join: (group, options) => joinGroup(loop.socket, group, options),
    isClaimed: (addr) => loop.isClaimed(addr),
    hold: (on) => loop.hold(on),
    end: () => loop.close(),
  };
}

function openOn(
  local: Addr,
  options: UdpOptions,
  settings: Settings,
  outside: Outside,
  remoteAddr: Addr | undefined,
): UdpConn {
  const loop = makeLoop(bind(local, options, outside), settings);
  const endpoint = new Endpoint({ ...settings, outlet: outletOf(loop), remoteAddr });
  loop.run({
    deliver: (data, from) => endpoint.deliver(data, from),
    lost: (error) => endpoint.fail(infoOf("LINK_LOST", "local", error)),
  });
  return endpoint;
}

/** The IP address to dial, of the family that the local address asks for. */
async function resolve(
  remote: Addr,
  local: Addr | undefined,
  options: WaitOptions,
  outside: Outside,
): Promise<string> {
  const literal = canonicalIp(remote.hostname);
  // What means "every interface" to a listener means this machine to who dials.
  if (literal === "0.0.0.0") return "127.0.0.1";
  if (literal === "::") return "::1";
  // The zone of a link-local address is needed to send there.
  if (literal !== undefined) return remote.hostname.includes("%") ? remote.hostname : literal;
  const { timeout = 5_000, signal } = options;
  const wait = startWait<readonly string[]>(
    outside.clock,
    { timeout, ...(signal === undefined ? {} : { signal }) },
    `find ${remote}`,
  );
  outside.lookup(remote.hostname).then(wait.resolve, (error) => {
    wait.reject(openError(`dial ${remote}`, error));
  });
  const found = (await wait.promise.catch((error) => {
    throw error instanceof TimeoutError ? lookupTimedOut(remote, timeout, error) : error;
  })).flatMap((text) => canonicalIp(text) ?? []);
  const bound = local === undefined ? undefined : canonicalIp(local.hostname);
  const ip = bound === undefined
    ? found[0]
    : found.find((ip) => isVersion6(ip) === isVersion6(bound)) ?? found[0];
  if (ip !== undefined) return ip;
  throw new ConnectError(
    "NAME_NOT_FOUND",
    `Cannot dial ${remote} as its name has no address`,
    { initiator: "network" },
  );
}

function lookupTimedOut(remote: Addr, timeout: number, cause: TimeoutError): ConnectError {
  return new ConnectError(
    "TIMEOUT",
    `Cannot dial ${remote} as its name was not found in ${timeout} ms`,
    { cause, initiator: "network" },
  );
}

/** Loopback for loopback: nobody else can reach it then, and no more permission is needed. */
function localFor(ip: string): Addr {
  const hostname = isVersion6(ip)
    ? isLoopback(ip) ? "::1" : "::"
    : isLoopback(ip)
    ? "127.0.0.1"
    : "0.0.0.0";
  return Addr.parse({ transport: "udp", hostname, port: 0 });
}
