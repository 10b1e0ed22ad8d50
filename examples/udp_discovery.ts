/**
 * Who is there? Services answer a question that goes to everybody, so nobody needs to know an address
 * beforehand. Here the question goes to the broadcast address of loopback, and all run in one program.
 * (Linux; elsewhere loopback has no such address.) On a network, put its broadcast address there.
 *
 *     deno run --unstable-net --allow-net examples/udp_discovery.ts
 */
import { Addr, listenUdp, TimeoutError, type UdpConn } from "@vgo/vnet/udp";

const BROADCAST = "127.255.255.255";
const QUESTION = "who is there?";

/** Answers the question until its socket is closed. */
async function announce(conn: UdpConn, name: string, url: string): Promise<void> {
  for await (const { data, from } of conn) {
    if (new TextDecoder().decode(data) !== QUESTION) continue;
    await conn.send(JSON.stringify({ name, url }), from);
  }
}

/** Asks until so many different services have answered, or time is up. */
async function discover(port: number, count: number, patience: number): Promise<string[]> {
  // Answers come from addresses that nobody knows yet: not a socket that is dialled to one.
  await using conn = await listenUdp("127.0.0.1:0");
  const found = new Set<string>();
  const to = Addr.parse({ transport: "udp", hostname: BROADCAST, port });
  const until = Date.now() + patience;
  await conn.send(QUESTION, to);
  while (found.size < count && Date.now() < until) {
    try {
      found.add(new TextDecoder().decode((await conn.receive({ timeout: 500 })).data));
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      await conn.send(QUESTION, to); // the question or an answer may have been lost
    }
  }
  return [...found].sort();
}

// Several programs of one machine can listen on the port: `reuseAddress`.
const first = await listenUdp(":0", { reuseAddress: true });
const { port } = first.localAddr;
const second = await listenUdp(`:${port}`, { reuseAddress: true });
const serving = [
  announce(first, "clock", "tcp://127.0.0.1:9001"),
  announce(second, "printer", "tcp://127.0.0.1:9002"),
];

for (const answer of await discover(port, 2, 5_000)) console.log(`found ${answer}`);

await Promise.all([first.close(), second.close()]);
await Promise.all(serving);
