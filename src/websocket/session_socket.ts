/**
 * A WebSocket as a session wants it: binary messages of whole frames, and an end that can be waited for.
 */
import type { Addr } from "../base/addr.ts";
import type { TlsInfo } from "../base/tls.ts";
import type { MessageTransport } from "../base/types.ts";
import type { WebSocketConn, WebSocketOptions } from "./types.ts";

/** The subprotocol of vnet/1 (PROTOCOL.md section 1). */
export const SUBPROTOCOL = "vnet.1";

/**
 * A session has a heartbeat, limits and a clock for writes of its own: those of the WebSocket stay out of
 * its way. A send resolves when the system has taken it all, so that the session knows what waits.
 */
export const SESSION_OPTIONS: WebSocketOptions = {
  protocols: [SUBPROTOCOL],
  only: "binary",
  pingInterval: false,
  maxMessageLength: 134_217_728,
  highWaterMark: 1,
  maxQueuedBytes: 134_217_728,
  writeTimeout: 86_400_000,
  closeTimeout: 1_000,
};

/** What is known of a connection beside the WebSocket. */
export interface SessionLink {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly tls: TlsInfo | undefined;
}

/** The transport. */
export class SessionSocket implements MessageTransport {
  readonly localAddr: Addr;
  readonly remoteAddr: Addr;
  readonly tls: TlsInfo | undefined;
  readonly #socket: WebSocketConn;

  constructor(socket: WebSocketConn, { localAddr, remoteAddr, tls }: SessionLink) {
    this.#socket = socket;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
    this.tls = tls;
  }

  send(message: Uint8Array): Promise<void> {
    return this.#socket.send(message);
  }

  [Symbol.asyncIterator](): AsyncIterator<string | Uint8Array> {
    return this.#socket[Symbol.asyncIterator]();
  }

  /** Says so to the other end, and resolves when the connection is gone. */
  async close(): Promise<void> {
    await this.#socket.close();
  }

  /** Ends it now. */
  abort(): void {
    this.#socket.abort();
  }
}
