/**
 * The receiving end of the broadcast: consumers that take everything, and one that does not.
 *
 *   deno run --allow-net _consumers.ts <port> <consumers> <handler | socket>
 *
 * Each that has got the topic "end" says how many bytes came before it. Ends when the server has closed
 * its connections.
 */
import { connect } from "@vgo/vnet";
import { LIMITS, WireClient } from "../_support/wire_client.ts";

const [port = 0, count = 0] = Deno.args.map(Number);
const paused = Deno.args[2];
const addr = { hostname: "127.0.0.1", port };

if (paused === "handler") {
  await connect(addr, { id: "paused", onMessage: () => new Promise(() => {}), reconnect: false });
}
if (paused === "socket") {
  // It has room for everything, as it says, and reads nothing.
  const wire = new WireClient(await Deno.connect(addr));
  await wire.open({ clientId: "paused", limits: { ...LIMITS, recvBytes: 2 ** 31 - 1 } });
  wire.pause();
}
const clients = await Promise.all(Array.from({ length: count }, (_, n) => {
  let bytes = 0;
  return connect(addr, {
    id: `fast-${n}`,
    reconnect: false,
    onMessage({ topic, body }, client) {
      if (topic !== "end") bytes += body.length;
      else return client.send(new TextEncoder().encode(String(bytes)));
    },
  });
}));
await Promise.all(clients.map((client) => client.closed));
Deno.exit();
