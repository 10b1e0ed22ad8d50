/**
 * What the chat's server and its page say to each other. Both import this file, and both check what
 * they send and what they get.
 */
import { contract, message, method, type Schema } from "@vgo/vnet/contract";

/** How many characters a line may have. */
export const MAX_TEXT = 1_000;

/** What somebody says. */
export interface Saying {
  /** Made by whoever says it, so that what is sent twice is shown once. */
  readonly id: string;
  readonly room: string;
  readonly text: string;
}

/** What somebody has said. */
export interface Line extends Saying {
  readonly from: string;
  /** When, in ms since 1970. */
  readonly at: number;
}

/** A room, and how many are in it. */
export interface RoomInfo {
  readonly room: string;
  readonly count: number;
}

/** Whether somebody can be called that. */
export function isName(value: unknown): value is string {
  return typeof value === "string" &&
    /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._-]{0,22}[\p{L}\p{M}\p{N}.])?$/u.test(value);
}

/** Whether a room can be called that. */
export function isRoom(value: unknown): value is string {
  return typeof value === "string" &&
    /^[\p{Ll}\p{Lo}\p{N}][\p{Ll}\p{Lo}\p{M}\p{N}-]{0,23}$/u.test(value);
}

type Guard<T> = (value: unknown) => value is T;
type Fields<T> = { readonly [K in keyof T]: Guard<T[K]> };

const isId = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{16}$/.test(value);
const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length <= MAX_TEXT && value.trim() !== "";
const isTime = (value: unknown): value is number => typeof value === "number" && value >= 0;
const isCount = (value: unknown): value is number => Number.isInteger(value);

const saying: Fields<Saying> = { id: isId, room: isRoom, text: isText };
const line: Fields<Line> = { ...saying, from: isName, at: isTime };

/** What the server understands, and what its clients do. */
export const chat = contract({
  server: {
    join: method({
      input: object({ room: isRoom }),
      output: object({ people: listOf(isName), lines: listOf(record(line)) }),
    }),
    leave: method({ input: object({ room: isRoom }) }),
    say: message(object(saying)),
  },
  client: {
    said: message(object(line)),
    people: message(object({ room: isRoom, people: listOf(isName) })),
    rooms: message(object({ rooms: listOf(record({ room: isRoom, count: isCount })) })),
  },
});

// A schema is one property with one function in it (standardschema.dev), so these few checks are written by
// hand: a page need not load a validator for them. Those of Zod, Valibot or ArkType would do as well.

function object<T extends object>(fields: Fields<T>): Schema<T> {
  const fits = record(fields);
  return {
    "~standard": {
      version: 1,
      vendor: "chat_page",
      validate: (value) =>
        fits(value)
          ? { value }
          : { issues: [{ message: `Expected ${Object.keys(fields).join(", ")}` }] },
    },
  };
}

function record<T extends object>(fields: Fields<T>): Guard<T> {
  const guards = Object.entries<Guard<unknown>>(fields);
  return (value): value is T =>
    typeof value === "object" && value !== null &&
    guards.every(([name, fits]) => fits(Reflect.get(value, name)));
}

function listOf<T>(fits: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(fits);
}
