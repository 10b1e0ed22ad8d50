/**
 * The schemas that come with vnet: for what is not checked, for bare bytes, and for nothing.
 *
 * 1. They are recognized by what stands in them, not by which copy of this module made them: a
 *    contract may come from another package.
 */
import type { Bytes } from "../base/types.ts";
import type { Schema, Validated } from "./types.ts";

/** How a body travels, as far as vnet has a word in it. */
export type Kind = "value" | "unchecked" | "bytes" | "nothing";

const VENDOR = "vnet";

/**
 * A type that is only claimed: nothing is checked, on neither end, and nothing is spent. For ends that
 * trust each other.
 *
 * @example
 * ```ts
 * import { contract, method, type } from "@vgo/vnet/contract";
 *
 * export const calculator = contract({
 *   server: { add: method({ input: type<[number, number]>(), output: type<number>() }) },
 * });
 * ```
 */
export function type<T>(): Schema<T> {
  return own<T, T>("unchecked", (value) => claimed<T>(value) ? { value } : wrong("a value"));
}

/**
 * A bare `Uint8Array`. It travels as it is, whatever the serializer.
 *
 * @example
 * ```ts
 * import { bytes, contract, method, type } from "@vgo/vnet/contract";
 *
 * export const files = contract({
 *   server: { upload: method({ input: type<string>(), stream: bytes(), output: type<number>() }) },
 * });
 * ```
 */
export function bytes(): Schema<Uint8Array, Bytes> {
  return own<Uint8Array, Bytes>("bytes", (value) => isBytes(value) ? { value } : wrong("bytes"));
}

/** What a method has that was given no schema for its input, or its output. */
export function nothing(): Schema<void> {
  return own<void, void>(
    "nothing",
    (value) => value === undefined ? { value } : wrong("nothing at all"),
  );
}

/** How the bodies of a schema travel. */
export function kindOf({ "~standard": standard }: Schema): Kind {
  if (standard.vendor !== VENDOR || !("kind" in standard)) return "value";
  const { kind } = standard;
  return kind === "unchecked" || kind === "bytes" || kind === "nothing" ? kind : "value";
}

/** Whether this is a schema. Those of some validators are functions. */
export function isSchema(value: unknown): value is Schema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  if (!("~standard" in value)) return false;
  const standard = value["~standard"];
  return typeof standard === "object" && standard !== null && "validate" in standard &&
    typeof standard.validate === "function";
}

interface OwnSchema<I, O> extends Schema<I, O> {
  readonly "~standard": Schema<I, O>["~standard"] & { readonly kind: Kind };
}

function own<I, O>(kind: Kind, validate: (value: unknown) => Validated<O>): OwnSchema<I, O> {
  return { "~standard": { version: 1, vendor: VENDOR, validate, kind } };
}

function wrong(expected: string): Validated<never> {
  return { issues: [{ message: `Expected ${expected}` }] };
}

/** The application's word is taken, here and nowhere else in this room. */
function claimed<T>(_value: unknown): _value is T {
  return true;
}

/** Those on shared memory pass for bytes as well: they are copied when they are written. */
function isBytes(value: unknown): value is Bytes {
  return value instanceof Uint8Array;
}
