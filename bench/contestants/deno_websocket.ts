/**
 * The WebSocket that is built into Deno, with ids and a map of waiting calls written by hand.
 *
 * It has no deadline per call. It is a browser's interface: there is no way to hold messages together,
 * and nothing tells when there is room for more.
 */
import { closedLoop } from "../_closed_loop.ts";
import type { Contestant } from "../_contestant.ts";
import { Signal } from "../_signal.ts";
import { Waiting } from "./_waiting.ts";

/** So many bytes may wait with the socket before a push pauses. */
const HIGH_WATER = 262_144;

export const denoWebSocket: Contestant = {
  serve() {
    const sockets = new Set<WebSocket>();
    const heard = new Signal();
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => sockets.add(socket);
      socket.onclose = () => sockets.delete(socket);
      socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
        if (data.byteLength > 1) socket.send(data);
        else heard.give();
      };
      return response;
    });
    return Promise.resolve({
      port: server.addr.port,
      async push(size, count) {
        const [socket] = sockets;
        const body = new Uint8Array(size);
        for (let sent = 0; sent < count && socket !== undefined; sent++) {
          socket.send(body);
          while (socket.bufferedAmount > HIGH_WATER) await immediate();
        }
      },
      broadcast(body) {
        for (const socket of sockets) socket.send(body);
        return Promise.resolve();
      },
      heard: () => heard.next(),
    });
  },

  async connect(port, arrived) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    socket.binaryType = "arraybuffer";
    const waiting = new Waiting();
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      if (arrived === undefined) waiting.answered(new Uint8Array(data));
      else arrived(data.byteLength);
    };
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return {
      calls: (load) =>
        closedLoop(load, (body) => waiting.call(body, (message) => socket.send(message))),
      signal: () => socket.send(new Uint8Array(1)),
    };
  },
};

function immediate(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
