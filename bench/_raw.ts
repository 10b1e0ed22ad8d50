/**
 * The bare connections that benchmarks stand beside: what the runtime can do without vnet.
 */

/** Two ends of one bare connection, with Nagle's algorithm off. */
export async function pair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const conns = await Promise.all([listener.accept(), Deno.connect({ port })]);
  for (const conn of conns) conn.setNoDelay(true);
  return conns;
}

/** Sends back what comes, as it comes, until the end. */
export async function echo(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    await writeAll(conn, buffer.subarray(0, count));
  }
}

/** Writes all of it. */
export async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  while (data.length > 0) data = data.subarray(await conn.write(data));
}

/** Reads so many bytes, and keeps none. */
export async function readCount(conn: Deno.Conn, target: Uint8Array, count: number): Promise<void> {
  while (count > 0) {
    const read = await conn.read(target.subarray(0, Math.min(target.length, count)));
    if (read === null) throw new Error("The connection has ended");
    count -= read;
  }
}
