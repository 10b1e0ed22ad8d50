/**
 * The npm package `ws`, with ids and a map of waiting calls written by hand. It has no deadline per call.
 *
 * Runs on Deno and on Node, so it uses nothing that only one of them has. Messages of a push are
 * corked: that is how this package gets many of them into one write.
 */
import { closedLoop } from "../_closed_loop.ts";
import type { Contestant } from "../_contestant.ts";
import { Signal } from "../_signal.ts";
import { Waiting } from "./_waiting.ts";

/** The part of the package that is used here. */
interface Package {
  readonly WebSocketServer: new (options: object) => Server;
  readonly WebSocket: new (url: string, options: object) => Socket;
}

interface Server {
  readonly clients: Set<Socket>;
  address(): { readonly port: number };
  on(event: "connection", listener: (socket: Socket) => void): void;
  once(event: "listening", listener: () => void): void;
}

interface Socket {
  readonly bufferedAmount: number;
  readonly _socket: { cork(): void; uncork(): void };
  on(event: "message", listener: (data: Uint8Array<ArrayBuffer>) => void): void;
  on(event: "open" | "error", listener: (error?: Error) => void): void;
  send(data: Uint8Array, done?: () => void): void;
}

const BATCH_BYTES = 65_536;
const BATCH = 64;
/** So many bytes may wait with the socket before a push pauses. */
const HIGH_WATER = 262_144;

/** `specifier`: where the runtime finds the package. */
export async function ws(specifier: string): Promise<Contestant> {
  const { WebSocketServer, WebSocket }: Package = await import(specifier);
  return {
    async serve() {
      const server = new WebSocketServer({
        host: "127.0.0.1",
        port: 0,
        perMessageDeflate: false,
        backlog: 511,
      });
      const heard = new Signal();
      server.on("connection", (socket) => {
        socket.on("message", (data) => {
          if (data.byteLength > 1) socket.send(data);
          else heard.give();
        });
      });
      await new Promise<void>((resolve) => server.once("listening", resolve));
      return {
        port: server.address().port,
        async push(size, count) {
          const [socket] = server.clients;
          if (socket === undefined) return;
          const body = new Uint8Array(size);
          const batch = Math.max(1, Math.min(BATCH, BATCH_BYTES / size));
          for (let sent = 0; sent < count;) {
            socket._socket.cork();
            for (sent++; sent % batch !== 0 && sent < count; sent++) socket.send(body);
            const written = new Promise<void>((resolve) => socket.send(body, resolve));
            socket._socket.uncork();
            if (socket.bufferedAmount > HIGH_WATER) await written;
          }
        },
        broadcast(body) {
          for (const socket of server.clients) socket.send(body);
          return Promise.resolve();
        },
        heard: () => heard.next(),
      };
    },

    async connect(port, arrived) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      const waiting = new Waiting();
      socket.on("message", (data) => {
        if (arrived === undefined) waiting.answered(data);
        else arrived(data.byteLength);
      });
      await new Promise<void>((resolve, reject) => {
        socket.on("open", () => resolve());
        socket.on("error", reject);
      });
      return {
        calls: (load) =>
          closedLoop(load, (body) => waiting.call(body, (message) => socket.send(message))),
        signal: () => socket.send(new Uint8Array(1)),
      };
    },
  };
}
