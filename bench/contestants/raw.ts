/**
 * The limit of the runtime: bare connections. No frames, no promise per message.
 *
 * A turn of calls is one write of all of them; the server sends back what it reads, as it reads it.
 * A push is 64 KiB to a write. A broadcast is a write to each connection.
 */
import { spread } from "../_closed_loop.ts";
import type { CallFigures, CallLoad, ClientEnd, Contestant, ServerEnd } from "../_contestant.ts";
import { echo, readCount, writeAll } from "../_raw.ts";
import { Signal } from "../_signal.ts";

/** What a call has beside its body, each way: as much as one of vnet, so that as many bytes travel. */
const OVERHEAD = 21;
const CHUNK = 65_536;
/** A connection waits with so much memory until something comes. */
const WAITING = 512;
/** What a client says first, and is answered by. */
const CALLS = new Uint8Array([1]);
const LISTENS = new Uint8Array([2]);
const BEATS = new Uint8Array([3]);
/** As often as vnet's, in ms. */
const BEAT_INTERVAL = 10_000;

export const raw: Contestant = contestant(LISTENS);

/** Whose connections that listen send a byte at the interval of a heartbeat, and get one back. */
export const rawBeating: Contestant = contestant(BEATS);

function contestant(listens: Uint8Array): Contestant {
  return { serve, connect: (port, arrived) => dial(port, listens, arrived) };
}

function serve(): Promise<ServerEnd> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.TcpConn[] = [];
  const heard = new Signal();
  const follow = async (conn: Deno.TcpConn) => {
    conn.setNoDelay(true);
    const buffer = new Uint8Array(WAITING);
    await readCount(conn, buffer, 1);
    conns.push(conn);
    await writeAll(conn, LISTENS);
    if (buffer[0] === CALLS[0]) return await echo(conn);
    const beats = buffer[0] === BEATS[0];
    while (await conn.read(buffer) !== null) {
      if (beats) await writeAll(conn, BEATS);
      else heard.give();
    }
  };
  (async () => {
    for await (const conn of listener) follow(conn).catch(console.error);
  })();
  return Promise.resolve({
    port: listener.addr.port,
    async push(size, count) {
      const [conn] = conns;
      const chunk = new Uint8Array(CHUNK);
      for (let left = size * count; left > 0 && conn !== undefined; left -= CHUNK) {
        await writeAll(conn, left < CHUNK ? chunk.subarray(0, left) : chunk);
      }
    },
    async broadcast(body) {
      await Promise.all(conns.map((conn) => writeAll(conn, body)));
    },
    heard: () => heard.next(),
  });
}

async function dial(
  port: number,
  listens: Uint8Array,
  arrived: ((bytes: number) => void) | undefined,
): Promise<ClientEnd> {
  const conn = await Deno.connect({ port });
  conn.setNoDelay(true);
  await writeAll(conn, arrived === undefined ? CALLS : listens);
  await readCount(conn, new Uint8Array(1), 1);
  if (arrived !== undefined) listen(conn, arrived).catch(console.error);
  if (listens === BEATS) setInterval(() => writeAll(conn, BEATS), BEAT_INTERVAL);
  return {
    calls: (load) => pipelined(conn, load),
    signal: () => void writeAll(conn, LISTENS),
  };
}

async function listen(conn: Deno.Conn, arrived: (bytes: number) => void): Promise<void> {
  let buffer = new Uint8Array(WAITING);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    arrived(count);
    // As vnet does: much memory only for who gets much.
    if (count === WAITING) buffer = new Uint8Array(CHUNK);
  }
}

async function pipelined(conn: Deno.Conn, load: CallLoad): Promise<CallFigures> {
  const { inFlight, size, duration } = load;
  const bytes = (size + OVERHEAD) * inFlight;
  const source = new Uint8Array(bytes);
  const target = new Uint8Array(CHUNK);
  const times: number[] = [];
  const begin = performance.now();
  let at = begin;
  while (at < begin + duration) {
    await Promise.all([readCount(conn, target, bytes), writeAll(conn, source)]);
    const now = performance.now();
    times.push(now - at);
    at = now;
  }
  return { count: times.length * inFlight, duration: at - begin, ...spread(times) };
}
