/**
 * Addresses: one value for every transport, written as a URL.
 *
 * Owns the grammar of addresses. Resolves no name and opens nothing.
 */

/** The transports that an address can name. */
export type TransportName = "tcp" | "tls" | "unix" | "ws" | "wss" | "udp" | "memory";

/** An address as an object; any `Deno.NetAddr` or `Deno.UnixAddr` fits. */
export interface AddrInit {
  /** How bytes travel. @default {"tcp"} */
  readonly transport?: TransportName;
  /** Name or IP address. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /** 0 to 65535. @default {0} */
  readonly port?: number;
  /** Of a Unix socket or a WebSocket. @default {""} */
  readonly path?: string;
}

/**
 * Where to dial or listen: `"tcp://host:1"`, `"unix:/path"`, `"host:1"` (tcp), or `":1"`
 * (tcp, all interfaces, as in Go).
 */
export type Address = string | URL | AddrInit;

const TRANSPORTS: readonly string[] = ["tcp", "tls", "unix", "ws", "wss", "udp", "memory"];
const DEFAULT_PORTS: Readonly<Record<string, number>> = { ws: 80, wss: 443 };

/**
 * An address as a value: it prints as its URL and goes wherever an {@linkcode Address} goes.
 *
 * @example
 * ```ts
 * import { Addr } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * const addr = Addr.parse("127.0.0.1:9966");
 * assertEquals(addr.host, "127.0.0.1:9966");
 * assertEquals(`${addr}`, "tcp://127.0.0.1:9966");
 * ```
 */
export class Addr implements AddrInit {
  /** How bytes travel. */
  readonly transport: TransportName;
  /** Name or IP address; an IPv6 address has no brackets. Empty for `unix`. */
  readonly hostname: string;
  /** Port; 0 for `unix`. */
  readonly port: number;
  /** Path of a Unix socket, or path and query of a WebSocket. */
  readonly path: string;

  private constructor(transport: TransportName, hostname: string, port: number, path: string) {
    this.transport = transport;
    this.hostname = hostname;
    this.port = port;
    this.path = path;
  }

  /**
   * Makes an address of a string, a URL or an object.
   *
   * @throws {TypeError} where it has no address's form
   * @throws {RangeError} where the port is not within 0 to 65535
   */
  static parse(address: Address): Addr {
    if (address instanceof Addr) return address;
    if (address instanceof URL) return parseText(address.href);
    if (typeof address === "string") return parseText(address);
    if (typeof address !== "object" || address === null) {
      throw badAddress(address, "a string, URL or object");
    }
    const { transport = "tcp", hostname = "127.0.0.1", port = 0, path = "" } = address;
    if (!isTransport(transport)) {
      throw badAddress(transport, `a transport of ${TRANSPORTS.join(", ")}`);
    }
    if (transport === "unix") return Addr.#make(transport, "", 0, path);
    return Addr.#make(transport, hostname, port, path);
  }

  /** As `parse`, for what a transport says of itself: what is no address becomes an empty one. */
  static of(value: unknown): Addr {
    if (value instanceof Addr) return value;
    if (typeof value !== "object" || value === null) return Addr.#make("memory", "", 0, "");
    const transport = "transport" in value && isTransport(value.transport)
      ? value.transport
      : "memory";
    const hostname = "hostname" in value && typeof value.hostname === "string"
      ? value.hostname
      : "";
    const port = "port" in value && typeof value.port === "number" ? value.port : 0;
    const path = "path" in value && typeof value.path === "string" ? value.path : "";
    return Addr.#make(transport, hostname, port, path);
  }

  static #make(transport: TransportName, hostname: string, port: number, path: string): Addr {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new RangeError(
        `Cannot use address as its port must be an integer from 0 to 65535: current value is ${port}`,
      );
    }
    return new Addr(transport, hostname, port, path);
  }

  /** Host and port, as in `"127.0.0.1:9966"` or `"[::1]:80"`; the path of a Unix socket. */
  get host(): string {
    if (this.transport === "unix") return this.path;
    const name = this.hostname.includes(":") ? `[${this.hostname}]` : this.hostname;
    return `${name}:${this.port}`;
  }

  /** The URL. */
  toString(): string {
    if (this.transport === "unix") return `unix:${this.path}`;
    return `${this.transport}://${this.host}${this.path}`;
  }
}

function parseText(text: string): Addr {
  const scheme = /^([a-z]+):(?=\/)/.exec(text)?.[1];
  if (scheme !== undefined && !isTransport(scheme)) {
    throw badAddress(text, `a transport of ${TRANSPORTS.join(", ")} before the colon`);
  }
  if (scheme === "unix") {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    return Addr.parse({ transport: "unix", path });
  }
  const rest = scheme === undefined ? text : text.slice(scheme.length + 1);
  if (scheme !== undefined && !rest.startsWith("//")) {
    throw badAddress(text, `${scheme}://host:port`);
  }
  const match = /^(?:\/\/)?(\[[^\]]*\]|[^:/?#\[\]]*)(?::(\d+))?([/?].*)?$/.exec(rest);
  if (match === null) throw badAddress(text, "host:port or transport://host:port");
  const [, name = "", digits, path = ""] = match;
  const transport = scheme ?? "tcp";
  const port = digits === undefined ? DEFAULT_PORTS[transport] : Number(digits);
  if (port === undefined) throw badAddress(text, "host:port, with a port");
  const hostname = name.startsWith("[") ? name.slice(1, -1) : name;
  return Addr.parse({ transport, hostname: hostname === "" ? "0.0.0.0" : hostname, port, path });
}

function isTransport(name: unknown): name is TransportName {
  return typeof name === "string" && TRANSPORTS.includes(name);
}

function badAddress(value: unknown, expected: string): TypeError {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 200)) : String(value);
  return new TypeError(`Cannot use address as it must be ${expected}: current value is ${shown}`);
}
