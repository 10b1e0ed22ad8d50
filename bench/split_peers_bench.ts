/**
 * Splitting a byte stream into frames, beside packages of npm that do the same: CPU only, no socket.
 * These are the groups of the goals; the packages that are not there are left out.
 *
 * The baseline makes a view per frame of a stream that is there as a whole (for the longest frames: a
 * copy of each). The packages are given chunks that are views of the stream, with no copy, and so is
 * vnet with "callback": its `FrameDecoder` takes what they take. "batches" and "for await" are of a
 * `FrameStream`, whose connection copies each chunk into its memory, as a socket would: what the
 * packages are spared. One turn is one pass over the same stream.
 */
import { type Bytes, type Codec, lengthField, varint } from "../src/frames.ts";
import { scaled, turns } from "./_settings.ts";
import * as split from "./_splitting.ts";

/** A stream of Node that frames come out of. */
interface Decoder {
  on(event: "data" | "message", listener: (frame: Uint8Array) => void): void;
  on(event: "end" | "finish", listener: () => void): void;
  write(chunk: Uint8Array): boolean;
  end(): void;
}

/** A function of `it-length-prefixed`. */
type Decode = (
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: object,
) => Iterable<object> & AsyncIterable<object>;

/** The receiver of `ws`. */
type Receiver = new (options: object) => Decoder;

const LARGEST = 1 << 24;
const lengths = lengthField({ width: 4, maxFrameLength: LARGEST });
const varints = varint({ maxFrameLength: LARGEST });

const lengthPrefixedStream: { decode(options?: object): Decoder } | undefined = await optional(
  "npm:length-prefixed-stream@2.0.0",
  "default",
);
const frameStream: { decode(): Decoder } | undefined = await optional(
  "npm:frame-stream@4.0.1",
  "default",
);
const itLengthPrefixed: Decode | undefined = await optional(
  "npm:it-length-prefixed@11.0.1",
  "decode",
);
const WsReceiver: Receiver | undefined = await optional("npm:ws@8.23.0", "Receiver");

for (const [name, size] of [["16 B", 16], ["64 B", 64], ["256 B", 256]] as const) {
  group(name, size, "64 KiB chunks", 65_536, scaled(1 << 20, 1 << 14));
}
group("64 B", 64, "7 B chunks", 7, scaled(1 << 18, 1 << 12));
group("64 B", 64, "1 B chunks", 1, scaled(1 << 16, 1 << 10));
group("1 MiB", scaled(1 << 20, 1 << 17), "64 KiB chunks", 65_536, 1 << 23);

function group(name: string, size: number, chunks: string, chunk: number, pass: number): void {
  const group = `peers, ${name}, ${chunks}`;
  const body = new Uint8Array(size).fill(1);
  const stream = split.streamOf(lengths, body, pass);
  const prefixed = split.streamOf(varints, body, pass);
  const bench = (name: string, fn: () => void | Promise<void>, baseline = false) =>
    Deno.bench(name, { group, baseline, ...turns }, fn);

  if (size < 1 << 16) bench("walk + subarray", () => split.walkLengths(stream), true);
  else bench("memcpy", () => copies(stream, size), true);
  bench("vnet, callback", () => split.callback(stream, chunk, lengths));
  // Only what is declared async is awaited by the runner.
  bench("vnet, batches", async () => await split.batches(stream, chunk, lengths));
  bench("vnet, for await", async () => await split.forAwait(stream, chunk, lengths));
  if (lengthPrefixedStream !== undefined) {
    const { decode } = lengthPrefixedStream;
    bench(
      "length-prefixed-stream",
      async () => await feed(decode({ limit: LARGEST }), prefixed, chunk),
    );
  }
  if (frameStream !== undefined) {
    const { decode } = frameStream;
    bench("frame-stream", async () => await feed(decode(), stream, chunk));
  }
  if (itLengthPrefixed !== undefined) {
    const decode = itLengthPrefixed;
    const options = { maxDataLength: LARGEST };
    bench("it-length-prefixed, sync", () => drain(decode(pieces(prefixed, chunk), options)));
    bench(
      "it-length-prefixed, async",
      async () => await drainAsync(decode(laterPieces(prefixed, chunk), options)),
    );
  }
  if (WsReceiver !== undefined) {
    const messages = webSocketStream(body, pass);
    const make = WsReceiver;
    const options = { isServer: false, maxPayload: LARGEST };
    bench(
      "ws receiver",
      async () => await feed(new make(options), messages, chunk, ["message", "finish"]),
    );
  }
}

let sink = 0;

function count(frame: Uint8Array): void {
  sink += frame.length;
}

function copies(stream: Bytes, size: number): void {
  for (let at = 4; at < stream.length; at += size + 4) sink += stream.slice(at, at + size).length;
}

/** Resolves when the last frame has come out: a stream gives them when it likes. */
function feed(
  decoder: Decoder,
  stream: Bytes,
  chunk: number,
  events: readonly ["data", "end"] | readonly ["message", "finish"] = ["data", "end"],
): Promise<void> {
  return new Promise((resolve) => {
    decoder.on(events[0], count);
    decoder.on(events[1], resolve);
    for (const piece of pieces(stream, chunk)) decoder.write(piece);
    decoder.end();
  });
}

function drain(frames: Iterable<object>): void {
  for (const _ of frames) sink++;
}

async function drainAsync(frames: AsyncIterable<object>): Promise<void> {
  for await (const _ of frames) sink++;
}

function* pieces(stream: Bytes, chunk: number): Generator<Bytes> {
  for (let at = 0; at < stream.length; at += chunk) yield stream.subarray(at, at + chunk);
}

async function* laterPieces(stream: Bytes, chunk: number): AsyncGenerator<Bytes> {
  yield* pieces(stream, chunk);
}

/** Binary messages as a server sends them: not masked. */
function webSocketStream(body: Uint8Array, pass: number): Bytes {
  const header = body.length < 126
    ? [0x82, body.length]
    : body.length < 65_536
    ? [0x82, 126, body.length >>> 8, body.length & 0xff]
    : [
      0x82,
      127,
      0,
      0,
      0,
      0,
      body.length >>> 24,
      body.length >>> 16,
      body.length >>> 8,
      body.length,
    ];
  const raw: Codec<Uint8Array> = {
    encode(frame, output) {
      output.bytes(new Uint8Array(header));
      output.bytes(frame);
    },
    decode: () => undefined,
  };
  return split.streamOf(raw, body, pass);
}

/** What a package exports; `undefined` where the package is not to be had. */
async function optional<T>(specifier: string, name: string): Promise<T | undefined> {
  try {
    return (await import(specifier))[name];
  } catch (error) {
    console.error(`${specifier} is left out: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}
