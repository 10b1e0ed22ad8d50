/**
 * Calls over loopback on one connection, both ends in this process.
 *
 * In each group the baseline sends as many bytes per call over a bare connection, pipelined and echoed
 * as they come: no frames, no promise per call, which is the limit of the runtime. A call has a
 * deadline, as every call has. The report's unit is one turn: so many calls are made at once, and all
 * have been answered. Only ratios within a group mean anything.
 */
import { connect, serve } from "../mod.ts";
import { echo, pair, readCount, writeAll } from "./_raw.ts";
import { turns } from "./_settings.ts";

const BODIES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["128 B", 128],
  ["4 KiB", 4_096],
];
const IN_FLIGHT = [1, 16, 64, 256, 1_024];
/** A request has 26 bytes beside its body, with a method of four letters, and a response 16. */
const OVERHEAD = (26 + 16) / 2;

/** Makes so many calls at once, and resolves when all are answered. */
type Turn = (body: Uint8Array, count: number) => Promise<void>;

const call = await calls();
const contestants: readonly [name: string, turn: Turn][] = [
  ["bare echo", await bareEcho()],
  ["call", (body, count) => call("sync", body, count)],
  ["call, async handler", (body, count) => call("soon", body, count)],
];

for (const count of IN_FLIGHT) {
  for (const [size, bytes] of BODIES) {
    const group = `calls, ${count} in flight, ${size}`;
    const body = new Uint8Array(bytes);
    for (const [index, [name, turn]] of contestants.entries()) {
      // Only what is declared async is awaited by the runner.
      Deno.bench(
        name,
        { group, baseline: index === 0, ...turns },
        async () => await turn(body, count),
      );
    }
  }
}

async function calls(): Promise<(method: string, ...turn: Parameters<Turn>) => Promise<void>> {
  const server = await serve("127.0.0.1:0", {
    methods: {
      sync: (body) => body,
      // deno-lint-ignore require-await
      soon: async (body) => body,
    },
  });
  const client = await connect(server.addr);
  return async (method, body, count) => {
    if (count === 1) {
      await client.call(method, body);
      return;
    }
    const answers: Promise<Uint8Array>[] = [];
    for (let i = 0; i < count; i++) answers.push(client.call(method, body));
    for (const answer of answers) await answer;
  };
}

async function bareEcho(): Promise<Turn> {
  const [server, client] = await pair();
  echo(server).catch(() => {});
  const target = new Uint8Array(65_536);
  const source = new Uint8Array(1_024 * (4_096 + OVERHEAD));
  return async (body, count) => {
    const total = (body.length + OVERHEAD) * count;
    await Promise.all([
      readCount(client, target, total),
      writeAll(client, source.subarray(0, total)),
    ]);
  };
}
