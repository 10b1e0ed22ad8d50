/**
 * What both ends of a session share: which methods and messages there are, and what their bodies are.
 * Neutral: no socket, no runtime. A server, a client and a browser import the same file.
 *
 * ```ts
 * import { connect, serve } from "@vgo/vnet";
 * import { contract, method, type } from "@vgo/vnet/contract";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = contract({
 *   server: { zone: method({ output: type<string>() }), add: method({ input: type<number>() }) },
 * });
 * await using server = await serve("127.0.0.1:0", {
 *   contract: clock,
 *   methods: { zone: () => "UTC", add: (ms) => console.log(ms.toFixed()) },
 * });
 * await using client = await connect(server.addr, { contract: clock });
 * assertEquals(await client.call("zone"), "UTC");
 * ```
 *
 * @module
 */
export { contract, message, method } from "./contract/define.ts";
export { describe } from "./contract/describe.ts";
export { bytes, type } from "./contract/schemas.ts";
export { json, raw, text } from "./contract/serializers.ts";

export type { Bytes } from "./base/types.ts";
export type { CallSchemas, ContractDefinition, StreamSchemas } from "./contract/define.ts";
export type {
  ApiDescription,
  BodyDescription,
  Description,
  MessageDescription,
  MethodDescription,
} from "./contract/describe.ts";
export type {
  AnyContract,
  Api,
  BodyOf,
  Contract,
  Issue,
  Loose,
  MaybeSchema,
  MessageSpec,
  MethodSpec,
  Nothing,
  Outgoing,
  Schema,
  Serializer,
  SerializerFor,
  Untyped,
  Validated,
} from "./contract/types.ts";
