/** Servers and clients on Unix sockets, and addresses that cannot be had. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type Address,
  type Client,
  connect,
  ConnectError,
  serve,
  text,
  type Untyped,
} from "../../mod.ts";
import { Folder } from "./_folder.ts";
import { systemTest } from "./_process.ts";

const needs = { permissions: ["net", "read", "write"], unix: true } as const;

systemTest("serve() listens on TCP and on a Unix socket at once", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("push.sock");
  await using server = await serve(["tcp://127.0.0.1:0", `unix:${path}`], {
    serializer: text(),
    onMessage: (message, peer) =>
      peer.send(`${message.body} by ${peer.remoteAddr.transport}, id ${peer.id}`),
  });
  assertEquals(server.addrs.map(({ transport }) => transport), ["tcp", "unix"]);
  assertEquals(String(server.addrs[1]), `unix:${path}`);

  for (const [index, transport] of ["tcp", "unix"].entries()) {
    const addr = server.addrs[index];
    assert(addr !== undefined);
    await using client = await connect(addr, { id: `over-${transport}`, serializer: text() });
    assertEquals(client.remoteAddr.transport, transport);
    await client.send("hello");
    assertEquals(await answer(client), `hello by ${transport}, id over-${transport}`);
  }
  // A large message goes through in pieces of whatever size the system likes.
  await using client = await connect(`unix://${path}`, { serializer: text() });
  const large = "x".repeat(1_000_000);
  await client.send(large);
  assertStringIncludes(await answer(client), large);
});

systemTest("serve() lets only the owner connect to a Unix socket", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("a.sock");
  await using _server = await serve(`unix:${path}`);
  const { isSocket, mode } = await Deno.lstat(path);
  assertEquals([isSocket, ((mode ?? 0) & 0o777).toString(8)], [true, "600"]);
});

systemTest("Server.close() removes the file of its Unix socket", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("a.sock");
  const server = await serve(`unix:${path}`);
  await server.close();
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
});

systemTest("serve() has an address again as soon as Server.closed resolves", needs, async () => {
  await using folder = await Folder.make();
  let addresses: readonly Address[] = [`unix:${folder.path("a.sock")}`, "127.0.0.1:0"];
  for (const end of ["close", "abort"] as const) {
    for (let turn = 0; turn < 3; turn++) {
      const server = await serve(addresses);
      addresses = server.addrs;
      for (const address of addresses) await (await connect(address)).close();
      server[end]();
      await server.closed;
    }
  }
});

systemTest("serve() replaces a Unix socket on which nobody listens any more", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("stale.sock");
  await folder.leaveStale("stale.sock");
  await refused(`unix:${path}`, "REFUSED");

  await using server = await serve(`unix:${path}`);
  await using client = await connect(`unix:${path}`, { id: "ann" });
  assertEquals([client.state, server.peers.has("ann")], ["open", true]);
});

systemTest("serve() leaves a Unix socket alone on which somebody listens", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("live.sock");
  await using first = await serve(`unix:${path}`, { serializer: text() });
  const error = await assertRejects(() => serve(`unix:${path}`), ConnectError);
  assertEquals([error.code, error.initiator], ["ADDRESS_IN_USE", "local"]);
  assertStringIncludes(error.message, path);

  await using client = await connect(`unix:${path}`, { id: "ann", serializer: text() });
  assertEquals([client.state, first.peers.has("ann")], ["open", true]);
});

systemTest("serve() leaves a file alone that is no socket", needs, async () => {
  await using folder = await Folder.make();
  const path = folder.path("notes.txt");
  await Deno.writeTextFile(path, "dear diary");
  const error = await assertRejects(() => serve(`unix:${path}`), ConnectError);
  assertEquals(error.code, "ADDRESS_IN_USE");
  assertEquals(await Deno.readTextFile(path), "dear diary");

  const link = folder.path("link.sock");
  await Deno.symlink(path, link);
  await assertRejects(() => serve(`unix:${link}`), ConnectError);
  assertEquals((await Deno.lstat(link)).isSymlink, true);
});

systemTest("serve() binds every address or none", needs, async () => {
  await using folder = await Folder.make();
  const [taken, free] = [folder.path("taken.sock"), folder.path("free.sock")];
  await using _server = await serve(`unix:${taken}`);
  const addresses = ["tcp://127.0.0.1:0", `unix:${free}`, `unix:${taken}`];
  const error = await assertRejects(() => serve(addresses), ConnectError);
  assertEquals(error.code, "ADDRESS_IN_USE");
  await assertRejects(() => Deno.lstat(free), Deno.errors.NotFound);
});

systemTest("serve() names a TCP port that is in use", { permissions: ["net"] }, async () => {
  await using server = await serve("127.0.0.1:0");
  const error = await assertRejects(() => serve(server.addr), ConnectError);
  assertEquals([error.code, error.initiator], ["ADDRESS_IN_USE", "local"]);
  assertStringIncludes(error.message, `Cannot listen on ${server.addr}`);
});

systemTest("serve() and connect() tell a Unix path that cannot be", needs, async () => {
  await using folder = await Folder.make();
  const nowhere = folder.path("no/such/folder.sock");
  await refused(`unix:${nowhere}`, "REFUSED");
  const missing = await assertRejects(() => serve(`unix:${nowhere}`), ConnectError);
  assertEquals(missing.code, "UNREACHABLE");
});

async function answer(client: Client<Untyped<string>>): Promise<string> {
  for await (const { body } of client.messages) return body;
  throw new Error("The client was closed");
}

async function refused(address: string, code: ConnectError["code"]): Promise<void> {
  const error = await assertRejects(() => connect(address, { openTimeout: 0 }), ConnectError);
  assertEquals(error.code, code);
}
