/**
 * What deadlines cost: `TcpConn` beside the runtime's own connection, on loopback, both ends in this
 * process.
 *
 * In each group the baseline has no time limits at all, while every read and write of `TcpConn` has two
 * of them: a timeout and a deadline. One turn is one message there and back, or so many bytes one way.
 * Only ratios within a group mean anything.
 */
import { dialTcp, dialTls, listenTcp, listenTls, type TcpConn, type TlsConn } from "../src/net.ts";
import certs from "../tests/tls/certs.json" with { type: "json" };
import { pair } from "./_raw.ts";
import { scaled, turns } from "./_settings.ts";

/** What both kinds of connection can do. */
interface Ends {
  read(buf: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
}

const BULK = scaled(64 << 20, 1 << 20);
const LIMITS = { readTimeout: 30_000, writeTimeout: 30_000 };
const HOUR = 3_600_000;

for (const [name, size] of [["32 B", 32], ["1 KiB", 1_024]] as const) {
  const group = `there and back, ${name}`;
  const message = new Uint8Array(size);
  const ends: [name: string, server: Ends, client: Ends][] = [
    ["bare connection", ...await pair()],
    ["TcpConn, one end", ...await mixedPair()],
    ["TcpConn, both ends", ...await limitedPair()],
  ];
  for (const [index, [name, server, client]] of ends.entries()) {
    echo(server).catch(() => {});
    bench(group, name, () => thereAndBack(client, message), index === 0);
  }
}

for (const [name, size] of [["64 KiB", 65_536], ["4 KiB", 4_096]] as const) {
  const group = `${BULK >> 20} MiB one way, reads and writes of ${name}`;
  const piece = new Uint8Array(size);
  const target = new Uint8Array(size);
  const [bareServer, bare] = await pair();
  bench(group, "bare connection", () => oneWay(bare, bareServer, piece, target), true);
  const [server, client] = await limitedPair();
  bench(group, "TcpConn, both ends", () => oneWay(client, server, piece, target));
}

{
  // Nagle's algorithm holds the second write back until the first is acknowledged.
  const group = "two small writes, then a read";
  const few = { n: scaled(20, 1), warmup: 1 };
  const [bareServer, bare] = await pair();
  bare.setNoDelay(false);
  bareServer.setNoDelay(false);
  answerPairs(bareServer).catch(() => {});
  bench(group, "bare connection as the runtime gives it", () => twoWrites(bare), true, few);
  const [server, client] = await limitedPair();
  answerPairs(server).catch(() => {});
  bench(group, "TcpConn", () => twoWrites(client), false, few);
  const [tlsServer, tlsClient] = await tlsPair();
  answerPairs(tlsServer).catch(() => {});
  bench(group, "TlsConn", () => twoWrites(tlsClient), false, few);
}

function bench(
  group: string,
  name: string,
  turn: () => Promise<void>,
  baseline = false,
  more: { n?: number; warmup?: number } = turns,
): void {
  // Only what is declared async is awaited by the runner.
  Deno.bench(name, { group, baseline, ...more }, async () => await turn());
}

async function limitedPair(): Promise<[TcpConn, TcpConn]> {
  await using listener = await listenTcp("127.0.0.1:0", LIMITS);
  const conns = await Promise.all([listener.accept(), dialTcp(listener.addr, LIMITS)]);
  for (const conn of conns) conn.setDeadline(Date.now() + HOUR);
  return conns;
}

async function mixedPair(): Promise<[Deno.TcpConn, TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns = await Promise.all([listener.accept(), dialTcp(listener.addr, LIMITS)]);
  conns[0].setNoDelay(true);
  conns[1].setDeadline(Date.now() + HOUR);
  return conns;
}

async function tlsPair(): Promise<[TlsConn, TlsConn]> {
  await using listener = await listenTls("127.0.0.1:0", { ...LIMITS, tls: certs.server });
  const dialling = dialTls(listener.addr, { ...LIMITS, tls: { caCerts: [certs.ca] } });
  return await Promise.all([listener.accept(), dialling]);
}

const buffer = new Uint8Array(65_536);

async function thereAndBack(conn: Ends, message: Uint8Array): Promise<void> {
  await conn.write(message);
  for (let left = message.length; left > 0;) left -= await conn.read(buffer) ?? left;
}

async function oneWay(
  from: Ends,
  to: Ends,
  piece: Uint8Array,
  target: Uint8Array,
): Promise<void> {
  await Promise.all([
    (async () => {
      // A bare connection may take a part only; what is written is one piece all the same.
      for (let sent = 0; sent < BULK; sent += piece.length) {
        for (let rest = piece; rest.length > 0;) rest = rest.subarray(await from.write(rest));
      }
    })(),
    (async () => {
      for (let left = BULK; left > 0;) left -= await to.read(target) ?? left;
    })(),
  ]);
}

async function twoWrites(conn: Ends): Promise<void> {
  await conn.write(buffer.subarray(0, 4));
  await conn.write(buffer.subarray(0, 60));
  await conn.read(buffer);
}

/** Answers every 64 bytes with one. */
async function answerPairs(conn: Ends): Promise<void> {
  const buf = new Uint8Array(64);
  let got = 0;
  for (let n = await conn.read(buf); n !== null; n = await conn.read(buf)) {
    got += n;
    for (; got >= 64; got -= 64) await conn.write(buf.subarray(0, 1));
  }
}

async function echo(conn: Ends): Promise<void> {
  const buf = new Uint8Array(65_536);
  for (let n = await conn.read(buf); n !== null; n = await conn.read(buf)) {
    await conn.write(buf.subarray(0, n));
  }
}
