/**
 * MessagePack as a serializer: smaller than JSON, and with bytes, instants and bigints of its own.
 * Whoever does not import this subpath does not load the package behind it.
 *
 * ```ts
 * import { connect, serve } from "@vgo/vnet";
 * import { contract, method, type } from "@vgo/vnet/contract";
 * import { msgpack } from "@vgo/vnet/msgpack";
 * import { assertEquals } from "@std/assert";
 *
 * const api = contract({
 *   server: { later: method({ input: type<Date>(), output: type<Date>() }) },
 *   serializer: msgpack(),
 * });
 * await using server = await serve("127.0.0.1:0", {
 *   contract: api,
 *   methods: { later: (date) => new Date(date.getTime() + 1_000) },
 * });
 * await using client = await connect(server.addr, { contract: api });
 * assertEquals(await client.call("later", new Date(0)), new Date(1_000));
 * ```
 *
 * @module
 */
import {
  Decoder,
  decodeTimestampExtension,
  Encoder,
  encodeTimestampExtension,
  EXT_TIMESTAMP,
  ExtData,
} from "@msgpack/msgpack";
import {
  checkHeld,
  checkHeldObject,
  checkMessagePack,
  MAX_DEPTH,
  unheld,
} from "./contract/msgpack_guard.ts";
import type { Serializer } from "./contract/types.ts";
import { taken } from "./peer/trust.ts";

export type { Bytes } from "./base/types.ts";
export type {
  AnyContract,
  Api,
  BodyOf,
  Issue,
  Loose,
  MaybeSchema,
  MessageSpec,
  MethodSpec,
  Outgoing,
  Schema,
  Serializer,
  SerializerFor,
  Untyped,
  Validated,
} from "./contract/types.ts";

/** An encoder keeps a buffer as large as its largest value: one that has grown so large is let go. */
const MAX_KEPT = 1 << 20;

/**
 * MessagePack (https://msgpack.org).
 *
 * What survives: `null`, booleans, numbers (but `-0` is 0), texts, bigints of 64 bits, `Date` (from
 * 1970 to the ms; an instant is a MessagePack timestamp), `Uint8Array` (other views as one), arrays,
 * and objects by their own enumerable fields. `undefined` is left out of objects and is `null` in
 * arrays. A map of another language becomes an object with texts as keys.
 *
 * What it would lose in silence is refused where it is sent: functions, symbols, `Map`, `Set`,
 * `ArrayBuffer`, larger bigints, invalid dates, halves of surrogate pairs, and what is more than 128
 * deep. Refused where it arrives: what is not whole or has bytes left over, texts that are not UTF-8,
 * extensions other than timestamps, a key `__proto__`, and the same depth.
 *
 * @example
 * ```ts
 * import { msgpack } from "@vgo/vnet/msgpack";
 * import { assertEquals } from "@std/assert";
 *
 * const serializer = msgpack<{ at: Date; hash: Uint8Array }>();
 * const value = { at: new Date(), hash: new Uint8Array([1, 2]) };
 * const bytes = new Uint8Array(serializer.serialize(value));
 * assertEquals(serializer.deserialize(bytes), value);
 * ```
 */
export function msgpack<T = unknown>(): Serializer<T> {
  const decoder = new Decoder(OPTIONS);
  let encoder = new Encoder(OPTIONS);
  return {
    name: "msgpack",
    serialize(value) {
      if (value === undefined) throw unheld("current value is undefined");
      try {
        checkHeld(value);
        const bytes = encoder.encode(value);
        if (bytes.length > MAX_KEPT) encoder = new Encoder(OPTIONS);
        return bytes;
      } catch (cause) {
        if (cause instanceof TypeError) throw cause;
        throw unheld(wordsOf(cause), cause);
      }
    },
    deserialize(bytes) {
      checkMessagePack(bytes);
      try {
        return taken(decoder.decode(bytes));
      } catch (cause) {
        throw new SyntaxError(`Cannot read MessagePack as ${wordsOf(cause)}`, { cause });
      }
    },
  };
}

/** Instants are the only extension. The encoder shows it every object before it encodes it. */
const EXTENSIONS = {
  tryToEncode(object: unknown): ExtData | null {
    if (object instanceof Date) {
      if (Number.isNaN(object.getTime())) throw unheld("a date must be valid");
      const data = encodeTimestampExtension(object);
      return data && new ExtData(EXT_TIMESTAMP, data);
    }
    if (typeof object === "object" && object !== null) checkHeldObject(object);
    else checkHeld(object);
    return null;
  },
  decode(data: Uint8Array): Date {
    const date = decodeTimestampExtension(data);
    if (!Number.isNaN(date.getTime())) return date;
    throw new RangeError("an instant must be one that a Date can hold");
  },
};

const OPTIONS = {
  extensionCodec: EXTENSIONS,
  useBigInt64: true,
  ignoreUndefined: true,
  // Counted from the outermost value to the innermost.
  maxDepth: MAX_DEPTH + 1,
};

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
