/**
 * TCP and Unix sockets: dialling and listening on the system's network.
 *
 * Owns the translation of the system's errors into codes. The connections it gives are the
 * runtime's own, with Nagle's algorithm off (it costs 40 ms on each write-write-read).
 */
import type {
  ByteTransport,
  ListenOptions,
  TransportListener,
  WaitOptions,
} from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ConnectError, type DialCode } from "../base/errors.ts";

/** Gives connections of one kind. */
export interface ConnSource<C extends ByteTransport> extends TransportListener {
  readonly addr: Addr;
  [Symbol.asyncIterator](): AsyncIterator<C, void>;
}

/** What there is to say of a listener beside its address. */
export interface BindOptions extends Pick<ListenOptions, "reusePort"> {
  /** How many connections the system keeps that nobody has accepted. @default {511} */
  readonly backlog?: number;
}

/**
 * Opens a connection to a `tcp` or `unix` address.
 *
 * @throws {ConnectError} when there is none to be had within `timeout` ms
 */
export async function dialTransport(addr: Addr, options: WaitOptions = {}): Promise<ByteTransport> {
  return addr.transport === "unix"
    ? await dialUnixConn(addr, options)
    : await dialTcpConn(addr, options);
}

/** As {@linkcode dialTransport}, for TCP. */
export function dialTcpConn(addr: Addr, options: WaitOptions = {}): Promise<Deno.TcpConn> {
  return limited(addr, options, async (signal) => {
    const conn = await Deno.connect({ hostname: dialable(addr.hostname), port: addr.port, signal });
    try {
      conn.setNoDelay(true);
    } catch (error) {
      conn.close();
      throw error;
    }
    return conn;
  });
}

/** As {@linkcode dialTransport}, for Unix sockets. */
export function dialUnixConn(addr: Addr, options: WaitOptions = {}): Promise<Deno.UnixConn> {
  return limited(addr, options, () => Deno.connect({ transport: "unix", path: addr.path }));
}

/** Dials within the limits of `options`, and says in words how it failed. */
async function limited<C extends Deno.Conn>(
  addr: Addr,
  { timeout = 5_000, signal }: WaitOptions,
  dial: (signal: AbortSignal) => Promise<C>,
): Promise<C> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const end: { stopped: boolean; reason: unknown } = { stopped: false, reason: undefined };
  let turn: ReturnType<typeof setImmediate> | undefined;
  const stop = (reason: unknown) => {
    if (end.stopped) return;
    end.stopped = true;
    end.reason = reason;
    // In a turn of its own: what the runtime aborts in the very turn in which it has succeeded stays
    // open, and nobody has it.
    turn = setImmediate(() => controller.abort());
  };
  const timer = Number.isFinite(timeout)
    ? setTimeout(() => stop(expired(addr, timeout)), Math.min(timeout, 2 ** 31 - 1))
    : undefined;
  const abort = () => stop(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const conn = await dial(controller.signal);
    if (!end.stopped) return conn;
    conn.close();
  } catch (error) {
    if (!end.stopped) throw dialError(addr, error);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
    signal?.removeEventListener("abort", abort);
  }
  throw end.reason;
}

/**
 * Listens on a `tcp` or `unix` address.
 *
 * @throws {ConnectError} when the address cannot be bound
 */
export async function listenTransport(
  addr: Addr,
  options: BindOptions = {},
): Promise<TransportListener> {
  return addr.transport === "unix" ? await listenUnixConns(addr) : listenTcpConns(addr, options);
}

/** As {@linkcode listenTransport}, for TCP. */
export function listenTcpConns(addr: Addr, options: BindOptions = {}): ConnSource<Deno.TcpConn> {
  const { reusePort = false, backlog } = options;
  if (reusePort) requireUnstableNet("reusePort");
  try {
    const listener = Deno.listen({
      hostname: addr.hostname,
      port: addr.port,
      ...(reusePort ? { reusePort } : {}),
      ...(backlog === undefined ? {} : { tcpBacklog: backlog }),
    });
    return new SystemListener(listener, Addr.of(listener.addr));
  } catch (error) {
    if (error instanceof TypeError) throw error;
    throw listenError(addr, error);
  }
}

/**
 * As {@linkcode listenTransport}, for Unix sockets. A socket's file outlives a crashed process. It is
 * removed only if nobody listens on it any more, and only its owner may connect (mode 0600).
 */
export async function listenUnixConns(addr: Addr): Promise<ConnSource<Deno.UnixConn>> {
  try {
    return await bindUnix(addr);
  } catch (error) {
    throw listenError(addr, error);
  }
}

/** `Deno.Listener`, with Nagle's algorithm off on what it accepts. */
class SystemListener<C extends Deno.TcpConn | Deno.UnixConn> implements ConnSource<C> {
  readonly addr: Addr;
  readonly #listener: { accept(): Promise<C>; close(): void };
  #accepting: Promise<unknown> = Promise.resolve();

  constructor(listener: { accept(): Promise<C>; close(): void }, addr: Addr) {
    this.#listener = listener;
    this.addr = addr;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<C, void> {
    while (true) {
      let conn: C;
      try {
        const accepting = this.#listener.accept();
        this.#accepting = accepting;
        conn = await accepting;
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
          return;
        }
        throw error;
      }
      try {
        if ("setNoDelay" in conn) conn.setNoDelay(true);
      } catch {
        // The connection was given up by its client before it was accepted: nothing to serve.
        conn.close();
        continue;
      }
      yield conn;
    }
  }

  /** The address is in use, and a Unix socket's file there, until the pending accept has ended. */
  async close(): Promise<void> {
    this.#listener.close();
    // How it ended is told to whoever accepts; here only that it has counts.
    await this.#accepting.catch(() => {});
  }
}

async function bindUnix(addr: Addr): Promise<ConnSource<Deno.UnixConn>> {
  const open = () => Deno.listen({ transport: "unix", path: addr.path });
  let listener: Deno.UnixListener;
  try {
    listener = open();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    if (!await freed(addr.path)) throw error;
    listener = open();
  }
  try {
    await Deno.chmod(addr.path, 0o600);
  } catch (error) {
    listener.close();
    throw error;
  }
  return new SystemListener(listener, addr);
}

/** Removes a socket on which nobody listens any more; tells whether the path is free now. */
async function freed(path: string): Promise<boolean> {
  try {
    // What is no socket is somebody's file.
    if ((await Deno.lstat(path)).isSocket !== true) return false;
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    // Any other failure says nothing of who listens: the socket may be another user's.
    if (!(error instanceof Deno.errors.ConnectionRefused)) return false;
  }
  await Deno.remove(path);
  return true;
}

/** A name that means "every interface" can be listened on; to dial it is to dial this machine. */
export function dialable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  return hostname === "::" ? "::1" : hostname;
}

/** Without the flag the runtime would end the whole process. */
function requireUnstableNet(option: string): void {
  if (typeof Deno.listenDatagram === "function") return;
  throw new TypeError(
    `Cannot listen with '${option}' as it needs the flag --unstable-net (or "unstable": ["net"] in deno.json)`,
  );
}

function expired(addr: Addr, timeout: number): ConnectError {
  return new ConnectError(
    "TIMEOUT",
    `Cannot dial ${addr} as there was no answer in ${timeout} ms`,
    { initiator: "network" },
  );
}

function dialError(addr: Addr, cause: unknown): ConnectError {
  const [code, words] = dialCode(cause);
  return new ConnectError(code, `Cannot dial ${addr} as ${words}`, { cause, initiator: "network" });
}

function dialCode(error: unknown): [DialCode, string] {
  const { errors } = Deno;
  if (error instanceof errors.ConnectionRefused) return ["REFUSED", "nobody listens there"];
  if (error instanceof errors.NotCapable || error instanceof errors.PermissionDenied) {
    return ["NOT_PERMITTED", "this program has no permission for it"];
  }
  if (error instanceof errors.TimedOut) return ["TIMEOUT", "there was no answer"];
  if (error instanceof errors.NotFound) return ["REFUSED", "there is no such socket"];
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes("lookup address") || text.includes("dns error")) {
    return ["NAME_NOT_FOUND", "its name cannot be resolved"];
  }
  return ["UNREACHABLE", `it cannot be reached: ${text}`];
}

function listenError(addr: Addr, cause: unknown): ConnectError {
  const { errors } = Deno;
  const [code, words]: [DialCode, string] = cause instanceof errors.AddrInUse
    ? ["ADDRESS_IN_USE", "the address is in use"]
    : cause instanceof errors.NotCapable || cause instanceof errors.PermissionDenied
    ? ["NOT_PERMITTED", "this program has no permission for it"]
    : ["UNREACHABLE", cause instanceof Error ? cause.message : String(cause)];
  return new ConnectError(code, `Cannot listen on ${addr} as ${words}`, {
    cause,
    initiator: "local",
  });
}
