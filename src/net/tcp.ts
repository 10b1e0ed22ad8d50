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

/**
 * Opens a connection to a `tcp` or `unix` address.
 *
 * @throws {ConnectError} when there is none to be had within `timeout` ms
 */
export async function dialTransport(addr: Addr, options: WaitOptions = {}): Promise<ByteTransport> {
  const { timeout = 5_000, signal } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const expired = new ConnectError(
    "TIMEOUT",
    `Cannot dial ${addr} as there was no answer in ${timeout} ms`,
    {
      initiator: "network",
    },
  );
  const timer = Number.isFinite(timeout)
    ? setTimeout(() => controller.abort(expired), Math.min(timeout, 2 ** 31 - 1))
    : undefined;
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (addr.transport === "unix") {
      return await Deno.connect({ transport: "unix", path: addr.path });
    }
    const conn = await Deno.connect({
      hostname: dialable(addr.hostname),
      port: addr.port,
      signal: controller.signal,
    });
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error === expired) throw error;
    throw dialError(addr, error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Listens on a `tcp` or `unix` address.
 *
 * @throws {ConnectError} when the address cannot be bound
 */
export async function listenTransport(
  addr: Addr,
  options: ListenOptions = {},
): Promise<TransportListener> {
  try {
    if (addr.transport === "unix") return await listenUnix(addr);
    if (options.reusePort) requireUnstableNet("reusePort");
    const listener = Deno.listen({
      hostname: addr.hostname,
      port: addr.port,
      ...(options.reusePort ? { reusePort: true } : {}),
    });
    return new SystemListener(listener, Addr.of(listener.addr));
  } catch (error) {
    if (error instanceof ConnectError || error instanceof TypeError) throw error;
    throw listenError(addr, error);
  }
}

/** `Deno.Listener`, with Nagle's algorithm off on what it accepts. */
class SystemListener implements TransportListener {
  readonly addr: Addr;
  readonly #listener: Deno.TcpListener | Deno.UnixListener;
  #accepting: Promise<unknown> = Promise.resolve();

  constructor(listener: Deno.TcpListener | Deno.UnixListener, addr: Addr) {
    this.#listener = listener;
    this.addr = addr;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ByteTransport, void> {
    while (true) {
      let conn: Deno.TcpConn | Deno.UnixConn;
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

/**
 * A Unix socket's file outlives a crashed process. It is removed only if nobody listens on it any
 * more, and only its owner may connect (mode 0600).
 */
async function listenUnix(addr: Addr): Promise<TransportListener> {
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
function dialable(hostname: string): string {
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
