/**
 * The kinds of byte connections, as far as they differ: TCP has switches, TLS knows who is there.
 */
import type { TlsInfo } from "../base/tls.ts";
import type { TcpConn, TlsConn } from "./conn.ts";
import { Connection } from "./connection.ts";
import type { ConnOptions } from "./options.ts";
import type { TlsTransport } from "./tls_types.ts";

/** A TCP connection, and the name that was dialled, which TLS on top of it has to prove. */
export class TcpConnection extends Connection implements TcpConn {
  readonly dialled: string;
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn, options: ConnOptions = {}, dialled = "") {
    super(conn, options);
    this.#conn = conn;
    this.dialled = dialled === "" ? this.remoteAddr.hostname : dialled;
    try {
      // Whoever gave the connection has switched Nagle's algorithm off.
      if (options.noDelay === false) conn.setNoDelay(false);
      if (options.keepAlive) conn.setKeepAlive(true);
    } catch (error) {
      // The other end has given it up already.
      this.abort(error);
      throw error;
    }
  }

  setNoDelay(on: boolean): void {
    this.mustBeOpen("set no-delay");
    this.#conn.setNoDelay(on);
  }

  setKeepAlive(on: boolean): void {
    this.mustBeOpen("set keep-alive");
    this.#conn.setKeepAlive(on);
  }

  /** Gives the bare connection away, and ends. */
  bare(): Deno.TcpConn {
    this.mustBeOpen("start TLS");
    if (this.release("startTls")) return this.#conn;
    throw new TypeError(
      "Cannot start TLS as nothing must be pending on the connection, nor read from it that nobody took",
    );
  }
}

/** A TLS connection. */
export class TlsConnection extends Connection implements TlsConn {
  readonly tls: TlsInfo;

  constructor(transport: TlsTransport, options: ConnOptions = {}) {
    super(transport, options);
    this.tls = transport.tls;
  }
}
