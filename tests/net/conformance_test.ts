/** The same suite over everything that needs no more than the network. Unix sockets: tests/system. */
import { memoryPair } from "@vgo/vnet/testing";
import {
  type Conn,
  type ConnOptions,
  dial,
  dialTcp,
  listen,
  type Listener,
  startTls,
} from "@vgo/vnet/net";
import { realClock } from "../../src/testing/real_clock.ts";
import { Connection } from "../../src/net/connection.ts";
import certs from "../tls/certs.json" with { type: "json" };
import { conformance } from "./conformance.ts";

const { server: { cert, key }, ca } = certs;

conformance({
  name: "memory",
  connect: (options) => {
    const [a, b] = memoryPair();
    const timing = { clock: realClock, wallNow: () => Date.now() };
    return Promise.resolve([
      new Connection(a, options, timing),
      new Connection(b, options, timing),
    ]);
  },
});

conformance({
  name: "TCP",
  connect: async (options) => {
    await using listener = await listen("127.0.0.1:0", options);
    return await both(listener, dial(listener.addr, options));
  },
});

conformance({
  name: "TLS",
  sure: false,
  connect: async (options) => {
    await using listener = await listen("tls://127.0.0.1:0", { ...options, tls: { cert, key } });
    return await both(listener, dial(listener.addr, { ...options, tls: { caCerts: [ca] } }));
  },
});

conformance({
  name: "TLS begun later",
  sure: false,
  connect: async (options) => {
    await using listener = await listen("tls://127.0.0.1:0", { ...options, tls: { cert, key } });
    return await both(listener, upgraded(listener, options));
  },
});

async function upgraded({ addr }: Listener, options: ConnOptions): Promise<Conn> {
  const plain = await dialTcp({ hostname: "localhost", port: addr.port }, options);
  return await startTls(plain, { tls: { caCerts: [ca] } });
}

async function both(listener: Listener, dialling: Promise<Conn>): Promise<[Conn, Conn]> {
  return await Promise.all([dialling, listener.accept({ timeout: 10_000 })]);
}
