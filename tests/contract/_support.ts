/**
 * What the tests of contracts share: both ends of a session on one pair in memory, with a contract or
 * a stranger on the other side, and schemas of one's own.
 *
 * Owns no rule.
 */
import { type AnyContract, attach, type Bytes, type LocalApi, type Peer, raw } from "@vgo/vnet";
import type { AttachOptions, RemoteApi, Untyped } from "@vgo/vnet";
import type { Issue, Schema, Validated } from "@vgo/vnet/contract";
import { memoryPair } from "@vgo/vnet/testing";

/** One end of a session with a contract. */
export type ContractPeer<C extends AnyContract, S extends "client" | "server"> = Peer<
  RemoteApi<C, S>,
  LocalApi<C, S>
>;

/** Both ends of a session with a contract. */
export async function contractPair<C extends AnyContract>(
  contract: C,
  server: Partial<AttachOptions<C, "server">> = {},
  client: Partial<AttachOptions<C, "client">> = {},
): Promise<[ContractPeer<C, "client">, ContractPeer<C, "server">]> {
  const [here, there] = memoryPair();
  return await Promise.all([
    attach<"client", C>(here, { ...client, side: "client", contract }),
    attach<"server", C>(there, { ...server, side: "server", contract }),
  ]);
}

/** A client that knows no contract and sends what bytes it likes, and the server that it calls. */
export async function strangerPair<C extends AnyContract>(
  contract: C,
  server: Partial<AttachOptions<C, "server">> = {},
): Promise<[Peer<Untyped<Bytes>["server"], Untyped<Bytes>["client"]>, ContractPeer<C, "server">]> {
  const [here, there] = memoryPair();
  return await Promise.all([
    attach<"client", Untyped<Bytes>>(here, { side: "client", serializer: raw() }),
    attach<"server", C>(there, { ...server, side: "server", contract }),
  ]);
}

/** A schema that counts how often it is asked. */
export interface Counted<I, O = I> extends Schema<I, O> {
  /** How often. */
  asked: number;
}

/** A schema of one's own. */
export function own<I, O = I>(
  validate: (value: unknown) => Validated<O> | Promise<Validated<O>>,
): Counted<I, O> {
  const schema: Counted<I, O> = {
    asked: 0,
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => {
        schema.asked++;
        return validate(value);
      },
    },
  };
  return schema;
}

/** Numbers, doubled where they arrive. */
export function doubled(): Counted<number> {
  return own((value) =>
    typeof value === "number" ? { value: value * 2 } : refused("Expected a number", ["n"])
  );
}

/** As `doubled`, but the answer takes a turn. */
export function doubledLater(): Counted<number> {
  return own(async (value) => {
    await Promise.resolve();
    if (typeof value === "number") return { value: value * 2 };
    return refused("Expected a number");
  });
}

/** What a schema answers that refuses. */
export function refused(message: string, path?: Issue["path"]): { readonly issues: Issue[] } {
  return { issues: [{ message, path }] };
}

/** JSON text as bytes. */
export function jsonBytes(value: unknown): Bytes {
  return utf8(JSON.stringify(value));
}

/** Text as bytes. */
export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
