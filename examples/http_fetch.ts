/**
 * A page fetched over a bare TCP connection, as HTTP/1.0 would have it: one question, and the answer is
 * all that comes up to the end. The server is a loop over a listener.
 *
 *     deno run --allow-net=127.0.0.1 examples/http_fetch.ts
 */
import { dialTcp, listenTcp, type TcpConn } from "@vgo/vnet/net";

await using listener = await listenTcp("127.0.0.1:0", { readTimeout: 5_000 });
const serving = serve();

await using conn = await dialTcp(listener.addr, { timeout: 3_000 });
await conn.write("GET /index.html HTTP/1.0\r\n\r\n");
conn.readTimeout = Infinity;
console.log(await conn.readText());

await listener.close(); // ends the loop
await serving;

async function serve(): Promise<void> {
  for await (const conn of listener) {
    answer(conn).catch((error) => console.log(`${conn.remoteAddr}: ${error}`));
  }
}

async function answer(conn: TcpConn): Promise<void> {
  await using _closed = conn;
  const [method, path] = (await conn.readLine({ maxLength: 8_192 }))?.split(" ") ?? [];
  // The headers: nothing in them matters here.
  while (await conn.readLine({ maxLength: 8_192 }));
  const body = `You asked to ${method} ${path}`;
  await conn.write(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}
