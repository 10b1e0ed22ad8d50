/** Byte connections over Unix sockets: the common suite, and the sockets' files. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectError, dial, listen } from "@vgo/vnet/net";
import { conformance } from "../net/conformance.ts";
import { Folder } from "./_folder.ts";
import { systemTest } from "./_process.ts";

const needs = { permissions: ["net", "read", "write"], unix: true } as const;

conformance({
  name: "a Unix socket",
  connect: async (options) => {
    await using folder = await Folder.make();
    await using listener = await listen(`unix:${folder.path("a.sock")}`, options);
    return await Promise.all([dial(listener.addr, options), listener.accept({ timeout: 10_000 })]);
  },
}, (name, fn) => systemTest(name, needs, fn));

systemTest(
  "T5 listen() replaces a Unix socket on which nobody listens any more",
  needs,
  async () => {
    await using folder = await Folder.make();
    await folder.leaveStale("stale.sock");
    const address = `unix:${folder.path("stale.sock")}`;
    const error = await assertRejects(() => dial(address), ConnectError);
    assertEquals(error.code, "REFUSED");
    await using listener = await listen(address);
    await using client = await dial(address);
    await using server = await listener.accept();
    await client.write("hello\n");
    assertEquals(await server.readLine(), "hello");
  },
);

systemTest("T5 listen() leaves alone what is in use, or is no socket", needs, async () => {
  await using folder = await Folder.make();
  const address = `unix:${folder.path("live.sock")}`;
  await using listener = await listen(address);
  const file = folder.path("notes.txt");
  await Deno.writeTextFile(file, "dear diary");
  for (const taken of [address, `unix:${file}`]) {
    const error = await assertRejects(() => listen(taken), ConnectError);
    assertEquals([error.code, error.initiator], ["ADDRESS_IN_USE", "local"]);
  }
  assertEquals(await Deno.readTextFile(file), "dear diary");
  await using _client = await dial(address);
  await using _server = await listener.accept();
});

systemTest(
  "T5 listen() lets only the owner connect, and close() removes the file",
  needs,
  async () => {
    await using folder = await Folder.make();
    const path = folder.path("a.sock");
    const listener = await listen({ transport: "unix", path });
    assertEquals(String(listener.addr), `unix:${path}`);
    assertEquals(((await Deno.lstat(path)).mode ?? 0) & 0o777, 0o600);
    await listener.close();
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  },
);

systemTest("dial() names the ends of a Unix socket, and takes a signal", needs, async () => {
  await using folder = await Folder.make();
  await using listener = await listen(`unix:${folder.path("a.sock")}`);
  await using client = await dial(listener.addr);
  await using server = await listener.accept();
  assertEquals(String(client.remoteAddr), String(listener.addr));
  assertEquals([client.remoteAddr.transport, server.remoteAddr.transport], ["unix", "unix"]);
  assert(!("setNoDelay" in client));
  const reason = new Error("enough");
  const aborted = dial(listener.addr, { signal: AbortSignal.abort(reason) });
  assertEquals(await aborted.catch((error) => error), reason);
});

systemTest("listen() refuses options that a Unix socket does not have", needs, async () => {
  await assertRejects(() => listen("unix:/nowhere/a.sock", { reusePort: true }), TypeError);
  await assertRejects(() => listen("unix:/nowhere/a.sock", { backlog: 5 }), TypeError);
});
