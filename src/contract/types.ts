/**
 * What each end of a session understands, as types.
 *
 * Owns the vocabulary with which `connect`, `serve` and `attach` infer what may be sent and what
 * arrives. Types only: nothing here exists at run time.
 */
import type { Issue } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";

export type { Issue } from "../base/errors.ts";

/** Bytes that vnet takes may be any view, and are given away: do not change them afterwards. */
export type Outgoing<T> = T extends Uint8Array ? Uint8Array : T;

/** Standard Schema, version 1: what Zod, Valibot, ArkType … values already are. */
export interface Schema<I = unknown, O = I> {
  /** The one property of the standard. */
  readonly "~standard": {
    /** The version of the standard. */
    readonly version: 1;
    /** The name of the validator. */
    readonly vendor: string;
    /** Types before and after validation. */
    readonly types?: { readonly input: I; readonly output: O } | undefined;
    /** Checks a value. */
    readonly validate: (value: unknown) => Validated<O> | Promise<Validated<O>>;
  };
}

/** What {@linkcode Schema} answers. */
export type Validated<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

/** One-way, under a topic. */
export interface MessageSpec<B extends Schema> {
  /** What its body is. */
  readonly message: B;
}

/** A schema, where there is one. */
export type MaybeSchema = Schema | undefined;

/**
 * A call: a value in, and a value (`output`) or a stream (`yields`) back. `stream` is what the caller
 * sends along.
 */
export interface MethodSpec<
  I extends Schema,
  S extends MaybeSchema,
  O extends MaybeSchema,
  Y extends MaybeSchema,
> {
  /** What goes in and what comes out. */
  readonly method: {
    /** What the caller sends. */
    readonly input: I;
    /** What it sends along, item by item. */
    readonly stream: S;
    /** What it gets. */
    readonly output: O;
    /** What it gets, item by item. */
    readonly yields: Y;
  };
}

/** What one side understands, by name. */
export type Api = {
  readonly [name: string]: { readonly method?: unknown; readonly message?: unknown };
};

/** What both sides understand. */
export interface AnyContract {
  /** What the server understands, so what clients may send it. */
  readonly server: Api;
  /** What the client understands. */
  readonly client: Api;
  /** Turns all bodies into bytes and back. @default {json()} */
  readonly serializer?: Serializer;
  /** Whether whoever asks by calling `__describe` is told what this is. @default {false} */
  readonly describe?: boolean;
}

/** What `contract()` makes: both ends are given the same one. */
export interface Contract<S extends Api, C extends Api> extends AnyContract {
  /** What the server understands, so what clients may send it. */
  readonly server: S;
  /** What the client understands, so what the server may send it. */
  readonly client: C;
  /** Turns all bodies into bytes and back. */
  readonly serializer: Serializer;
  /** Whether whoever asks by calling `__describe` is told what this is. */
  readonly describe: boolean;
}

/** One side of a contract that understands nothing. */
export type Nothing = Record<never, never>;

/** Any method, any topic, and every body a `T`. */
export interface Untyped<T = Bytes> extends AnyContract {
  /** What the server understands. */
  readonly server: Loose<T>;
  /** What the client understands. */
  readonly client: Loose<T>;
}

/** One side of {@linkcode Untyped}. */
export type Loose<T> = {
  readonly [name: string]:
    & MessageSpec<Schema<Outgoing<T>, T>>
    & MethodSpec<
      Schema<Outgoing<T> | void, T>,
      Schema<Outgoing<T>, T> | undefined,
      Schema<Outgoing<T> | void, T>,
      Schema<Outgoing<T>, T>
    >;
};

/**
 * Turns values into bytes and back. Its name goes into the handshake, so that two ends that
 * disagree learn it at once, in words.
 */
export interface Serializer<T = unknown> extends SerializerFor<Untyped<T>> {
  /** Gives the bytes of a value; they are not changed afterwards. */
  serialize(value: T): Uint8Array;
  /** Gives the value of bytes; throws when they are none of its values. */
  deserialize(bytes: Bytes): T;
}

/** A {@linkcode Serializer}, as it carries the types of a contract. */
export interface SerializerFor<C extends AnyContract> {
  /** Compared in the handshake. */
  readonly name: string;
  /** Exists for the type checker only. */
  readonly "~contract"?: C;
  /** Gives the bytes of a value. */
  serialize(value: BodyOf<C>): Uint8Array;
  /** Gives the value of bytes. */
  deserialize(bytes: Bytes): BodyOf<C>;
}

/** The type of every body, where there is one. */
export type BodyOf<C> = C extends Untyped<infer T> ? T : unknown;

/** What the other side of a session understands. */
export type RemoteApi<C extends AnyContract, S extends "client" | "server"> = S extends "client"
  ? C["server"]
  : C["client"];

/** What this side of a session understands. */
export type LocalApi<C extends AnyContract, S extends "client" | "server"> = S extends "client"
  ? C["client"]
  : C["server"];

/** Input and output type of a schema. */
export type Types<S> = S extends Schema ? NonNullable<S["~standard"]["types"]> : never;

/** The topics that an end understands. */
export type Topic<A extends Api> = {
  [K in keyof A & string]: A[K] extends { readonly message: Schema } ? K : never;
}[keyof A & string];

/** What may be sent under a topic. */
export type BodyIn<A extends Api, K extends keyof A> = A[K] extends { readonly message: infer B }
  ? Types<B>["input"]
  : never;

/** What arrives at an end. */
export type MessageOf<A extends Api> = {
  [K in Topic<A>]: A[K] extends { readonly message: infer B } ? Message<Types<B>["output"], K>
    : never;
}[Topic<A>];

/** A message as it arrives. */
export interface Message<B = Bytes, K extends string = string> {
  /** What was sent. */
  readonly body: B;
  /** Under which topic; `""` when none was given. */
  readonly topic: K;
}

/** The options of `send`: the topic is required where a contract names topics. */
export type SendArgs<A extends Api, K extends string, O> = string extends keyof A
  ? [options?: O & { readonly topic?: K }]
  : [options: O & { readonly topic: K }];

/** The methods that an end has: all, or those that give one value (`"output"`) or many (`"yields"`). */
export type Callable<A extends Api, P extends "input" | "output" | "yields" = "input"> = {
  [K in keyof A & string]: A[K] extends { readonly method: { readonly [Q in P]: Schema } } ? K
    : never;
}[keyof A & string];

/** One schema of a method. */
export type Part<M, P extends string> = M extends
  { readonly method: { readonly [Q in P]: infer S extends MaybeSchema } } ? S
  : never;

/** What a caller gets. */
export type Result<M, P extends "output" | "yields"> = Types<Part<M, P>>["output"];

/** An input that may be left out where it may be undefined. */
export type Args<I, O> = undefined extends I ? [input?: I, options?: O] : [input: I, options?: O];

/** What a caller gives after the name of the method; `O`: the options of a call. */
export type CallArgs<M, O, I = Types<Part<M, "input">>["input"], S = Part<M, "stream">> = [
  S,
] extends [undefined] ? Args<I, O>
  : undefined extends S ? Args<I, O & { readonly stream?: Streamable<Types<S>["input"]> }>
  : [input: I, options: O & { readonly stream: Streamable<Types<S>["input"]> }];

/** What can be sent item by item. */
export type Streamable<T> = AsyncIterable<T> | Iterable<T> | ReadableStream<T>;

/** What a handler may give: a value, now or later, or items. */
export type Reply<M> =
  | (Part<M, "output"> extends Schema ?
      | Types<Part<M, "output">>["input"]
      | Promise<Types<Part<M, "output">>["input"]>
    : never)
  | (Part<M, "yields"> extends Schema ? AsyncIterable<Types<Part<M, "yields">>["input"]> : never);
