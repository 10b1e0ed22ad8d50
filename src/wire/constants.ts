/**
 * The numbers of vnet/1: sizes, frame types, flags, TLVs, features.
 *
 * Owns the registries of PROTOCOL.md as code; a number that is not here is not in the protocol.
 * Knows nothing of bytes, sessions or time.
 */

/** Bytes of a preface. */
export const PREFACE_SIZE = 8;
/** Bytes of a frame's header, its length field included. */
export const HEADER_SIZE = 16;
/** What the length field of an empty body says: it counts all that follows it. */
export const LENGTH_BASE = 12;
/** The smallest `maxFrame` that a peer may announce, in bytes. */
export const MIN_MAX_FRAME: number = 16 * 1024;
/** The largest whole frame before WELCOME or RESUMED, in bytes. */
export const PRE_WELCOME_MAX: number = 16 * 1024;
/** The version of the protocol that this code speaks. */
export const VERSION = 1;

/** Longest topic, method, id, reason, scheme, agent and serializer name, in bytes of UTF-8. */
export const MAX_NAME = 255;
/** Longest path, in bytes of UTF-8. */
export const MAX_PATH = 1024;
/** Longest message of an ERROR, in bytes of UTF-8. */
export const MAX_ERROR_MESSAGE = 4096;

/** Frame types. Bit 7 set: may be ignored by a peer that does not know it. */
export const FrameType = {
  HELLO: 0x01,
  WELCOME: 0x02,
  RESUME: 0x03,
  RESUMED: 0x04,
  REJECT: 0x05,
  PING: 0x08,
  PONG: 0x09,
  ACK: 0x0a,
  GOAWAY: 0x0b,
  CLOSE: 0x0c,
  MSG: 0x10,
  REQUEST: 0x11,
  RESPONSE: 0x12,
  ERROR: 0x13,
  CANCEL: 0x14,
  CHUNK: 0x15,
  CREDIT: 0x16,
  SKIP: 0x17,
} as const;

/** Bits of `flags`. Those in neither RESERVED nor this list do not exist. */
export const Flag = {
  /** The sender has no more items in this direction of the call. */
  END: 0x01,
  /** The body has a metadata block. */
  META: 0x02,
  /** Please acknowledge soon. May be ignored. */
  ACKREQ: 0x04,
  /** Means nothing, so that ignoring stays exercised. */
  GREASE: 0x08,
  /** More fragments follow. */
  MORE: 0x10,
  /** Not in use in vnet/1: a frame with one of these cannot be understood. */
  RESERVED: 0xe0,
} as const;

/** Types of the optional values of handshake frames, without the critical bit. */
export const Tlv = { AGENT: 1, SERIALIZER: 2, INSTANCE: 3, PATH: 4, METADATA: 5 } as const;
/** The bit of a TLV type that says: refuse me if you do not know this. */
export const TLV_CRITICAL = 0x8000;

/** Bits of `features`. */
export const Feature = { RESUME: 0x1, CHECKSUM: 0x2 } as const;

const NAMES = new Map<number, string>(
  Object.entries(FrameType).map(([name, type]) => [type, name]),
);

/** The name of a frame type, for messages. */
export function frameName(type: number): string {
  return NAMES.get(type) ?? `0x${type.toString(16).padStart(2, "0")}`;
}
