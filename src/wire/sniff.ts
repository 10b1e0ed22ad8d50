/**
 * Guesses what a stranger speaks, to say so in an error message. Nothing else depends on it.
 */

/** Beginnings that are text. A request or a greeting: either end may be the stranger. */
const TEXTS: readonly (readonly [prefix: string, name: string])[] = [
  ["HTTP/", "HTTP"],
  ["GET ", "HTTP"],
  ["POST ", "HTTP"],
  ["PUT ", "HTTP"],
  ["HEAD ", "HTTP"],
  ["PATCH ", "HTTP"],
  ["TRACE ", "HTTP"],
  ["DELETE ", "HTTP"],
  ["OPTIONS ", "HTTP"],
  ["CONNECT ", "HTTP"],
  ["PRI * HTTP/2", "HTTP/2"],
  ["SSH-", "SSH"],
  ["AMQP", "AMQP"],
  ["INFO {", "NATS"],
  ["CONNECT{", "NATS"],
  ["-ERR ", "Redis"],
  ["220 ", "SMTP or FTP"],
  ["220-", "SMTP or FTP"],
];
/** A length above this is more likely to be something else. */
const LARGEST_LENGTH = 16 * 1024 * 1024;
const SHORTEST_TEXT = 4;
const LOOKED_AT = 1024;

/**
 * Names what the first bytes of a stream look like, to fill "The other end speaks …, not vnet";
 * `undefined` when they look like nothing known.
 */
export function sniff(bytes: Uint8Array): string | undefined {
  const start = bytes.subarray(0, LOOKED_AT);
  const text = latin1(start);
  if (text.startsWith("\xf9VNET")) return "vnet";
  const named = TEXTS.find(([prefix]) => text.startsWith(prefix))?.[1];
  if (named !== undefined) return isUpgrade(text) ? "WebSocket" : named;
  if (isTls(start)) return "TLS";
  if (isMqtt(start, text)) return "MQTT";
  if (isHttp2Settings(start)) return "HTTP/2";
  if (isSocks(start)) return "SOCKS";
  if (start[0] === 0xad && start[1] === 0x12) return "tcpstream";
  if (start.length >= SHORTEST_TEXT && isText(start)) return "text";
  if (isLengthPrefixed(start)) return "another length-prefixed framing";
  return undefined;
}

function isUpgrade(text: string): boolean {
  return /\r\nupgrade:[ \t]*websocket/i.test(text);
}

/** A record of any kind: a hello, an alert. */
function isTls([kind = 0, major, minor = 0xff]: Uint8Array): boolean {
  return kind >= 0x14 && kind <= 0x17 && major === 3 && minor <= 4;
}

/** CONNECT, whose length takes one to four bytes, or CONNACK. */
function isMqtt(bytes: Uint8Array, text: string): boolean {
  if (bytes[0] === 0x20) return bytes[1] === 2 && bytes.length === 4;
  const name = text.slice(0, 14);
  return bytes[0] === 0x10 && (name.includes("\0\x04MQTT") || name.includes("\0\x06MQIsdp"));
}

/** The first frame of an HTTP/2 server: SETTINGS on stream 0. */
function isHttp2Settings(bytes: Uint8Array): boolean {
  return bytes.length >= 9 && bytes[0] === 0 && bytes[3] === 4 &&
    bytes.subarray(4, 9).every((byte) => byte === 0);
}

/** SOCKS5 greeting or choice of a method, or a SOCKS4 request. */
function isSocks(bytes: Uint8Array): boolean {
  const [version, second = 0] = bytes;
  if (version === 5) {
    if (bytes.length === 2) return second === 0 || second === 2 || second === 0xff;
    return second > 0 && bytes.length === 2 + second;
  }
  return version === 4 && (second === 1 || second === 2) && bytes.length >= 9;
}

/** UTF-8 without control characters other than white space; a cut last character is fine. */
function isText(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return !/[^\P{Cc}\t\n\r]/u.test(text);
  } catch {
    return false;
  }
}

function isLengthPrefixed(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 4);
  return [view.getUint32(0), view.getUint32(0, true)].some((length) =>
    length > 0 && length <= LARGEST_LENGTH
  );
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
