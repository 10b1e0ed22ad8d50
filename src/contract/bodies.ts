/**
 * The bodies of a contract at run time: how each travels, and what it must be.
 *
 * Owns the meeting of serializer and validator. What becomes of a value that does not fit is the
 * business of whoever asked.
 *
 * 1. Nothing here throws or rejects where a value came from the other end, whatever it is, and
 *    whatever the validator does with it: it is a misfit.
 * 2. Where nothing is to be checked nothing is called, and what a validator answers at once is known
 *    at once.
 * 3. Names are looked up in Maps: one may be `__proto__`.
 */
import type { Issue } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { DESCRIBE } from "./define.ts";
import { describe, type Description } from "./describe.ts";
import { boundIssues } from "./issues.ts";
import { isSchema, kindOf } from "./schemas.ts";
import { json } from "./serializers.ts";
import type { AnyContract, Api, Schema, Validated } from "./types.ts";

/** A serializer without types. */
export interface PlainSerializer {
  /** Compared in the handshake. */
  readonly name: string;
  /** Gives the bytes of a value. */
  serialize(value: unknown): Uint8Array;
  /** Gives the value of bytes. */
  deserialize(bytes: Bytes): unknown;
}

/** A value that fits, as its receiver gets it, or why there is none. */
export type Verdict = { readonly value: unknown; readonly issues?: undefined } | Misfit;

/** Why there is no value. */
export interface Misfit {
  /** What is wrong with it. */
  readonly issues: readonly Issue[];
  /** The bytes are none of the serializer's, or the validator itself failed; else absent. */
  readonly fault?: "unreadable" | "validator";
  /** What was thrown then. */
  readonly cause?: unknown;
}

/** Judges a value. */
export type Check = (value: unknown) => Verdict | Promise<Verdict>;

/** One body of a contract. */
export interface Body {
  /** Judges a value; absent where anything goes. */
  readonly check: Check | undefined;
  /** Gives the bytes of a value, unchecked. */
  encode(value: unknown): Uint8Array;
  /** Gives the value of bytes, checked. */
  read(payload: Bytes): Verdict | Promise<Verdict>;
  /** As `read`, or throws; absent where something is checked. It makes no verdict for each. */
  readonly decode?: (payload: Bytes) => unknown;
}

/** The bodies of a method. What it has not is absent. */
export interface MethodBodies {
  readonly input: Body;
  readonly stream: Body | undefined;
  readonly output: Body | undefined;
  readonly yields: Body | undefined;
}

/** What one side understands. */
export interface ApiBodies {
  /** The bodies of a method that there is. */
  method(name: string): MethodBodies | undefined;
  /** The body of a message, under a topic that there is. */
  message(topic: string): Body | undefined;
}

/** What both sides of a session understand. */
export interface SessionBodies {
  readonly serializer: PlainSerializer;
  readonly server: ApiBodies;
  readonly client: ApiBodies;
  /** What `__describe` answers, where it does. */
  readonly description: (() => Description) | undefined;
}

/** One that is known at once, since nothing is checked. */
interface LooseBody extends Body {
  read(payload: Bytes): Verdict;
}

const NOTHING = new Uint8Array(0);
const known = new WeakMap<AnyContract, SessionBodies>();
const loose = new WeakMap<PlainSerializer, SessionBodies>();

/** The bodies of a contract. Many clients may share one. */
export function contractBodies(contract: AnyContract): SessionBodies {
  const found = known.get(contract);
  if (found !== undefined) return found;
  const { serializer = json(), server, client } = contract;
  let description: Description | undefined;
  const tell = contract.describe === true
    ? () => description ??= describe({ ...contract, serializer })
    : undefined;
  const bodies = {
    serializer,
    server: apiBodies(server, serializer, tell !== undefined),
    client: apiBodies(client, serializer, tell !== undefined),
    description: tell,
  };
  known.set(contract, bodies);
  return bodies;
}

/** Any method, any topic, and every body a value of the serializer, which many clients may share. */
export function looseBodies(serializer: PlainSerializer): SessionBodies {
  const found = loose.get(serializer);
  if (found !== undefined) return found;
  const api = looseApi(serializer);
  const bodies = { serializer, server: api, client: api, description: undefined };
  loose.set(serializer, bodies);
  return bodies;
}

/** Whether a verdict is still to come. */
export function isPending(
  verdict: Verdict | Promise<Verdict> | undefined,
): verdict is Promise<Verdict> {
  return verdict instanceof Promise;
}

function apiBodies(api: Api, serializer: PlainSerializer, described: boolean): ApiBodies {
  const methods = new Map<string, MethodBodies>();
  const messages = new Map<string, Body>();
  for (const [name, { method, message }] of Object.entries(api)) {
    if (isSchema(message)) messages.set(name, itemBody(message, serializer));
    if (typeof method !== "object" || method === null) continue;
    const schemas = new Map(Object.entries(method));
    const of = (part: string, make: typeof wholeBody): Body | undefined => {
      const schema: unknown = schemas.get(part);
      return isSchema(schema) ? make(schema, serializer) : undefined;
    };
    methods.set(name, {
      input: of("input", wholeBody) ?? looseWhole(serializer),
      stream: of("stream", itemBody),
      output: of("output", wholeBody),
      yields: of("yields", itemBody),
    });
  }
  if (described) {
    const whole = looseWhole(serializer);
    methods.set(DESCRIBE, { input: whole, output: whole, stream: undefined, yields: undefined });
  }
  return { method: (name) => methods.get(name), message: (topic) => messages.get(topic) };
}

function looseApi(serializer: PlainSerializer): ApiBodies {
  const whole = looseWhole(serializer);
  const item = looseItem(serializer);
  const method = { input: whole, stream: item, output: whole, yields: item };
  return { method: () => method, message: () => item };
}

/** An input or an output: it may be nothing, which has no bytes. */
function wholeBody(schema: Schema, serializer: PlainSerializer): Body {
  const kind = kindOf(schema);
  if (kind === "bytes") return bytesBody(checkOf(schema));
  if (kind === "nothing") return nothingBody(checkOf(schema));
  const loose = looseWhole(serializer);
  return kind === "unchecked" ? loose : checkedBody(loose, checkOf(schema));
}

/** An item of a stream, or a message. */
function itemBody(schema: Schema, serializer: PlainSerializer): Body {
  const kind = kindOf(schema);
  if (kind === "bytes") return bytesBody(checkOf(schema));
  const loose = looseItem(serializer);
  return kind === "unchecked" ? loose : checkedBody(loose, checkOf(schema));
}

function looseWhole(serializer: PlainSerializer): LooseBody {
  return {
    check: undefined,
    encode: (value) => value === undefined ? NOTHING : serializer.serialize(value),
    read: (payload) => {
      try {
        return { value: serializer.deserialize(payload) };
      } catch (cause) {
        // A serializer none of whose values is empty need not know what is nothing.
        return payload.length === 0 ? { value: undefined } : unreadable(cause);
      }
    },
  };
}

function looseItem(serializer: PlainSerializer): LooseBody {
  return {
    check: undefined,
    encode: (value) => serializer.serialize(value),
    decode: (payload) => serializer.deserialize(payload),
    read: (payload) => {
      try {
        return { value: serializer.deserialize(payload) };
      } catch (cause) {
        return unreadable(cause);
      }
    },
  };
}

/** Past the serializer, which may have another form for bytes. */
function bytesBody(check: Check): Body {
  return {
    check,
    encode: (value) => {
      if (value instanceof Uint8Array) return value;
      throw new TypeError("Cannot encode body as it must be a Uint8Array");
    },
    read: (payload) => ({ value: payload }),
  };
}

function nothingBody(check: Check): Body {
  return {
    check,
    encode: () => NOTHING,
    read: (payload) => check(payload.length === 0 ? undefined : payload),
  };
}

function checkedBody({ encode, read }: LooseBody, check: Check): Body {
  return {
    check,
    encode,
    read: (payload) => {
      const verdict = read(payload);
      return verdict.issues === undefined ? check(verdict.value) : verdict;
    },
  };
}

function checkOf({ "~standard": standard }: Schema): Check {
  return (value) => {
    try {
      const result = standard.validate(value);
      if (result instanceof Promise) return result.then(judged, failed);
      // A promise of some other making would pass for a value that is undefined.
      const strange = result.issues === undefined && result.value === undefined && "then" in result;
      return strange ? Promise.resolve(result).then(judged, failed) : verdictOf(result);
    } catch (error) {
      return failed(error);
    }
  };
}

function judged(result: Validated<unknown>): Verdict {
  try {
    return verdictOf(result);
  } catch (error) {
    return failed(error);
  }
}

function verdictOf(result: Validated<unknown>): Verdict {
  return result.issues === undefined ? result : { issues: boundIssues(result.issues) };
}

function unreadable(cause: unknown): Misfit {
  return { issues: [], fault: "unreadable", cause };
}

/** A value may be too deep for a validator that calls itself: that is the value's fault. */
function failed(cause: unknown): Misfit {
  if (cause instanceof RangeError) {
    return { issues: [{ message: "It is too deep or too large to be checked" }], cause };
  }
  return { issues: [], fault: "validator", cause };
}
