/**
 * permessage-deflate (RFC 7692) without context takeover in either direction: each message is
 * compressed by itself, so that a connection keeps no window, and nothing of one message can be
 * learned from the length of another.
 *
 * Owns the negotiation, and what is cut off and put back at the end of a message. Does not compress:
 * it gets the functions for it. `inflate` must stop as soon as there is more than it was allowed.
 */
import type { Bytes } from "../base/types.ts";
import type { Extension } from "./header_values.ts";
import { Status, tooBig, Violation } from "./rfc6455.ts";

/** Raw DEFLATE of a whole message. */
export interface Deflate {
  /** Compresses, with a window of 2^`windowBits` bytes; ends in a sync flush (00 00 FF FF). */
  deflate(data: Uint8Array, windowBits: number): Bytes;
  /**
   * Decompresses what ends in a sync flush; `undefined` as soon as that is more than `maxLength`
   * bytes.
   *
   * @throws what it likes, where the data is no DEFLATE
   */
  inflate(data: Uint8Array, maxLength: number): Bytes | undefined;
}

/** What both ends agreed on. */
export interface DeflateParams {
  /** The window of what we compress. */
  readonly windowBits: number;
}

/** The token of the extension. */
export const DEFLATE = "permessage-deflate";
/** What a client offers. Without `client_max_window_bits` no server may ask for a smaller window. */
export const OFFER = `${DEFLATE}; client_no_context_takeover; server_no_context_takeover`;

const LARGEST_WINDOW = 15;
/** zlib has no smaller one for raw DEFLATE: it would silently use this one in place of 8. */
const SMALLEST_WINDOW = 9;
/** Shorter messages hardly shrink. */
const WORTH_LENGTH = 1_024;
const TAIL: Bytes = new Uint8Array([0, 0, 0xff, 0xff]);

/** Compresses and decompresses the messages of a connection that has agreed to it. */
export class MessageDeflate {
  readonly #deflate: Deflate;
  readonly #windowBits: number;

  constructor(deflate: Deflate, { windowBits }: DeflateParams) {
    this.#deflate = deflate;
    this.#windowBits = windowBits;
  }

  /** The payload for a message; `undefined` where it is better sent as it is. */
  compress(data: Uint8Array): Bytes | undefined {
    if (data.length < WORTH_LENGTH) return undefined;
    const packed = this.#deflate.deflate(data, this.#windowBits);
    const length = packed.length - TAIL.length;
    return length < data.length ? packed.subarray(0, length) : undefined;
  }

  /** The message of a payload. @throws {Violation} where it is broken, or longer than allowed */
  decompress(data: Uint8Array, maxLength: number): Bytes {
    const packed = new Uint8Array(data.length + TAIL.length);
    packed.set(data);
    packed.set(TAIL, data.length);
    let message: Bytes | undefined;
    try {
      message = this.#deflate.inflate(packed, maxLength);
    } catch (cause) {
      throw new Violation(
        Status.invalidData,
        "Cannot decode message as its payload must be DEFLATE data",
        { cause },
      );
    }
    if (message === undefined) throw tooBig("message", maxLength, "more, once inflated");
    return message;
  }
}

/** A server's answer to what was offered: the first offer that it can serve. */
export function answerOffers(
  offers: readonly Extension[],
): { readonly params: DeflateParams; readonly header: string } | undefined {
  for (const offer of offers) {
    if (offer.name !== DEFLATE) continue;
    const windowBits = offeredWindow(offer);
    if (windowBits === undefined) continue;
    const asked = offer.params.some(([name]) => name === "server_max_window_bits");
    const window = asked ? `; server_max_window_bits=${windowBits}` : "";
    const header = `${DEFLATE}; server_no_context_takeover; client_no_context_takeover${window}`;
    return { params: { windowBits }, header };
  }
  return undefined;
}

/** What a server's answer to `OFFER` means; `undefined` where it may not answer so. */
export function agreedParams({ params }: Extension): DeflateParams | undefined {
  if (hasRepeated(params)) return undefined;
  let serverTakeover = true;
  for (const [name, value] of params) {
    if (name === "server_no_context_takeover" && value === true) serverTakeover = false;
    else if (name === "client_no_context_takeover" && value === true) continue;
    else if (name === "server_max_window_bits" && windowOf(value, 8) !== undefined) continue;
    else return undefined;
  }
  return serverTakeover ? undefined : { windowBits: LARGEST_WINDOW };
}

/** The window that an offer lets a server use; `undefined` where the offer cannot be served. */
function offeredWindow({ params }: Extension): number | undefined {
  if (hasRepeated(params)) return undefined;
  let windowBits = LARGEST_WINDOW;
  for (const [name, value] of params) {
    if (name === "server_no_context_takeover" || name === "client_no_context_takeover") {
      if (value !== true) return undefined;
    } else if (name === "server_max_window_bits") {
      const bits = windowOf(value, SMALLEST_WINDOW);
      if (bits === undefined) return undefined;
      windowBits = bits;
    } else if (name === "client_max_window_bits") {
      // A hint only: whatever window the client uses, ours is the largest.
      if (value !== true && windowOf(value, 8) === undefined) return undefined;
    } else {
      return undefined;
    }
  }
  return windowBits;
}

function windowOf(value: string | true, least: number): number | undefined {
  if (value === true || !/^(?:[89]|1[0-5])$/.test(value)) return undefined;
  const bits = Number(value);
  return bits >= least ? bits : undefined;
}

function hasRepeated(params: Extension["params"]): boolean {
  return new Set(params.map(([name]) => name)).size < params.length;
}
