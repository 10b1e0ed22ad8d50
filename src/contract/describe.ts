/**
 * What a contract is, as plain data for tools: names, directions, and JSON Schemas where validators
 * give them (Standard JSON Schema, as Zod and ArkType do).
 *
 * 1. What travels is the original, so a body is described as it is before validation.
 * 2. Lists and no tables by name: a name may be `__proto__`.
 */
import { isSchema, kindOf } from "./schemas.ts";
import type { AnyContract, Api, Schema } from "./types.ts";

/** What a contract is. */
export interface Description {
  /** The name of its serializer. */
  readonly serializer: string;
  /** What the server understands, so what clients may send it. */
  readonly server: ApiDescription;
  /** What the client understands, so what the server may send it. */
  readonly client: ApiDescription;
}

/** What one side understands. */
export interface ApiDescription {
  /** What may be called. */
  readonly methods: readonly MethodDescription[];
  /** What may be sent. */
  readonly messages: readonly MessageDescription[];
}

/** A method; what it has not is absent. */
export interface MethodDescription {
  /** What it is called by. */
  readonly name: string;
  /** What the caller sends. */
  readonly input?: BodyDescription;
  /** What it sends along, item by item. */
  readonly stream?: BodyDescription;
  /** What it gets. */
  readonly output?: BodyDescription;
  /** What it gets, item by item. */
  readonly yields?: BodyDescription;
}

/** A one-way message. */
export interface MessageDescription {
  /** The topic that it is sent under. */
  readonly name: string;
  /** What is sent. */
  readonly body: BodyDescription;
}

/** One body. */
export interface BodyDescription {
  /** A value that is checked, one that is not, or bare bytes. */
  readonly kind: "value" | "unchecked" | "bytes";
  /** Who checks it. */
  readonly vendor: string;
  /** As JSON Schema, draft 2020-12, where the validator gives one. */
  readonly schema?: unknown;
}

/**
 * Tells what a contract is: what `__describe` answers where the contract allows it.
 *
 * @example
 * ```ts
 * import { contract, describe, method, type } from "@vgo/vnet/contract";
 * import { assertEquals } from "@std/assert";
 *
 * const api = contract({ server: { hello: method({ output: type<string>() }) } });
 * assertEquals(describe(api).server.methods, [
 *   { name: "hello", output: { kind: "unchecked", vendor: "vnet" } },
 * ]);
 * ```
 */
export function describe({ server, client, serializer }: AnyContract): Description {
  return {
    serializer: serializer?.name ?? "json",
    server: describeApi(server),
    client: describeApi(client),
  };
}

function describeApi(api: Api): ApiDescription {
  const methods: MethodDescription[] = [];
  const messages: MessageDescription[] = [];
  for (const [name, { method, message }] of Object.entries(api)) {
    if (isSchema(message)) {
      const body = describeBody(message);
      if (body !== undefined) messages.push({ name, body });
    }
    if (typeof method !== "object" || method === null) continue;
    const bodies = Object.entries(method).flatMap(([part, schema]) => {
      const body = isSchema(schema) ? describeBody(schema) : undefined;
      return body === undefined ? [] : [[part, body]];
    });
    methods.push({ name, ...Object.fromEntries(bodies) });
  }
  return { methods, messages };
}

/** `undefined`: there is nothing. */
function describeBody(schema: Schema): BodyDescription | undefined {
  const kind = kindOf(schema);
  if (kind === "nothing") return undefined;
  const { vendor } = schema["~standard"];
  const json = kind === "value" ? jsonSchema(schema) : undefined;
  return { kind, vendor, ...(json === undefined ? {} : { schema: json }) };
}

function jsonSchema({ "~standard": standard }: Schema): unknown {
  try {
    const converter: unknown = "jsonSchema" in standard ? standard.jsonSchema : undefined;
    if (typeof converter !== "object" || converter === null) return undefined;
    if (!("input" in converter) || typeof converter.input !== "function") return undefined;
    const schema: unknown = converter.input({ target: "draft-2020-12" });
    return schema;
  } catch {
    // Not everything that can be checked can be said in JSON Schema.
    return undefined;
  }
}
