/**
 * vnet as it comes: registration, limits, heartbeat, deadlines and statistics are on, as always.
 */
import { connect, serve } from "../../mod.ts";
import { closedLoop } from "../_closed_loop.ts";
import type { Contestant } from "../_contestant.ts";
import { Signal } from "../_signal.ts";

const SECRET = "s3cret";
/** So much is sent before the sender asks whether there is room for more. */
const BATCH_BYTES = 65_536;
const BATCH = 64;

/** Whose handler of calls answers at once. */
export const vnet: Contestant = contestant("echo");

/** Whose handler of calls is an async function. */
export const vnetAsync: Contestant = contestant("soon");

function contestant(method: "echo" | "soon"): Contestant {
  return {
    async serve() {
      const heard = new Signal();
      const server = await serve("127.0.0.1:0", {
        register: ({ id, authEquals }) =>
          authEquals(SECRET) ? { id, data: undefined } : { reject: "AUTH_FAILED" },
        methods: {
          echo: (body) => body,
          // deno-lint-ignore require-await
          soon: async (body) => body,
        },
        onMessage: () => heard.give(),
      });
      return {
        port: server.addr.port,
        async push(size, count) {
          const [peer] = server.peers;
          const body = new Uint8Array(size);
          const batch = Math.max(1, Math.min(BATCH, BATCH_BYTES / size));
          for (let sent = 0; sent < count && peer !== undefined;) {
            let room = peer.send(body);
            for (sent++; sent % batch !== 0 && sent < count; sent++) room = peer.send(body);
            await room;
          }
        },
        async broadcast(body) {
          await server.broadcast(body);
        },
        heard: () => heard.next(),
      };
    },

    async connect(port, arrived) {
      const client = await connect({ hostname: "127.0.0.1", port }, {
        auth: SECRET,
        ...(arrived && { onMessage: ({ body }) => arrived(body.length) }),
      });
      return {
        calls: (load) => closedLoop(load, (body) => client.call(method, body)),
        signal: () => void client.send(new Uint8Array(1)),
      };
    },
  };
}
