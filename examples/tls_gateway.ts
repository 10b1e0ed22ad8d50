/**
 * A gateway with two doors: devices come over TLS from anywhere and are known by their certificates; an
 * operator comes in plaintext, but only from this machine. Whoever has no certificate, or meets a
 * gateway that is none, learns it, and does not try again.
 *
 *     deno run --allow-net=127.0.0.1 examples/tls_gateway.ts
 */
import { connect, ConnectError, RpcError, serve, text } from "@vgo/vnet";
// Those of the tests: everybody has their keys. A program reads its own with `Deno.readTextFile`.
import certs from "../tests/tls/certs.json" with { type: "json" };

await using gateway = await serve(["tls://127.0.0.1:0", "tcp://127.0.0.1:0"], {
  serializer: text(),
  tls: { ...certs.server, clientAuth: { caCerts: [certs.clientCa] } },
  register({ tls }) {
    // Without TLS it came in by the other door.
    if (tls === undefined) return { id: "operator" };
    // Its id is the name in its certificate, whatever it asks for.
    return tls.peerName === undefined ? false : { id: tls.peerName };
  },
  methods: {
    async ask(question: string, { peer }) {
      if (peer.id !== "operator") throw new RpcError("PERMISSION_DENIED", "You are no operator");
      const [device = "", what = ""] = question.split(": ");
      const found = peer.server.peers.get(device);
      if (found === undefined) throw new RpcError("NOT_FOUND", `There is no ${device}`);
      return `${device}: ${await found.call("report", what)}`;
    },
  },
  onConnect: (peer) => console.log(`gateway: ${peer.id} is in, over ${peer.remoteAddr.transport}`),
});
const [door, backDoor] = gateway.addrs;
if (door === undefined || backDoor === undefined) throw new Error("The gateway has two addresses");

// Whom to trust, what to show; the address must be in the gateway's certificate.
const tls = { caCerts: [certs.ca], ...certs.client };
const serializer = text();
await using ann = await connect(door, {
  id: "somebody else",
  serializer,
  tls,
  methods: { report: (what: string) => `${what} is 21 °C` },
});
console.log(`"somebody else" is ${ann.id}`);
await using operator = await connect(backDoor, { serializer });
console.log(await operator.call("ask", "ann: temperature"));
console.log(await tell(operator.call("ask", "bob: temperature")));

console.log(`no certificate: ${await tell(connect(door, { tls: { caCerts: [certs.ca] } }))}`);
console.log(
  `no such gateway: ${await tell(connect(door, { tls: { ...tls, serverName: "a.example" } }))}`,
);

/** How it failed. */
async function tell(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof ConnectError || error instanceof RpcError) return error.code;
    throw error;
  }
  return "it went well";
}
