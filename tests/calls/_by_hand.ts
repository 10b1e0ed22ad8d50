/**
 * One end of ours and one that speaks by hand, over a pair in memory, on a clock that stands still.
 */
import { attach, json } from "@vgo/vnet";
import { ManualClock, memoryPair } from "@vgo/vnet/testing";
import type { CallContext } from "@vgo/vnet";
import { type Json, type JsonPeer, runtimeOf } from "./_support.ts";
import { WirePeer } from "./_wire_peer.ts";

/** A client of ours, and a server that speaks by hand. */
export async function clientOf(clock = new ManualClock()) {
  const [here, there] = memoryPair();
  const server = new WirePeer(there, "server");
  const runtime = runtimeOf(clock);
  const client = await attach<"client", Json>(here, {
    side: "client",
    serializer: json(),
    heartbeat: false,
    runtime,
  });
  return { client, server, clock };
}

/** A server of ours, and a client that speaks by hand. */
export async function serverOf(
  methods: Record<string, (input: unknown, call: CallContext<JsonPeer, unknown>) => unknown>,
  clock = new ManualClock(),
) {
  const [here, there] = memoryPair();
  const client = new WirePeer(here, "client");
  const server = await attach<"server", Json>(there, {
    side: "server",
    serializer: json(),
    heartbeat: false,
    runtime: runtimeOf(clock),
    methods,
  });
  return { client, server, clock };
}
