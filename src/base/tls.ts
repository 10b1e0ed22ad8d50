/**
 * What programs say about TLS, and what a connection over TLS tells of itself.
 *
 * Owns no behaviour. Certificates and keys are text (PEM): nothing here reads a file.
 */
import type { Bytes } from "./types.ts";

/** TLS, for the end that dials. */
export interface ClientTls {
  /** Whom to trust, as PEM, instead of the authorities that Deno trusts. */
  readonly caCerts?: readonly string[];
  /** What to show to a server that asks for a certificate, as PEM: one, or a chain. */
  readonly cert?: string;
  /** The key of `cert`, as PEM. */
  readonly key?: string;
  /** The name that the server's certificate must have. @default {the hostname of the address} */
  readonly serverName?: string;
  /** The protocols to offer, most wanted first (ALPN, RFC 7301). @default {[]} */
  readonly alpnProtocols?: readonly string[];
}

/** TLS, for the end that listens. */
export interface ServerTls {
  /** What to show to clients, as PEM: one certificate, or a chain. */
  readonly cert: string;
  /** The key of `cert`, as PEM. */
  readonly key: string;
  /** The protocols to take, most wanted first (ALPN, RFC 7301). @default {[]} */
  readonly alpnProtocols?: readonly string[];
  /**
   * Asks clients for a certificate. Who shows a bad one finds the connection closed without a reason,
   * since the runtime gives none; who must show one and shows none is told. @default {they are not asked}
   */
  readonly clientAuth?: {
    /** Who must have signed it, as PEM. */
    readonly caCerts: readonly string[];
    /** Lets in who shows none; a bad one is refused all the same. @default {false} */
    readonly optional?: boolean;
  };
}

/** What a TLS handshake has established. */
export interface TlsInfo {
  /**
   * What the other end's certificate says of whom it is for: its common name, or its first alternative
   * name. `undefined` when it showed none.
   */
  readonly peerName?: string;
  /** The other end's certificate, as DER; `undefined` when it showed none. */
  readonly peerCertificate?: Bytes;
  /** The protocol that both ends agreed on (ALPN). */
  readonly alpnProtocol?: string;
  /** The name that the client asked for (SNI). */
  readonly serverName?: string;
}
