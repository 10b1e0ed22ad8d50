/**
 * What a connection over TLS is, once its handshake is done.
 */
import type { ByteTransport } from "../base/types.ts";
import type { TlsInfo } from "../base/tls.ts";

export type { ClientTls, ServerTls, TlsInfo } from "../base/tls.ts";

/** Carries bytes over TLS. The handshake is done, and the other end is who it has to be. */
export interface TlsTransport extends ByteTransport {
  /** What the handshake has established. */
  readonly tls: TlsInfo;
  /** Ends this end's direction only: says so to the other end (close_notify), and goes on reading. */
  closeWrite(): Promise<void>;
}
