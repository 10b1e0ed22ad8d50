/**
 * Datagrams there and back, with timeouts: the UDP program of the document that vnet grew from.
 *
 *     deno run --unstable-net --allow-net=127.0.0.1 examples/udp_echo.ts
 */
import { dialUdp, listenUdp, TimeoutError, type UdpConn } from "@vgo/vnet/udp";

/** Sends back what comes, to whoever sent it, until the socket is closed. */
async function echoServer(conn: UdpConn): Promise<void> {
  const buf = new Uint8Array(100);
  while (true) {
    try {
      const { size, from, truncated } = await conn.read(buf);
      if (truncated) console.log(`server: cut a datagram of ${from.host}`);
      await conn.send(buf.slice(0, size), from);
    } catch (error) {
      if (error instanceof TimeoutError) continue; // nothing was lost: just read again
      console.log("server: closed");
      return;
    }
  }
}

const server = await listenUdp("127.0.0.1:0", { readTimeout: 10_000, writeTimeout: 10_000 });
const serving = echoServer(server);

await using client = await dialUdp(server.localAddr, { localAddr: "127.0.0.1:0" });
client.readTimeout = 10_000;
client.writeTimeout = 10_000;

const text = "Hello from vnet!";
await client.send(text);
const buf = new Uint8Array(100);
const { size, from } = await client.read(buf);
console.log(`client: got "${new TextDecoder().decode(buf.subarray(0, size))}"`);
console.log(`client: from the server? ${String(from) === String(server.localAddr)}`);

// What is too long for the server's buffer is cut, and the server knows it.
await client.send("x".repeat(150));
console.log(`client: got ${(await client.receive()).data.length} of 150 bytes`);

await server.close();
await serving;
