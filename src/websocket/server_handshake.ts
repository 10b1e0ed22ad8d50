/**
 * The server's half of the opening handshake (RFC 6455, section 4.2), without a connection.
 *
 * Owns what a request must have, what is answered to one that has it not, and what of it may be
 * agreed on. Whether its origin and its path are welcome is for others to say.
 */
import type { Bytes } from "../base/types.ts";
import { answerOffers, type DeflateParams } from "./compression.ts";
import { agreeOn, headBytes, VERSION } from "./handshake.ts";
import { type Extension, extensionsOf, hasToken, tokensOf } from "./header_values.ts";
import { type HeaderFields, HttpError, type HttpHead } from "./http_head.ts";

/** A request that may be accepted. */
export interface UpgradeRequest {
  /** Path and query, as in "/chat?room=1". */
  readonly target: string;
  /** Who the client believes to talk to: host and port. */
  readonly host: string;
  /** Where the page comes from that asks; `undefined` for what is no browser. */
  readonly origin: string | undefined;
  /** What the server's answer is computed from. */
  readonly key: string;
  /** The subprotocols that the client speaks, the best first. */
  readonly protocols: readonly string[];
  /** The extensions that it offers. */
  readonly offers: readonly Extension[];
  readonly fields: HeaderFields;
}

/** What a server has agreed to. */
export interface Agreement {
  /** The subprotocol; "" for none. */
  readonly protocol: string;
  /** Set where messages may be compressed. */
  readonly deflate: DeflateParams | undefined;
  /** The header field that says so. */
  readonly extensions: string;
}

/** Header fields as a list. */
export type FieldList = readonly (readonly [name: string, value: string])[];

/** The characters of a name or address and a port (RFC 3986, section 3.2.2): none that ends it in a URL. */
const HOST = /^[\w.\-~%!$&'()*+,;=:[\]]+$/;
/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Checks a request. @throws {HttpError} with the status to answer where it cannot be accepted */
export function readUpgrade(head: HttpHead): UpgradeRequest {
  const { line: [method, , version], fields } = head;
  if (version !== "HTTP/1.1") throw wrongVersion(version);
  if (method !== "GET") throw refusal(405, "its method must be GET", { allow: "GET" });
  const { host, target } = readResource(head);
  if (fields.all("transfer-encoding").length > 0 || !hasNoBody(fields)) {
    throw refusal(400, "it must have no body");
  }
  if (!hasToken(fields.list("upgrade"), "websocket")) {
    throw refusal(426, "it must ask for an upgrade to websocket", {
      upgrade: "websocket",
      connection: "Upgrade",
    });
  }
  if (!hasToken(fields.list("connection"), "upgrade")) {
    throw refusal(400, "its header Connection must name Upgrade");
  }
  if (one(fields, "sec-websocket-version") !== VERSION) {
    throw refusal(426, `its version of WebSocket must be ${VERSION}`, {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-version": VERSION,
    });
  }
  const key = one(fields, "sec-websocket-key");
  if (key === undefined || !KEY.test(key)) {
    throw refusal(400, "its header Sec-WebSocket-Key must be 16 bytes in base64, once");
  }
  return {
    target,
    host,
    key,
    origin: originOf(fields),
    protocols: protocolsOf(fields),
    offers: offersOf(fields),
    fields,
  };
}

/** What any request asks for, and of whom. @throws {HttpError} where it does not say so, or twice */
export function readResource(
  { line: [, target], fields }: HttpHead,
): Pick<UpgradeRequest, "host" | "target" | "fields"> {
  const host = one(fields, "host");
  if (host === undefined || !HOST.test(host)) throw refusal(400, "it must name one host");
  return { host, target: targetOf(target), fields };
}

/** What may be agreed on with the maker of a request. `spoken`: the subprotocols of this server. */
export function agree(
  request: UpgradeRequest,
  options: { readonly spoken: readonly string[]; readonly compression: boolean },
): Agreement {
  const answer = options.compression ? answerOffers(request.offers) : undefined;
  return {
    protocol: agreeOn(request.protocols, options.spoken),
    deflate: answer?.params,
    extensions: answer?.header ?? "",
  };
}

/** The answer that accepts; `accept` is made of the request's key. */
export function acceptance(agreement: Agreement, accept: string, added: FieldList = []): Bytes {
  const { protocol, extensions } = agreement;
  const agreed: [string, string][] = [];
  if (protocol !== "") agreed.push(["Sec-WebSocket-Protocol", protocol]);
  if (extensions !== "") agreed.push(["Sec-WebSocket-Extensions", extensions]);
  return headBytes("HTTP/1.1 101 Switching Protocols", [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", accept],
    ...agreed,
    ...added,
  ]);
}

/** How the body of an answer ends: after so many bytes, by its last chunk, or with the connection. */
export type BodyEnd = number | "chunk" | "close";

/** The head of an answer that does not accept; its body follows it. */
export function refusalHead(
  status: number,
  statusText: string,
  end: BodyEnd,
  given: FieldList,
): Bytes {
  const names = new Set(given.map(([name]) => name.toLowerCase()));
  const closing: [string, string][] = names.has("connection") ? [] : [["Connection", "close"]];
  if (end === "chunk") closing.push(["Transfer-Encoding", "chunked"]);
  else if (end !== "close") closing.push(["Content-Length", `${end}`]);
  return headBytes(`HTTP/1.1 ${status} ${statusText}`, [
    ...given.filter(([name]) => !/^(?:content-length|transfer-encoding)$/i.test(name)),
    ...closing,
  ]);
}

/**
 * Whether the page that asks comes from the host that it asks, or no browser asks at all. A browser
 * lets any page open a WebSocket to any host, with the cookies of that host.
 */
export function isSameHost({ origin, host }: Pick<UpgradeRequest, "origin" | "host">): boolean {
  if (origin === undefined) return true;
  const from = URL.parse(origin);
  if (from === null || (from.protocol !== "http:" && from.protocol !== "https:")) return false;
  // Ports that the scheme implies are left out on both sides.
  return URL.parse(`${from.protocol}//${host}`)?.host === from.host;
}

/** Origin-form, or the path of absolute-form. */
function targetOf(target: string): string {
  const path = target.startsWith("/") ? target : /^https?:\/\/[^/?#]+(.*)$/i.exec(target)?.[1];
  const found = path === undefined || path.startsWith("/") ? path : `/${path}`;
  if (found === undefined || !/^[\x21\x22\x24-\x7e]+$/.test(found)) {
    throw refusal(400, "its target must be a path");
  }
  return found;
}

function originOf(fields: HeaderFields): string | undefined {
  const origins = fields.all("origin");
  if (origins.length > 1) throw refusal(400, "it must name at most one origin");
  return origins[0];
}

function protocolsOf(fields: HeaderFields): string[] {
  const protocols = tokensOf(fields.list("sec-websocket-protocol"));
  if (protocols === undefined) throw refusal(400, "its subprotocols must be a list of tokens");
  if (new Set(protocols).size < protocols.length) {
    throw refusal(400, "its subprotocols must differ");
  }
  return protocols;
}

function offersOf(fields: HeaderFields): Extension[] {
  const offers = extensionsOf(fields.list("sec-websocket-extensions"));
  if (offers === undefined) throw refusal(400, "its extensions must be a list of tokens");
  return offers;
}

function hasNoBody(fields: HeaderFields): boolean {
  return fields.all("content-length").every((length) => length === "0");
}

/** The value of a field that comes exactly once. */
function one(fields: HeaderFields, name: string): string | undefined {
  const values = fields.all(name);
  return values.length === 1 ? values[0] : undefined;
}

function wrongVersion(version: string): HttpError {
  const known = /^HTTP\/\d(?:\.\d)?$/.test(version);
  return refusal(known ? 505 : 400, "it must be HTTP/1.1");
}

function refusal(
  status: number,
  why: string,
  headers: Readonly<Record<string, string>> = {},
): HttpError {
  return new HttpError(status, `Cannot accept request as ${why}`, headers);
}
