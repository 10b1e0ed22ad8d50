/**
 * What a contract costs a call of a small object, on one connection in memory: JSON without a contract,
 * the same with the validators called by the application in all four places (input and output, where
 * each leaves and where it arrives), and a contract that calls them.
 *
 * The ratio that is printed is the third to the second; the goal is 1.1 at most. The validators alone,
 * in a loop of their own, are shown as well, and are cheaper there than beside anything else. One
 * row has validators written by hand, which cost next to nothing, so that nothing hides behind them;
 * one has Zod's; one has `type<T>()`, which is never called.
 */
import { z } from "zod";
import { attach, json } from "../mod.ts";
import { contract, method, type Schema, type } from "../src/contract.ts";
import { memoryPair } from "../src/testing/mod.ts";
import { scaled, turns } from "./_settings.ts";

interface Order {
  readonly symbol: string;
  readonly amount: number;
}

interface Ticket {
  readonly ticket: number;
}

/** So many calls at once are one turn. */
const IN_FLIGHT = 64;
const ROUNDS = scaled(60, 1);
const TURNS = scaled(40, 1);
const ORDER: Order = { symbol: "VGO", amount: 5 };
const TICKET: Ticket = { ticket: 7 };

type Turn = () => Promise<void>;

const byHand: [Schema<Order>, Schema<Ticket>] = [
  schema(isOrder, ["symbol", "amount"]),
  schema(isTicket, ["ticket"]),
];
const byZod: [Schema<Order>, Schema<Ticket>] = [
  z.object({ symbol: z.string().min(1), amount: z.number().positive() }),
  z.object({ ticket: z.number().int() }),
];
const claimed: [Schema<Order>, Schema<Ticket>] = [type<Order>(), type<Ticket>()];

for (
  const [name, [input, output]] of [
    ["type<T>()", claimed],
    ["by hand", byHand],
    ["Zod", byZod],
  ] as const
) {
  const group = `a call of a small object, validators: ${name}`;
  const none = await without(type<Order>(), type<Ticket>());
  const alone = loop(input, output);
  const called = await without(input, output);
  const both = await withContract(input, output);
  Deno.bench("no contract", { group, baseline: true, ...turns }, async () => await none());
  Deno.bench("validators alone", { group, ...turns }, async () => await alone());
  Deno.bench("validators called", { group, ...turns }, async () => await called());
  Deno.bench("with contract", { group, ...turns }, async () => await both());

  const [plain = NaN, checks = NaN, own = NaN, whole = NaN] = await typical([
    none,
    alone,
    called,
    both,
  ]);
  const us = (ms: number) => `${(ms * 1_000 / IN_FLIGHT).toFixed(2)} us`;
  console.log(
    `${name}: ${us(plain)} without, ${us(checks)} validators alone, ${us(own)} with them called, ` +
      `${us(whole)} with a contract: ratio ${(whole / own).toFixed(3)}`,
  );
}

/** In turns, so that a bad moment of the machine strikes all. In ms. */
async function typical(all: readonly Turn[]): Promise<number[]> {
  const times: number[][] = all.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, turn] of all.entries()) {
      const start = performance.now();
      for (let n = 0; n < TURNS; n++) await turn();
      times[index]?.push((performance.now() - start) / TURNS);
    }
  }
  // The lower quartile: what the machine does besides only ever adds.
  return times.map((of) => of.sort((a, b) => a - b)[of.length >> 2] ?? NaN);
}

async function without(input: Schema<Order>, output: Schema<Ticket>): Promise<Turn> {
  const [here, there] = memoryPair();
  const order = checker(input);
  const ticket = checker(output);
  const [client] = await Promise.all([
    attach(here, { side: "client", serializer: json<Order | Ticket>() }),
    attach(there, {
      side: "server",
      serializer: json<Order | Ticket>(),
      methods: {
        order: (input) => {
          order(input);
          ticket(TICKET);
          return TICKET;
        },
      },
    }),
  ]);
  const call = () => {
    order(ORDER);
    return client.call("order", ORDER);
  };
  return () => at(call, ticket);
}

async function withContract(input: Schema<Order>, output: Schema<Ticket>): Promise<Turn> {
  const api = contract({ server: { order: method({ input, output }) } });
  const [here, there] = memoryPair();
  const [client] = await Promise.all([
    attach(here, { side: "client", contract: api }),
    attach(there, { side: "server", contract: api, methods: { order: () => TICKET } }),
  ]);
  return () => at(() => client.call("order", ORDER));
}

function loop(input: Schema<Order>, output: Schema<Ticket>): Turn {
  const order = checker(input);
  const ticket = checker(output);
  return () => {
    for (let n = 0; n < IN_FLIGHT; n++) {
      order(ORDER);
      order(ORDER);
      ticket(TICKET);
      ticket(TICKET);
    }
    return Promise.resolve();
  };
}

/** What an application writes. */
function checker<T>(schema: Schema<T>): (value: unknown) => void {
  const { "~standard": standard } = schema;
  if (standard.vendor === "vnet") return () => {};
  return (value) => {
    const result = standard.validate(value);
    if (result instanceof Promise || result.issues !== undefined) throw new TypeError("Wrong");
  };
}

async function at(call: () => Promise<unknown>, check?: (value: unknown) => void): Promise<void> {
  const answers: Promise<unknown>[] = [];
  for (let n = 0; n < IN_FLIGHT; n++) answers.push(call());
  for (const answer of answers) {
    const value = await answer;
    check?.(value);
  }
}

function schema<T>(is: (value: unknown) => value is T, fields: readonly string[]): Schema<T> {
  return {
    "~standard": {
      version: 1,
      vendor: "bench",
      validate: (value) => {
        if (is(value)) return { value };
        return { issues: fields.map((field) => ({ message: "Wrong", path: [field] })) };
      },
    },
  };
}

function isOrder(value: unknown): value is Order {
  return typeof value === "object" && value !== null && "symbol" in value && "amount" in value &&
    typeof value.symbol === "string" && value.symbol.length > 0 &&
    typeof value.amount === "number" && value.amount > 0;
}

function isTicket(value: unknown): value is Ticket {
  return typeof value === "object" && value !== null && "ticket" in value &&
    Number.isInteger(value.ticket);
}
