/**
 * A listener and both ends of a connection, with time limits of each kind: a message goes across, then
 * a read waits in vain, and simply waits again.
 *
 *     deno run --allow-net=127.0.0.1 examples/tcp_echo.ts
 */
import { dialTcp, type Listener, listenTcp, type TcpConn, TimeoutError } from "@vgo/vnet/net";

const [listener, client, server] = await setup();
try {
  const message = "Hello World";
  await server.write(message);
  console.log(`connection ${server.id} sends: ${message}`);

  const buf = new Uint8Array(1_024);
  const n = await client.read(buf);
  console.log(`connection ${client.id} receives: ${text(buf, n)}`);

  // A deadline is an instant, and holds for all reads until it is moved.
  client.setReadDeadline(Date.now() + 50);
  while (true) {
    try {
      const n = await client.read(buf);
      if (n === null) break;
      console.log(`and receives: ${text(buf, n)}`);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      console.log(error.message);
      client.setReadDeadline(Infinity); // nothing was lost: read again
      await server.write("late, but whole");
      await server.closeWrite();
    }
  }
  console.log("the server has nothing more to say");
} finally {
  await cleanup(listener, client, server);
}

async function setup(): Promise<[Listener, TcpConn, TcpConn]> {
  const limits = { readTimeout: 3_000, writeTimeout: 3_000 };
  const listener = await listenTcp("127.0.0.1:0", { ...limits, acceptTimeout: 3_000 });
  const client = await dialTcp(listener.addr, limits);
  const server = await listener.accept();
  return [listener, client, server];
}

async function cleanup(...things: (Listener | TcpConn)[]): Promise<void> {
  await Promise.all(things.map((thing) => thing.close()));
}

function text(buf: Uint8Array, n: number | null): string {
  return new TextDecoder().decode(buf.subarray(0, n ?? 0));
}
