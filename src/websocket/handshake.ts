/**
 * What both halves of the opening handshake share (RFC 6455, section 4).
 *
 * Owns what a key is made into, which header fields are the handshake's own, and how a head is
 * written.
 */
import type { Bytes } from "../base/types.ts";
import { isToken } from "./header_values.ts";

/** The version of the protocol, and the only one there is. */
export const VERSION = "13";

/** SHA-1 of a text, in base64. It proves nothing but that both ends speak WebSocket. */
export type Sha1 = (text: string) => string;

/** Appended to a key before it is hashed. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OWN_FIELDS =
  /^(?:host|connection|upgrade|sec-websocket-.*|content-length|transfer-encoding)$/i;

/** What a server answers to a key. */
export function acceptFor(key: string, sha1: Sha1): string {
  return sha1(key + GUID);
}

/** The subprotocol for an offer: the first of the client's that the server speaks; "" for none. */
export function agreeOn(offered: readonly string[], spoken: readonly string[]): string {
  return offered.find((protocol) => spoken.includes(protocol)) ?? "";
}

/** Checks subprotocols that the application names. @throws {TypeError | RangeError} */
export function checkProtocols(protocols: readonly string[]): void {
  for (const protocol of protocols) {
    if (isToken(protocol)) continue;
    throw new TypeError(
      `Cannot use subprotocol as it must be a token: current value is ${JSON.stringify(protocol)}`,
    );
  }
  if (new Set(protocols).size < protocols.length) {
    throw new RangeError(
      `Cannot use subprotocols as they must differ: current value is ${protocols}`,
    );
  }
}

/** Header fields that the application adds. @throws {TypeError} where one is the handshake's own */
export function addedFields(init: HeadersInit = {}): [name: string, value: string][] {
  const fields = [...new Headers(init)];
  for (const [name] of fields) {
    if (!OWN_FIELDS.test(name)) continue;
    throw new TypeError(
      `Cannot set header field as the handshake sets it itself: current value is ${name}`,
    );
  }
  return fields;
}

/** A head as bytes. Its parts hold no character beyond Latin-1, and no line break. */
export function headBytes(
  firstLine: string,
  fields: Iterable<readonly [name: string, value: string]>,
): Bytes {
  const lines = Array.from(fields, ([name, value]) => `${name}: ${value}\r\n`);
  const text = `${firstLine}\r\n${lines.join("")}\r\n`;
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
