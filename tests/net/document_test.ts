/**
 * The TCP section of the document that asked for this module, name by name: what each of its functions
 * and fields is here. Its programs are examples/http_fetch.ts and examples/tcp_echo.ts.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { dialTcp, type Listener, listenTcp, type TcpConn, TimeoutError } from "@vgo/vnet/net";

const SECOND = 1_000;

/** As the document's own test begins. */
async function setup(): Promise<[Listener, TcpConn, TcpConn]> {
  const listener = await listenTcp("127.0.0.1:0"); // listen_tcp(port)
  const client = await dialTcp(`127.0.0.1:${listener.addr.port}`); // dial_tcp(address)
  client.readTimeout = 3 * SECOND; // set_read_timeout
  client.writeTimeout = 3 * SECOND; // set_write_timeout
  const server = await listener.accept(); // accept
  server.readTimeout = 3 * SECOND;
  server.writeTimeout = 3 * SECOND;
  return [listener, client, server];
}

async function cleanup(...things: (Listener | TcpConn)[]): Promise<void> {
  await Promise.all(things.map((thing) => thing.close())); // close
}

Deno.test("@vgo/vnet/net has dial_tcp, listen_tcp, accept, write_str, read, close, set_read_timeout, set_write_timeout", async () => {
  const [listener, client, server] = await setup();
  const message = "Hello World";
  await server.write(message); // write_str
  const buf = new Uint8Array(1_024);
  const n = await client.read(buf); // read
  assertEquals(new TextDecoder().decode(buf.subarray(0, n ?? 0)), message);
  assert(server.id !== client.id); // sock.handle
  await cleanup(listener, client, server);
});

Deno.test("@vgo/vnet/net has write, read_all, bytestr, infinite_timeout", async () => {
  const [listener, client, server] = await setup();
  client.readTimeout = Infinity; // set_read_timeout(net.infinite_timeout)
  const result = client.readText(); // io.read_all(conn) and bytestr()
  assertEquals(await server.write(new TextEncoder().encode("all of ")), 7); // write
  await server.write("it");
  await server.close();
  assertEquals(await result, "all of it");
  await cleanup(listener, client, server);
});

Deno.test("@vgo/vnet/net has read_deadline, write_deadline", async () => {
  const [listener, client, server] = await setup();
  client.setReadDeadline(Date.now() - 1); // read_deadline
  await assertRejects(() => client.read(new Uint8Array(1)), TimeoutError);
  client.setWriteDeadline(new Date(Date.now() - 1)); // write_deadline
  await assertRejects(() => client.write("x"), TimeoutError);
  await cleanup(listener, client, server);
});

Deno.test("@vgo/vnet/net has accept_timeout, accept_deadline", async () => {
  const listener = await listenTcp("127.0.0.1:0");
  listener.acceptTimeout = 1; // accept_timeout
  await assertRejects(() => listener.accept(), TimeoutError);
  listener.acceptTimeout = Infinity;
  listener.setAcceptDeadline(Date.now() + 1); // accept_deadline
  await assertRejects(() => listener.accept(), TimeoutError);
  await cleanup(listener);
});

Deno.test("@vgo/vnet/net has io.Reader, io.Writer", async () => {
  const [listener, client, server] = await setup();
  const piping = client.readable.pipeTo(client.writable);
  await server.write("there and back");
  await server.closeWrite();
  assertEquals(await server.readText(), "there and back");
  await piping;
  await cleanup(listener, client, server);
});
