/**
 * Echo over loopback, both ends in this process: what is asked of a session most often.
 *
 * In each group the baseline sends the same bytes over bare connections, unframed and in one write,
 * which is the least that the runtime can do; `FrameStream` adds frames, a session all the rest. The
 * report's unit is one turn: so many bodies of one size go out at once, and all have come back. Only
 * ratios within a group mean anything.
 */
import { connect, serve } from "../mod.ts";
import { FrameStream, lengthField } from "../src/frames.ts";
import { echo, pair, readCount, writeAll } from "./_raw.ts";
import { turns } from "./_settings.ts";

const BODIES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["128 B", 128],
  ["4 KiB", 4_096],
  ["64 KiB", 65_536],
];

/** Sends so many bodies, and resolves when all are back. */
type Turn = (body: Uint8Array, count: number) => Promise<void>;

const echoes: readonly [name: string, turn: Turn][] = [
  ["bare connection", await bareEcho()],
  ["FrameStream", await frameEcho()],
  ["session", await sessionEcho()],
];

for (const count of [1, 64]) {
  for (const [size, bytes] of BODIES) {
    const group = `echo, ${count} in flight, ${size}`;
    const body = new Uint8Array(bytes);
    for (const [index, [name, turn]] of echoes.entries()) {
      // Only what is declared async is awaited by the runner.
      Deno.bench(
        name,
        { group, baseline: index === 0, ...turns },
        async () => await turn(body, count),
      );
    }
  }
}

async function bareEcho(): Promise<Turn> {
  const [server, client] = await pair();
  echo(server).catch(() => {});
  const target = new Uint8Array(65_536);
  const source = new Uint8Array(64 * 65_536);
  return async (body, count) => {
    const total = body.length * count;
    await Promise.all([
      readCount(client, target, total),
      writeAll(client, source.subarray(0, total)),
    ]);
  };
}

async function frameEcho(): Promise<Turn> {
  const [server, client] = await pair();
  const codec = lengthField({ width: 4 });
  (async () => {
    const stream = new FrameStream(server, codec);
    for await (const frame of stream) await stream.send(frame);
  })().catch(() => {});
  const stream = new FrameStream(client, codec);
  const frames = stream[Symbol.asyncIterator]();
  return async (body, count) => {
    for (let i = 0; i < count; i++) stream.send(body);
    for (let i = 0; i < count; i++) await frames.next();
  };
}

async function sessionEcho(): Promise<Turn> {
  let left = 0;
  let back = () => {};
  // Room for 64 of the largest bodies.
  const limits = { maxQueuedBytes: 8 << 20 };
  const server = await serve("127.0.0.1:0", {
    limits,
    onMessage: (message, peer) => peer.send(message.body),
  });
  const client = await connect(server.addr, {
    limits,
    onMessage() {
      if (--left === 0) back();
    },
  });
  return (body, count) =>
    new Promise((resolve) => {
      left = count;
      back = resolve;
      for (let i = 0; i < count; i++) client.send(body);
    });
}
