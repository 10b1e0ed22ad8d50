/**
 * What happens to the cost when there is twice as much: of connections, of calls in flight, of bytes in a
 * message, of chunks in a frame. Both ends are in this process.
 *
 *     deno task bench:linear [--smoke] [--json] [--rounds 5]
 *
 * Each cost is measured at several sizes, and a power of the size is fitted to it: with the exponent 1,
 * or a smaller one, a doubling at most doubles the cost.
 */
import { ByteQueue, type Codec, delimiter, lengthField } from "../src/frames.ts";
import { OutBuffer } from "../src/base/out_buffer.ts";
import { connect, serve } from "../mod.ts";
import { pair } from "./_raw.ts";
import { progress, progressEnds } from "./_progress.ts";
import { type Goal, show, type Table } from "./_report.ts";
import { rounds, scaled, smoke } from "./_settings.ts";
import { fittedExponent, median } from "./_stats.ts";

/** How long one measurement takes at least, in ms. */
const DURATION = scaled(60, 1);
/** What a message has beside its body. */
const OVERHEAD = 18;
/** A doubling may cost twice as much; the rest is for what the machine does beside. */
const MOST = 2.1;

const CONNECTIONS = doubled(64, scaled(6, 2));

/** Something that can be made larger, and what is done at each size. */
interface Series {
  readonly name: string;
  readonly sizes: readonly number[];
  /** Prepares a size; gives what is to be measured. */
  readonly prepare: (size: number) => Promise<() => unknown>;
  /**
   * What the system does by itself: there is no goal for it, and the next one is judged beside it. A
   * doubling of bare sockets costs more than twice as much, as ever fewer of them are in the caches.
   */
  readonly bare?: boolean;
}

await using stack = new AsyncDisposableStack();
const all: readonly Series[] = [
  { name: "bare connections, a write to each", sizes: CONNECTIONS, prepare: writes(), bare: true },
  { name: "connections, a broadcast", sizes: CONNECTIONS, prepare: await casts() },
  { name: "calls in flight, a turn of them", sizes: doubled(16, 7), prepare: await calls() },
  {
    name: "bytes of a message, there and back",
    sizes: doubled(32_768, 7),
    prepare: await echoes(),
  },
  chunks("length field", lengthField({ width: 4 })),
  chunks("delimiter", delimiter(new Uint8Array([13, 10]))),
];
/** What a doubling costs the system by itself. */
let bareFactor: number | undefined;
const tables: Table[] = [];
const goals: Goal[] = [];
const notes = [
  "A goal's figure is the factor by which a doubling raises the cost, from the fitted curve.",
];
for (const { name, sizes, prepare, bare = false } of all) {
  const points: [size: number, cost: number][] = [];
  for (const size of sizes) {
    progress(name, String(size));
    points.push([size, await costOf(await prepare(size))]);
  }
  const exponent = fittedExponent(points);
  tables.push(tableOf(name, points, exponent));
  const value = 2 ** exponent;
  const goal = (what: string, value: number, floor: number) =>
    goals.push({ name: `a doubling of ${what}`, value, floor, better: "less" });
  if (bare) {
    bareFactor = value;
    continue;
  }
  if (bareFactor === undefined) {
    goal(name, value, MOST);
    continue;
  }
  goal(`${name} ÷ bare`, value / bareFactor, MOST / 2);
  const [own, ofBare] = [value, bareFactor].map((factor) => factor.toFixed(2));
  notes.push(`A doubling of connections costs ${own} times as much, of bare ones ${ofBare} times.`);
  bareFactor = undefined;
}
progressEnds();
show({
  title: "Linear cost",
  tables,
  goals,
  notes,
});

function tableOf(
  name: string,
  points: readonly (readonly [size: number, cost: number])[],
  exponent: number,
): Table {
  return {
    title: `${name}: exponent ${exponent.toFixed(2)}`,
    columns: [
      { name: "size", as: "count" },
      { name: "cost, µs", as: "decimal" },
      { name: "of each, ns", as: "decimal" },
      { name: "of the row before", as: "ratio" },
    ],
    rows: points.map(([size, cost], index) => [
      size.toLocaleString("en"),
      cost * 1_000,
      cost / size * 1_000_000,
      index === 0 ? null : cost / (points[index - 1]?.[1] ?? NaN),
    ]),
  };
}

/** The median over rounds of how long one run takes, in ms. */
async function costOf(run: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    let count = 0;
    const begin = performance.now();
    do {
      const result = run();
      if (result instanceof Promise) await result;
      count++;
    } while (performance.now() - begin < DURATION);
    // The first one warms up.
    if (round > 0) times.push((performance.now() - begin) / count);
  }
  return median(times);
}

async function casts(): Promise<Series["prepare"]> {
  const server = stack.use(await serve("127.0.0.1:0"));
  const body = new Uint8Array(128);
  let connections = 0;
  let left = 0;
  let done = () => {};
  const onMessage = () => {
    if (--left === 0) done();
  };
  return async (size) => {
    for (; connections < size; connections++) {
      stack.use(await connect(server.addr, { onMessage }));
    }
    return () =>
      new Promise<void>((resolve) => {
        left = size;
        done = resolve;
        server.broadcast(body);
      });
  };
}

/** The same without vnet: what twice as many sockets cost the system, whoever writes to them. */
function writes(): Series["prepare"] {
  const body = new Uint8Array(128 + OVERHEAD);
  const ends: Deno.TcpConn[] = [];
  let left = 0;
  let done = () => {};
  const listen = async (conn: Deno.TcpConn) => {
    const buffer = new Uint8Array(512);
    while (await conn.read(buffer) !== null) if (--left === 0) done();
  };
  return async (size) => {
    while (ends.length < size) {
      const [end, other] = stack.adopt(await pair(), (conns) => conns.forEach((c) => c.close()));
      ends.push(end);
      listen(other).catch(() => {});
    }
    return () =>
      new Promise<void>((resolve) => {
        left = size;
        done = resolve;
        for (const end of ends) end.write(body);
      });
  };
}

async function calls(): Promise<Series["prepare"]> {
  const server = stack.use(await serve("127.0.0.1:0", { methods: { echo: (body) => body } }));
  const client = stack.use(await connect(server.addr));
  const body = new Uint8Array(128);
  return (size) =>
    Promise.resolve(() =>
      Promise.all(Array.from({ length: size }, () => client.call("echo", body)))
    );
}

async function echoes(): Promise<Series["prepare"]> {
  const server = stack.use(await serve("127.0.0.1:0", { methods: { echo: (body) => body } }));
  const client = stack.use(await connect(server.addr));
  return (size) => {
    const body = new Uint8Array(size);
    return Promise.resolve(() => client.call("echo", body));
  };
}

/** A frame that comes in ever more pieces: looking at it again at each of them must not add up. */
function chunks(name: string, codec: Codec<Uint8Array<ArrayBuffer>>): Series {
  const length = smoke ? 1 << 12 : 1 << 16;
  return {
    name: `chunks of a frame, ${name}`,
    sizes: doubled(length >> 7, 7),
    prepare(count) {
      const output = new OutBuffer();
      codec.encode(new Uint8Array(length), output);
      const frame = output.toBytes();
      const size = Math.ceil(frame.length / count);
      return Promise.resolve(() => {
        const queue = new ByteQueue();
        let frames = 0;
        for (let at = 0; at < frame.length; at += size) {
          queue.push(frame.subarray(at, at + size));
          if (codec.decode(queue) !== undefined) frames++;
        }
        if (frames !== 1) throw new Error("There must be one frame");
      });
    },
  };
}

function doubled(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first * 2 ** index);
}
