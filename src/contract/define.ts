/**
 * How a contract is written: plain data, one file for both ends.
 *
 * Owns the check that it is one. What its schemas do is theirs.
 */
import { json } from "./serializers.ts";
import { isSchema, nothing } from "./schemas.ts";
import type {
  Api,
  Contract,
  MaybeSchema,
  MessageSpec,
  MethodSpec,
  Nothing,
  Schema,
  Serializer,
} from "./types.ts";

/** The method that tells what a contract is, where it says that it may be told. */
export const DESCRIBE = "__describe";

/** What a contract is made of. */
export interface ContractDefinition<S extends Api, C extends Api> {
  /** What the server understands, so what clients may send it, by name. @default {{}} */
  readonly server?: S;
  /** What the client understands, so what the server may send it, by name. @default {{}} */
  readonly client?: C;
  /** Turns all bodies into bytes and back. @default {json()} */
  readonly serializer?: Serializer;
  /**
   * Whether either end answers calls of `__describe` with a `Description`, for tools. Turn it on for a
   * single end with `{ ...api, describe: true }`. @default {false}
   */
  readonly describe?: boolean;
}

/** What {@linkcode method} makes a method of that gives one value. */
export interface CallSchemas<
  I extends Schema,
  S extends MaybeSchema,
  O extends Schema,
> {
  /** What the caller sends. @default {nothing} */
  readonly input?: I;
  /** What it sends along, item by item. @default {nothing} */
  readonly stream?: S;
  /** What it gets. @default {nothing} */
  readonly output?: O;
}

/** What {@linkcode method} makes a method of that gives items. */
export interface StreamSchemas<
  Y extends Schema,
  I extends Schema,
  S extends MaybeSchema,
> {
  /** What the caller sends. @default {nothing} */
  readonly input?: I;
  /** What it sends along, item by item. @default {nothing} */
  readonly stream?: S;
  /** What it gets, item by item. */
  readonly yields: Y;
}

/**
 * What both ends of a session understand, by name: what may be called and sent, with which bodies.
 * `connect`, `serve` and `attach` infer their types from it, and check what it gives schemas for.
 *
 * A value is checked on both ends: where it leaves, so that a mistake shows where it is made, and where
 * it arrives. What travels is the original; the receiver gets what its schema makes of it, so
 * that coercions and transforms run once.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@vgo/vnet";
 * import { contract, method, type } from "@vgo/vnet/contract";
 * import { assertEquals } from "@std/assert";
 *
 * const api = contract({
 *   server: { add: method({ input: type<[number, number]>(), output: type<number>() }) },
 * });
 * await using server = await serve("127.0.0.1:0", {
 *   contract: api,
 *   methods: { add: ([a, b]) => a + b },
 * });
 * await using client = await connect(server.addr, { contract: api });
 * assertEquals(await client.call("add", [1, 2]), 3);
 * ```
 *
 * @throws {TypeError} when an entry was made neither by `method` nor by `message`
 */
export function contract<const S extends Api = Nothing, const C extends Api = Nothing>(
  definition: ContractDefinition<S, C>,
): Contract<S, C>;
export function contract(
  { server = {}, client = {}, serializer = json(), describe = false }: ContractDefinition<Api, Api>,
): Contract<Api, Api> {
  checkSide("server", server);
  checkSide("client", client);
  return Object.freeze({ server, client, serializer, describe });
}

/**
 * A method: a value in, and one value (`output`) or many (`yields`) back. Any Standard Schema will do:
 * Zod, Valibot, ArkType, one's own, or {@linkcode type}, which checks nothing.
 *
 * @throws {TypeError} where something else than a schema was given
 */
export function method<
  I extends Schema = Schema<void>,
  S extends MaybeSchema = undefined,
  O extends Schema = Schema<void>,
>(schemas?: CallSchemas<I, S, O>): MethodSpec<I, S, O, undefined>;
/** A method that gives items. */
export function method<
  Y extends Schema,
  I extends Schema = Schema<void>,
  S extends MaybeSchema = undefined,
>(schemas: StreamSchemas<Y, I, S>): MethodSpec<I, S, undefined, Y>;
export function method(
  schemas: { input?: Schema; stream?: Schema; output?: Schema; yields?: Schema } = {},
): MethodSpec<Schema, MaybeSchema, MaybeSchema, MaybeSchema> {
  const { input = nothing(), stream, output, yields } = schemas;
  for (const [name, schema] of Object.entries({ input, stream, output, yields })) {
    if (schema !== undefined && !isSchema(schema)) throw noSchema("method", name, schema);
  }
  if (yields === undefined) {
    return { method: { input, stream, output: output ?? nothing(), yields } };
  }
  if (output === undefined) return { method: { input, stream, output, yields } };
  throw new TypeError("Cannot make method as it gives 'output' or 'yields': both were given");
}

/**
 * A one-way message. Its name is the topic that it is sent under.
 *
 * @throws {TypeError} when something else than a schema was given
 */
export function message<B extends Schema>(body: B): MessageSpec<B> {
  if (!isSchema(body)) throw noSchema("message", "body", body);
  return { message: body };
}

/** @throws {TypeError} when it is none */
function checkSide(side: "server" | "client", api: Api): void {
  const proto: unknown = Object.getPrototypeOf(api);
  // `{ __proto__: method() }` names no entry: it would be lost in silence.
  if (proto !== null && proto !== Object.prototype) {
    throw new TypeError(
      `Cannot make contract as '${side}' must be a plain object: an entry may be called ["__proto__"]`,
    );
  }
  for (const [name, entry] of Object.entries(api)) {
    if (name === DESCRIBE) {
      throw new TypeError(`Cannot make contract as '${DESCRIBE}' is the method that describes it`);
    }
    if (entry?.method !== undefined || entry?.message !== undefined) continue;
    throw new TypeError(
      `Cannot make contract as '${name}' of '${side}' must be made by method() or message(): current value is a ${typeof entry}`,
    );
  }
}

function noSchema(what: string, name: string, value: unknown): TypeError {
  return new TypeError(
    `Cannot make ${what} as '${name}' must be a Standard Schema: current value is a ${typeof value}`,
  );
}
