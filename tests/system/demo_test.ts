/** The demos tell their story, line by line, and end in order. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { Child, freePort, systemTest } from "./_process.ts";

const needs = { permissions: ["net", "read", "run"] } as const;
const posix = { ...needs, unix: true };

systemTest("deno task demo tells the whole story and ends by itself", posix, async () => {
  await using demo = new Child(command("demo", "--port", "0"));
  const code = await demo.finish();
  assertEquals(code, 0, demo.text);
  for (const line of demo.lines) {
    assertMatch(
      line,
      /^(demo {4}|server {2}|client A|client B) │ \d\d:\d\d:\d\d\.\d{3} (INFO|WARN|────) {2}\S/,
    );
  }

  const [start, killed, restarted, frozen, thawed, replaced, ending, last] = chapters(demo.lines);
  assert(last !== undefined && ending !== undefined && thawed !== undefined, demo.text);
  assertEquals(last.length, 1);

  assertStory(start, "server", ["Listening on 127.0.0.1:", 'A says "ping ']);
  assertStory(start, "server", [" · 1 client", " · 2 clients", 'B says "ping ']);
  for (const client of ["client A", "client B"]) {
    assertStory(start, client, ["Connected to 127.0.0.1:", 'server says "pong ']);
    assertStory(killed, client, [
      "Link broken: ",
      "Next try in ",
      "nobody listens there. Next try in ",
    ]);
    assertEquals(linesOf(killed, client).filter((line) => line.includes("Link broken")).length, 1);
    assertStory(restarted, client, ["Reconnected to 127.0.0.1:", 'server says "pong ']);
    assertStory(replaced, client, [
      "The server is going away",
      "Link broken: The server was stopped by SIGTERM (DRAINING)",
      "Next try in ",
      "Reconnected to 127.0.0.1:",
      'server says "pong ',
    ]);
    assertStory(ending, client, ["Closing, because of SIGTERM", "Closed: "]);
  }
  // What it said in its last moment may come late; it says nothing new.
  assertEquals(linesOf(killed, "server").filter((line) => !line.includes(" says ")), []);
  assertStory(restarted, "server", ["Listening on 127.0.0.1:", " · 2 clients"]);
  assertStory(frozen, "server", [
    "B disconnected: The other end was silent for 3000 ms (HEARTBEAT_TIMEOUT) · 1 client",
  ]);
  assertEquals(linesOf(frozen, "client B").filter((line) => !line.includes("pong")), []);
  assertStory(thawed, "client B", ["Link broken: ", "Next try in ", "Reconnected to "]);
  assertStory(replaced, "server", [
    "Closing, because of SIGTERM",
    "Drained: 0 calls finished, 0 cut; 0 messages unsent",
    "Closed: 3 sessions, at most 2 at once, ",
    "Listening on 127.0.0.1:",
    " · 2 clients",
  ]);
  assertStory(ending, "server", [
    "B disconnected: The client was stopped by SIGTERM (NORMAL) · 1 client",
    "A disconnected: The client was stopped by SIGTERM (NORMAL) · 0 clients",
    "Closing, because of SIGTERM",
    "Drained: 0 calls finished, 0 cut; 0 messages unsent",
    "Closed: 2 sessions, at most 2 at once, ",
  ]);
});

systemTest("deno task demo ends its processes when it is stopped", posix, async () => {
  await using demo = new Child(command("demo", "--port", "0"));
  for (const client of ["A", "B"]) await demo.says(`client ${client} │`);
  assertEquals(await demo.end("SIGTERM"), 1);
  assertStringIncludes(demo.text, "Ended early: SIGTERM");
  for (const name of ["server  ", "client A", "client B"]) {
    const said = demo.lines.filter((line) => line.startsWith(name));
    assert(said.some((line) => line.includes("Closed: ")), `${name} has not closed:\n${demo.text}`);
  }
});

systemTest(
  "demo:client waits for demo:server, and both end in order by Ctrl-C",
  posix,
  async () => {
    const port = String(freePort());
    await using client = new Child(
      command("demo:client", "--", "-n", "A", "--port", port, "--retry", "200"),
    );
    const first = await client.says("Next try in");
    assertMatch(first, /WARN {2}Cannot dial tcp:.* as nobody listens there\. Next try in 0\.2 s$/);

    await using server = new Child(command("demo:server", "--port", port));
    await server.says(`Listening on 127.0.0.1:${port} (this machine only)`);
    await client.says(`Connected to 127.0.0.1:${port} as A`);
    await server.says(/A connected from 127\.0\.0\.1:\d+ · 1 client$/);
    await server.says(/A says "ping \d\d:\d\d:\d\d"$/);
    await client.says(/server says "pong \d\d:\d\d:\d\d"$/);

    assertEquals(await client.end("SIGINT"), 0);
    await client.says("Closing, because of SIGINT");
    await client.says(/Closed: \d+ pings?, \d+ pongs?, 1 link$/);
    await server.says("A disconnected: The client was stopped by SIGINT (NORMAL) · 0 clients");
    assertEquals(await server.end("SIGINT"), 0);
    await server.says(/Closed: 1 session, at most 1 at once, \d+ messages?$/);
  },
);

systemTest("demo:server tells its clients when it ends", posix, async () => {
  await using server = new Child(command("demo:server", "--port", "0", "--host", "0.0.0.0"));
  const listening = await server.says("Listening on 0.0.0.0:");
  assertStringIncludes(listening, "(every interface: reachable from other machines)");
  const port = /:(\d+) \(/.exec(listening)?.[1] ?? "";
  await using client = new Child(command("demo:client", "--name", "A", "--port", port));
  await client.says("Connected to");

  assertEquals(await server.end("SIGTERM"), 0);
  await server.says("Drained: 0 calls finished, 0 cut; 0 messages unsent");
  await client.says("The server is going away");
  await client.says("Link broken: The server was stopped by SIGTERM (DRAINING)");
  await client.says("Next try in");
  assertEquals(await client.end("SIGTERM"), 0);
});

systemTest("the demos explain a wrong command line", needs, async () => {
  for (
    const [task, args, problem] of [
      ["demo", ["--prot", "1"], "Unknown option '--prot'"],
      [
        "demo:server",
        ["--port", "65536"],
        "--port must be a whole number from 0 to 65535, not 65536",
      ],
      [
        "demo:client",
        ["--retry", "soon"],
        "--retry must be a whole number from 0 to 3600000, not soon",
      ],
    ] as const
  ) {
    await using child = new Child(command(task, ...args));
    assertEquals(await child.finish(), 2, child.text);
    assertStringIncludes(child.lines[0] ?? "", problem);
    assertStringIncludes(child.text, `Usage: deno task ${task} [options]`);
  }
});

systemTest("demo:server explains an address that is in use", needs, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(listener.addr.port);
  await using server = new Child(command("demo:server", "--port", port));
  assertEquals(await server.finish(), 1);
  assertMatch(
    server.text,
    /WARN {2}Cannot listen on tcp:\/\/127\.0\.0\.1:\d+ as the address is in use$/,
  );
});

systemTest("the demos use colours where they are asked to", needs, async () => {
  for (const args of [[], ["--color"]]) {
    await using server = new Child(command("demo:server", "--port", "0", ...args));
    const line = await server.says("Listening");
    assertEquals(line.includes("\x1b[32mINFO\x1b[0m"), args.length > 0, JSON.stringify(line));
    assertEquals(line.includes("\x1b"), args.length > 0, JSON.stringify(line));
  }
});

/** What follows on `deno` in a task: its permissions are part of what is tested. */
function command(task: "demo" | "demo:server" | "demo:client", ...args: string[]): string[] {
  const [program, ...rest] = config.tasks[task].split(" ");
  assertEquals(program, "deno");
  return [...rest, ...args];
}

/** The lines, cut before each title of the demo. */
function chapters(lines: readonly string[]): string[][] {
  const found: string[][] = [];
  for (const line of lines) {
    if (line.includes(" ────  ")) found.push([]);
    found.at(-1)?.push(line);
  }
  return found;
}

function linesOf(chapter: readonly string[] | undefined, speaker: string): string[] {
  return (chapter ?? []).filter((line) => line.startsWith(speaker.padEnd(8)));
}

/** The speaker says all this, in this order. */
function assertStory(
  chapter: readonly string[] | undefined,
  speaker: string,
  words: readonly string[],
): void {
  const said = linesOf(chapter, speaker);
  let at = -1;
  for (const one of words) {
    at = said.findIndex((line, index) => index > at && line.includes(one));
    assert(at >= 0, `${speaker} does not say ${one} in its turn:\n${chapter?.join("\n")}`);
  }
}
