/**
 * The client's half of the opening handshake (RFC 6455, section 4.1), without a connection.
 *
 * Owns what is asked, and what an answer must have. An answer that it does not accept is a
 * `ConnectError`: of code AUTH_FAILED for 401 and 403, TOO_MANY_CONNECTIONS for 429 and 503, and
 * WRONG_PROTOCOL for all else.
 */
import { type CloseCode, ConnectError, type DialCode } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { agreedParams, DEFLATE, type DeflateParams, OFFER } from "./compression.ts";
import { headBytes, VERSION } from "./handshake.ts";
import { extensionsOf, hasToken } from "./header_values.ts";
import type { HeaderFields, HttpHead } from "./http_head.ts";

/** What a client asks for. */
export interface ClientRequest {
  /** Of scheme `ws` or `wss`. */
  readonly url: URL;
  /** 16 random bytes in base64. */
  readonly key: string;
  readonly protocols: readonly string[];
  readonly compression: boolean;
  /** What the application adds. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** What a server has agreed to. */
export interface ClientAgreement {
  /** The subprotocol; "" for none. */
  readonly protocol: string;
  /** Set where messages may be compressed. */
  readonly deflate: DeflateParams | undefined;
}

/** Answers that say more than that this is no WebSocket. */
const CODES: Readonly<Record<number, CloseCode>> = {
  401: "AUTH_FAILED",
  403: "AUTH_FAILED",
  429: "TOO_MANY_CONNECTIONS",
  503: "TOO_MANY_CONNECTIONS",
};

/**
 * Reads where to connect to. `http` and `https` stand for `ws` and `wss`.
 *
 * @throws {TypeError} where it is no such URL, or names a fragment
 */
export function webSocketUrl(given: string | URL): URL {
  const shown = JSON.stringify(String(given).slice(0, 200));
  const parsed = URL.parse(String(given));
  if (parsed === null || !/^(?:ws|http)s?:$/.test(parsed.protocol)) {
    throw new TypeError(
      `Cannot connect as the URL must be one of ws or wss: current value is ${shown}`,
    );
  }
  if (parsed.hash !== "" || parsed.href.endsWith("#")) {
    throw new TypeError(
      `Cannot connect as the URL must have no fragment: current value is ${shown}`,
    );
  }
  return new URL(parsed.href.replace(/^http/, "ws"));
}

/** The request. */
export function requestBytes({ url, key, protocols, compression, fields }: ClientRequest): Bytes {
  const names = new Set(fields.map(([name]) => name.toLowerCase()));
  const credentials = names.has("authorization") ? undefined : basicAuth(url);
  return headBytes(`GET ${url.pathname}${url.search} HTTP/1.1`, [
    ["Host", url.host],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", VERSION],
    ...optional("Sec-WebSocket-Protocol", protocols.join(", ")),
    ...optional("Sec-WebSocket-Extensions", compression ? OFFER : ""),
    ...optional("Authorization", credentials ?? ""),
    ...fields,
  ]);
}

/** Reads the answer. @throws {ConnectError} where it does not accept, or not what was asked */
export function readAnswer(
  { line: [version, status, reason], fields }: HttpHead,
  request: ClientRequest,
  accept: string,
): ClientAgreement {
  if (!/^HTTP\/1\.\d$/.test(version) || !/^[1-9]\d\d$/.test(status)) {
    throw wrong(request, "it must answer in HTTP/1.1");
  }
  if (status !== "101") throw refused(request, Number(status), reason, fields);
  if (!hasToken(fields.list("upgrade"), "websocket")) {
    throw wrong(request, "its answer must upgrade to websocket");
  }
  if (!hasToken(fields.list("connection"), "upgrade")) {
    throw wrong(request, "its answer must have a header Connection that names Upgrade");
  }
  if (fields.list("sec-websocket-accept") !== accept) {
    throw wrong(request, "its header Sec-WebSocket-Accept must fit the key");
  }
  return { protocol: protocolOf(fields, request), deflate: deflateOf(fields, request) };
}

/** None is fine: the application sees it, and decides. */
function protocolOf(fields: HeaderFields, request: ClientRequest): string {
  const given = fields.all("sec-websocket-protocol");
  const [protocol = ""] = given;
  if (given.length > 1 || (given.length === 1 && !request.protocols.includes(protocol))) {
    throw wrong(request, "it must choose one of the subprotocols that it was offered");
  }
  return protocol;
}

function deflateOf(fields: HeaderFields, request: ClientRequest): DeflateParams | undefined {
  const extensions = extensionsOf(fields.list("sec-websocket-extensions"));
  const [first] = extensions ?? [];
  if (extensions?.length === 0) return undefined;
  const params = request.compression && extensions?.length === 1 && first?.name === DEFLATE
    ? agreedParams(first)
    : undefined;
  if (params === undefined) {
    throw wrong(request, "it must agree to no extensions but those that it was offered");
  }
  return params;
}

function refused(
  request: ClientRequest,
  status: number,
  reason: string,
  fields: HeaderFields,
): ConnectError {
  const seconds = Number(fields.all("retry-after")[0] ?? NaN);
  return new ConnectError(
    CODES[status] ?? "WRONG_PROTOCOL",
    `Cannot connect to ${shown(request)} as the server must answer 101: it has answered ${status} ${
      printable(reason)
    }`.trimEnd(),
    { initiator: "remote", retryAfter: seconds >= 0 && seconds < 1e9 ? seconds * 1_000 : 0 },
  );
}

function wrong(request: ClientRequest, why: string): ConnectError {
  const code: DialCode = "WRONG_PROTOCOL";
  return new ConnectError(code, `Cannot connect to ${shown(request)} as ${why}`, {
    initiator: "remote",
  });
}

/** Without what is secret: credentials, and a query that may hold a token. */
function shown({ url }: ClientRequest): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The words of the other end, as they may stand in a message. */
function printable(text: string): string {
  return text.slice(0, 100).replace(/[^\x20-\x7e]/g, "?");
}

function basicAuth({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const bytes = new TextEncoder().encode(text);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function optional(name: string, value: string): [string, string][] {
  return value === "" ? [] : [[name, value]];
}
