/**
 * What can be wrong with TLS, as the codes of vnet.
 *
 * Owns the translation of what the runtime's TLS reports, and the check of certificates and keys that
 * a program brings. Opens nothing.
 */
import type { TLSSocket } from "node:tls";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ConnectError, type DialCode } from "../base/errors.ts";
import type { ClientTls, ServerTls } from "../base/tls.ts";

/** Begins the message of an error: what could not be done. */
export type Attempt = `Cannot ${string}`;

const encoder = new TextEncoder();

type Finding = readonly [code: DialCode, words: string];

const EXPIRED: Finding = ["CERT_EXPIRED", "the other end's certificate is not valid at this time"];
const WRONG_NAME: Finding = ["CERT_WRONG_NAME", "the other end's certificate is for another name"];
const UNTRUSTED: Finding = [
  "CERT_UNTRUSTED",
  "nobody we trust vouches for the other end's certificate",
];
const REQUIRED: Finding = ["CERT_REQUIRED", "the other end wants a certificate and got none"];
const SHOWS_NONE: Finding = ["CERT_REQUIRED", "the other end shows no certificate"];
const OURS_REFUSED: Finding = ["CERT_UNTRUSTED", "the other end refuses our certificate"];
const OURS_EXPIRED: Finding = [
  "CERT_EXPIRED",
  "the other end says that our certificate has expired",
];
const NO_ALPN: Finding = ["NO_ALPN", "the two ends have no application protocol in common (ALPN)"];
const HUNG_UP: Finding = ["UNREACHABLE", "the other end hung up during the TLS handshake"];
const NO_TLS: Finding = ["WRONG_PROTOCOL", "the TLS handshake failed"];

/** In this order: what comes first is more special. */
const FINDINGS: readonly (readonly [RegExp, Finding])[] = [
  // Alerts: what the other end says of us.
  [/ALERT_CERTIFICATE_REQUIRED/, REQUIRED],
  [/ALERT_CERTIFICATE_EXPIRED/, OURS_EXPIRED],
  [/ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE|UNSUPPORTED_CERT|ACCESS_DENIED)/, OURS_REFUSED],
  [/NO_APPLICATION_PROTOCOL/, NO_ALPN],
  // What we found out about the other end.
  [/DID_NOT_RETURN_A_CERTIFICATE/, SHOWS_NONE],
  [/^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/, EXPIRED],
  [/ALTNAME_INVALID|HOSTNAME_MISMATCH/, WRONG_NAME],
  [/^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(?:CA|PURPOSE)|PATH_LENGTH)/, UNTRUSTED],
  [/^(?:ECONN|EPIPE|ERR_STREAM)/, HUNG_UP],
];

/** An error of the handshake, or of what follows while the other end may still refuse it. */
export function tlsError(attempt: Attempt, cause: unknown): ConnectError {
  const code = cause === undefined ? "ECONNRESET" : codeOf(cause);
  const [found, words] = FINDINGS.find(([pattern]) => pattern.test(code))?.[1] ?? NO_TLS;
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  const initiator = found === "UNREACHABLE" ? "network" : "remote";
  return new ConnectError(found, `${attempt} as ${words}${detail}`, { cause, initiator });
}

/** Why Node does not trust the other end, as an error with a code; `undefined` when it does. */
export function distrust(socket: TLSSocket): Error | undefined {
  // Declared as an error, but it is the code of one.
  const told: unknown = socket.authorizationError;
  if (!told) return undefined;
  const { valid_from = "", valid_to = "", subjectaltname = "no name" } =
    socket.getPeerCertificate() ??
      {};
  const now = Date.now();
  // The runtime does not tell an expired certificate from one that nobody vouches for.
  if (Date.parse(valid_from) > now || Date.parse(valid_to) < now) {
    return coded("CERT_HAS_EXPIRED", `it is valid from ${valid_from} to ${valid_to}`);
  }
  const code = String(told);
  if (code.includes("ALTNAME")) return coded(code, `it is for ${subjectaltname}`);
  return coded(code, valid_to === "" ? `${code}, or it is not valid at this time` : code);
}

/** Whether an error says that the other end refused the handshake after we thought that it was done. */
export function isLateRefusal(error: unknown): boolean {
  return codeOf(error).includes("_ALERT_");
}

/** @throws {TypeError} where a certificate or a key is none, or the two do not belong together */
export function checkClientTls(attempt: Attempt, tls: ClientTls): void {
  const { caCerts = [], cert, key, serverName, alpnProtocols } = tls;
  checkAuthorities(attempt, "tls.caCerts", caCerts);
  checkProtocols(attempt, alpnProtocols);
  if (serverName === "") throw new TypeError(`${attempt} as 'tls.serverName' must not be empty`);
  if (cert !== undefined && key !== undefined) return checkPair(attempt, cert, key);
  if (cert === key) return;
  const [given, missing] = cert === undefined ? ["key", "cert"] : ["cert", "key"];
  throw new TypeError(`${attempt} as 'tls.${given}' must come with 'tls.${missing}'`);
}

/** @throws {TypeError} where a certificate or a key is none, or the two do not belong together */
export function checkServerTls(attempt: Attempt, tls: ServerTls): void {
  const { cert, key, alpnProtocols, clientAuth } = tls;
  checkPair(attempt, cert, key);
  checkProtocols(attempt, alpnProtocols);
  if (clientAuth === undefined) return;
  const { caCerts } = clientAuth;
  checkAuthorities(attempt, "tls.clientAuth.caCerts", caCerts);
  if (caCerts.length > 0) return;
  throw new TypeError(
    `${attempt} as 'tls.clientAuth.caCerts' must name at least one authority: the list is empty`,
  );
}

function checkPair(attempt: Attempt, cert: string, key: string): void {
  const certificate = parse(attempt, "tls.cert", "a certificate", () => new X509Certificate(cert));
  const privateKey = parse(attempt, "tls.key", "a private key", () => createPrivateKey(key));
  if (certificate.checkPrivateKey(privateKey)) return;
  throw new TypeError(`${attempt} as 'tls.key' must be the key of 'tls.cert': it is another's`);
}

function checkAuthorities(attempt: Attempt, name: string, caCerts: readonly string[]): void {
  for (const cert of caCerts) parse(attempt, name, "certificates", () => new X509Certificate(cert));
}

/** What travels is a byte for the length, and the name. */
function checkProtocols(attempt: Attempt, names: readonly string[] = []): void {
  for (const name of names) {
    const { length } = encoder.encode(name);
    if (length >= 1 && length <= 255) continue;
    throw new TypeError(
      `${attempt} as each of 'tls.alpnProtocols' must have 1 to 255 bytes: one has ${length}`,
    );
  }
}

function parse<T>(attempt: Attempt, name: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new TypeError(`${attempt} as '${name}' must be ${what} as PEM`, { cause });
  }
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
