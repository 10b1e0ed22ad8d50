/**
 * Moments at which a server may be asked to end, and ways to ask it (row D3 of the fault catalogue).
 */
import { assertEquals } from "@std/assert";
import { Client, type ServeOptions, type Server, text } from "@vgo/vnet";
import type { Simulation } from "@vgo/vnet/testing";
import { ADDRESS, type Text } from "../client/_support.ts";

/** Moments and ways to end a server. Its options may end it by `end`. */
export const ENDS: Record<
  string,
  {
    readonly code: string;
    readonly options?: (end: () => void) => ServeOptions<Text>;
    readonly run: (sim: Simulation, server: Server<Text>) => unknown;
  }
> = {
  "close twice": {
    code: "NORMAL",
    run: (_, server) => {
      server.close();
      server.close();
    },
  },
  "close while it closes": {
    code: "NORMAL",
    run: async (sim, server) => {
      server.close();
      await sim.advance(5);
      server.close({ grace: 1 });
    },
  },
  "close, then abort": {
    code: "ABORTED",
    run: (_, server) => {
      server.close();
      server.abort();
      server.abort();
    },
  },
  "abort, then close": {
    code: "ABORTED",
    run: (_, server) => {
      server.abort();
      server.close();
    },
  },
  "close, and its signal aborts": {
    code: "NORMAL",
    run: (_, server) => void server.close({ signal: AbortSignal.abort() }),
  },
  "close in onConnect": {
    code: "NORMAL",
    options: (end) => ({ onConnect: end }),
    run: (sim) => void newClient(sim),
  },
  "close in onMessage": {
    code: "NORMAL",
    options: (end) => ({ onMessage: end }),
    run: (sim) => void newClient(sim).send("x"),
  },
  "close in onDisconnect": {
    code: "NORMAL",
    options: (end) => ({ onDisconnect: end }),
    run: (_, server) => {
      for (const peer of server.peers) peer.abort();
    },
  },
  "close in a handler": {
    code: "NORMAL",
    options: (end) => ({
      methods: {
        end: () => {
          end();
          return "ended";
        },
      },
    }),
    run: (sim) => void newClient(sim).call("end").catch(() => {}),
  },
  "close in register": {
    code: "NORMAL",
    options: (end) => ({
      register: ({ id }) => {
        if (id === "late") end();
        return true;
      },
    }),
    run: (sim) => void newClient(sim, "late"),
  },
  "close while register thinks": {
    code: "NORMAL",
    options: () => ({ register: ({ id }) => id === "first" || new Promise(() => {}) }),
    run: async (sim, server) => {
      newClient(sim, "late");
      await sim.advance(50);
      assertEquals(server.stats().unregistered, 1);
      server.close();
    },
  },
  "close while register thinks, which says yes afterwards": {
    code: "NORMAL",
    options: () => ({
      register: ({ id, signal }) => {
        if (id === "first") return true;
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(true)));
      },
    }),
    run: async (sim, server) => {
      newClient(sim, "late");
      await sim.advance(50);
      server.close();
    },
  },
  "close while a connection is accepted": {
    code: "NORMAL",
    run: async (sim, server) => {
      newClient(sim, "late");
      // The dial takes 10 ms: what it finds is an end.
      await sim.advance(10);
      server.close();
    },
  },
  "close while a HELLO is on its way": {
    code: "NORMAL",
    run: async (sim, server) => {
      newClient(sim, "late");
      await sim.advance(15);
      server.close();
    },
  },
  "close while the owner of an id is asked": {
    code: "NORMAL",
    run: async (sim, server) => {
      for (const peer of server.peers) sim.link(peer).blackhole("up");
      newClient(sim, "first");
      await sim.advance(500);
      server.close();
    },
  },
  "close by an event": {
    code: "NORMAL",
    options: (end) => ({
      onEvent: ({ type }) => {
        if (type === "disconnect") end();
      },
    }),
    run: (_, server) => {
      for (const peer of server.peers) peer.abort();
    },
  },
};

/** A client that tries once, and is not waited for. */
export function newClient(sim: Simulation, id = "other"): Client<Text> {
  const client = new Client<Text>(ADDRESS, {
    runtime: sim,
    serializer: text(),
    id,
    reconnect: false,
  });
  client.opened.catch(() => {});
  return client;
}
