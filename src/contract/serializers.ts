/**
 * The serializers that come with vnet: bytes as they are, text, JSON.
 *
 * Each lets a bare `Uint8Array` through as it is when it is told to serialize one.
 */
import type { Bytes } from "../base/types.ts";
import type { Serializer } from "./types.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Bytes as they are. The default.
 *
 * @example
 * ```ts
 * import { raw } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(raw().serialize(new Uint8Array([1, 2])), new Uint8Array([1, 2]));
 * ```
 */
export function raw(): Serializer<Bytes> {
  return { name: "raw", serialize: bytesOnly, deserialize: (bytes) => bytes };
}

/**
 * Text as UTF-8. Bytes that are not UTF-8 are refused where they arrive.
 *
 * @example
 * ```ts
 * import { text } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * const serializer = text();
 * assertEquals(serializer.deserialize(new Uint8Array(serializer.serialize("hello"))), "hello");
 * ```
 */
export function text(): Serializer<string> {
  return {
    name: "text",
    serialize(value) {
      if (typeof value === "string") return encoder.encode(value);
      return bytesOnly(value, "text()", "a string");
    },
    deserialize: (bytes) => decoder.decode(bytes),
  };
}

/**
 * JSON as UTF-8. What JSON cannot hold (`undefined`, functions, bigint) is refused where it is sent;
 * what `JSON.stringify` leaves out or changes (`Map`, `NaN`, `Date`) it leaves out or changes.
 *
 * What comes is a value of `JSON.parse`, as deep as a message can be. A key `__proto__` is a field like
 * any other there, and no prototype: do not copy such values into others field by field, unseen.
 *
 * @example
 * ```ts
 * import { json } from "@vgo/vnet";
 * import { assertEquals } from "@std/assert";
 *
 * const serializer = json<{ price: number }>();
 * const bytes = new Uint8Array(serializer.serialize({ price: 1.5 }));
 * assertEquals(serializer.deserialize(bytes), { price: 1.5 });
 * ```
 */
export function json<T = unknown>(): Serializer<T> {
  return {
    name: "json",
    serialize(value) {
      if (value instanceof Uint8Array) return value;
      const json: string | undefined = JSON.stringify(value);
      if (json === undefined) {
        throw new TypeError(
          `Cannot serialize value as JSON must be able to hold it: current value is a ${typeof value}`,
        );
      }
      return encoder.encode(json);
    },
    deserialize(bytes) {
      const text = decoder.decode(bytes);
      try {
        // No JSON text is empty: what is empty is what a method gives that gives nothing.
        return text === "" ? undefined : JSON.parse(text);
      } catch {
        // What `JSON.parse` throws quotes the text, which is nothing for logs.
        throw new SyntaxError("Cannot deserialize body as it must be JSON");
      }
    },
  };
}

function bytesOnly(value: unknown, name = "raw()", expected = "a Uint8Array"): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(
    `Cannot serialize body with ${name} as it must be ${expected}: current value is a ${typeof value}`,
  );
}
