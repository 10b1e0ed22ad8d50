/**
 * The bodies of one session: which end understands what, and the errors of those that do not fit.
 *
 * 1. What this end gives and does not fit never leaves. That is the caller's mistake where it calls,
 *    and this end's own where it answers.
 * 2. What arrives and does not fit reaches nobody.
 */
import { RpcError, type RpcErrorOptions } from "../base/errors.ts";
import type { Bytes, Side } from "../base/types.ts";
import {
  type ApiBodies,
  type Body,
  contractBodies,
  isPending,
  looseBodies,
  type Misfit,
  type PlainSerializer,
  type SessionBodies,
  type Verdict,
} from "../contract/bodies.ts";
import { DESCRIBE } from "../contract/define.ts";
import { issuesInWords } from "../contract/issues.ts";
import { raw } from "../contract/serializers.ts";
import type { AnyContract } from "../contract/types.ts";
import type { AnyHandler } from "./call_options.ts";
import type { AnySerializer } from "./owner.ts";

/** The part of the options of a session that says what its bodies are. */
export interface BodyOptions {
  readonly contract?: AnyContract;
  readonly serializer?: PlainSerializer;
  readonly methods?: unknown;
}

/** What bodies are where nothing is said of them: the same for all, so that many have it once. */
const RAW = raw();
const known = new WeakMap<SessionBodies, Partial<Record<Side, AnySerializer>>>();

/** Bytes of a value, now or when its check is through. */
export type Encoded = Uint8Array | PromiseLike<Uint8Array>;

/**
 * A value of this end's own making that does not fit. It stays inside: whoever sees to it makes of it
 * what is to be told.
 */
export class Unfit extends Error {
  readonly misfit: Misfit;

  constructor(misfit: Misfit) {
    super("A value does not fit the contract", { cause: misfit.cause });
    this.misfit = misfit;
  }
}

/** @throws {TypeError} where they are not to be used together, or name what the contract does not */
export function sessionBodies(options: BodyOptions, side: Side): AnySerializer {
  const { contract, serializer = RAW, methods } = options;
  if (contract !== undefined && options.serializer !== undefined) {
    throw new TypeError("Cannot use 'contract' and 'serializer' together: a contract has its own");
  }
  const bodies = contract === undefined ? looseBodies(serializer) : contractBodies(contract);
  for (const name of Object.keys(methods ?? {})) demandMethod(bodies[side], name);
  const sides = known.get(bodies) ?? {};
  known.set(bodies, sides);
  return sides[side] ??= bodiesOf(bodies, side);
}

function bodiesOf(bodies: SessionBodies, side: Side): AnySerializer {
  const { serializer, description } = bodies;
  return {
    name: serializer.name,
    serialize: (value) => serializer.serialize(value),
    deserialize: (bytes) => serializer.deserialize(bytes),
    local: bodies[side],
    remote: bodies[side === "client" ? "server" : "client"],
    description,
  };
}

/** @throws {TypeError} when the contract has no such method on this side */
export function demandMethod(local: ApiBodies, name: string): void {
  if (local.method(name) !== undefined) return;
  throw new TypeError(`Cannot handle '${name}' as the contract has no such method on this side`);
}

/** What a peer answers by itself. */
export function builtIn({ description }: AnySerializer, method: string): AnyHandler | undefined {
  return method === DESCRIBE ? description : undefined;
}

/** Gives the bytes of a value. @throws {Unfit} now or later; and what the serializer throws */
export function encodeChecked(body: Body, value: unknown): Encoded {
  const verdict = body.check?.(value);
  if (verdict === undefined) return body.encode(value);
  return isPending(verdict)
    ? verdict.then((verdict) => encodeFitting(body, value, verdict))
    : encodeFitting(body, value, verdict);
}

/**
 * The error of what came and does not fit: INVALID_ARGUMENT for what a caller gave, INTERNAL for what
 * it got; of a validator that failed always INTERNAL.
 */
export function misfitError(
  code: "INVALID_ARGUMENT" | "INTERNAL",
  what: string,
  { issues, fault, cause }: Misfit,
  options: RpcErrorOptions,
): RpcError {
  const chained = cause === undefined ? options : { ...options, cause };
  if (fault === "unreadable") return new RpcError(code, `${what} cannot be read`, chained);
  if (fault === "validator") return new RpcError("INTERNAL", `${what} cannot be checked`, chained);
  const words = `${what} does not fit the contract: ${issuesInWords(issues)}`;
  return new RpcError(code, words, { ...chained, issues });
}

/** What whoever watches this end is told of its own mistake. */
export function ownMistake(what: string, { issues, fault, cause }: Misfit): unknown {
  if (fault !== undefined) return cause;
  return new TypeError(
    `Cannot send ${what} as it must fit the contract: ${issuesInWords(issues)}`,
    { cause: issues },
  );
}

/**
 * The bytes of a message under a topic, checked as the contract says.
 *
 * @throws {TypeError} now or later, when the contract has no such topic, or the body does not fit
 */
export function encodeMessage({ remote }: AnySerializer, topic: string, value: unknown): Encoded {
  const body = remote.message(topic);
  if (body === undefined) {
    throw new TypeError(`Cannot send message as the contract has no topic '${topic}'`);
  }
  const verdict = body.check?.(value);
  if (verdict === undefined) return body.encode(value);
  return isPending(verdict)
    ? verdict.then((verdict) => encodeJudged(body, topic, value, verdict))
    : encodeJudged(body, topic, value, verdict);
}

/**
 * The value of a message that came under a topic, checked as the contract says: now, or when its check
 * is through.
 *
 * @throws now or later, when the contract has no such topic, or it does not fit: by a `TypeError` with
 * its issues as cause
 */
export function decodeMessage({ local }: AnySerializer, topic: string, payload: Bytes): unknown {
  const body = local.message(topic);
  if (body === undefined) {
    throw new TypeError(`Cannot take message as the contract has no topic '${topic}'`);
  }
  if (body.decode !== undefined) return body.decode(payload);
  const verdict = body.read(payload);
  return isPending(verdict)
    ? verdict.then((verdict) => fitting(topic, verdict))
    : fitting(topic, verdict);
}

function fitting(topic: string, verdict: Verdict): unknown {
  if (verdict.issues === undefined) return verdict.value;
  const { issues, fault, cause } = verdict;
  if (fault !== undefined) throw cause;
  const words = issuesInWords(issues);
  throw new TypeError(`Cannot take message '${topic}' as it must fit the contract: ${words}`, {
    cause: issues,
  });
}

function encodeJudged(body: Body, topic: string, value: unknown, verdict: Verdict): Uint8Array {
  if (verdict.issues === undefined) return body.encode(value);
  throw ownMistake(`message '${topic}'`, verdict);
}

function encodeFitting(body: Body, value: unknown, verdict: Verdict): Uint8Array {
  if (verdict.issues !== undefined) throw new Unfit(verdict);
  return body.encode(value);
}
