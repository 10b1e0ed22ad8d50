/**
 * A file sent as a stream, with a progress bar. It is read only as fast as the far side takes it, and
 * it delays nobody: small calls go on over the same connection while it runs.
 *
 *     deno run --allow-net=127.0.0.1 --allow-read examples/file_stream.ts
 *
 * It sends 64 MiB that it makes, or the file whose path is given behind the command.
 */
import { connect, serve } from "@vgo/vnet";
import { count } from "./_program.ts";

const PIECE = 65_536;
const MADE = 64 * 1_048_576;
const [path] = Deno.args;

await using server = await serve("127.0.0.1:0", {
  methods: {
    upload: async (_name, { stream }) => {
      let size = 0;
      for await (const piece of stream) size += piece.length;
      return new TextEncoder().encode(String(size));
    },
    ping: () => new Uint8Array(0),
  },
});
await using client = await connect(server.addr);

const size = path === undefined ? MADE : (await Deno.stat(path)).size;
let calls = 0;
let slowest = 0;
let done = false;
const others = (async () => {
  while (!done) {
    const started = performance.now();
    await client.call("ping");
    slowest = Math.max(slowest, performance.now() - started);
    calls++;
    await new Promise((next) => setTimeout(next, 5));
  }
})();

const started = performance.now();
const name = new TextEncoder().encode(path ?? "made");
const receipt = await client.call("upload", name, {
  stream: withBar(path === undefined ? made() : (await Deno.open(path)).readable),
  timeout: 600_000,
});
done = true;
await others;

const took = (performance.now() - started) / 1_000;
console.log(`the far side has ${new TextDecoder().decode(receipt)} of ${size} bytes`);
console.log(`${(size / 1_048_576 / took).toFixed(0)} MiB/s`);
console.log(`${count(calls, "small call")} meanwhile, the slowest in ${slowest.toFixed(1)} ms`);

function* made(): Generator<Uint8Array> {
  for (let sent = 0; sent < MADE; sent += PIECE) yield new Uint8Array(PIECE);
}

/** On a terminal the bar moves; elsewhere a line for each quarter is enough. */
async function* withBar(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const moving = Deno.stdout.isTerminal();
  let sent = 0;
  let shown = -1;
  for await (const piece of pieces) {
    yield piece;
    sent += piece.length;
    const percent = Math.floor(100 * sent / size);
    const step = moving ? percent : 25 * Math.floor(percent / 25);
    if (step === shown) continue;
    shown = step;
    const bar = "█".repeat(step / 2).padEnd(50, "░");
    if (moving) await Deno.stdout.write(new TextEncoder().encode(`\r${bar} ${step} %`));
    else console.log(`${bar} ${step} %`);
  }
  if (moving) console.log();
}
