/**
 * vnet's frames alone: what a push costs without a session. It has no calls.
 */
import type { Contestant } from "../_contestant.ts";
import { Signal } from "../_signal.ts";
import { FrameStream, lengthField } from "../../src/frames.ts";

const BATCH_BYTES = 65_536;
const BATCH = 64;
const codec = lengthField({ width: 4 });

export const frames: Contestant = {
  serve() {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const streams: FrameStream<Uint8Array>[] = [];
    const heard = new Signal();
    const follow = async (conn: Deno.TcpConn) => {
      conn.setNoDelay(true);
      const stream = new FrameStream(conn, codec);
      streams.push(stream);
      for await (const _ of stream) heard.give();
    };
    (async () => {
      for await (const conn of listener) follow(conn).catch(console.error);
    })();
    return Promise.resolve({
      port: listener.addr.port,
      async push(size, count) {
        const [stream] = streams;
        const body = new Uint8Array(size);
        const batch = Math.max(1, Math.min(BATCH, BATCH_BYTES / size));
        for (let sent = 0; sent < count && stream !== undefined;) {
          let room = stream.send(body);
          for (sent++; sent % batch !== 0 && sent < count; sent++) room = stream.send(body);
          await room;
        }
      },
      async broadcast(body) {
        await Promise.all(streams.map((stream) => stream.send(body)));
      },
      heard: () => heard.next(),
    });
  },

  async connect(port, arrived = () => {}) {
    const conn = await Deno.connect({ port });
    conn.setNoDelay(true);
    const stream = new FrameStream(conn, codec);
    (async () => {
      for await (const batch of stream.batches()) {
        for (const { length } of batch) arrived(length);
      }
    })().catch(console.error);
    return {
      calls: () => Promise.reject(new TypeError("There are no calls")),
      signal: () => void stream.send(new Uint8Array(1)),
    };
  },
};
