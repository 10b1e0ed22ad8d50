/** What only a program of its own can show: a flag that is missing, and when a program ends by itself. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Child, systemTest } from "./_process.ts";

const needs = { permissions: ["run", "read"] } as const;

for (const call of ['dialUdp("127.0.0.1:9")', 'listenUdp(":0")', 'listenUdpPeers(":0")']) {
  systemTest(`${call} names the flag that is missing, and the setting`, needs, async () => {
    // Without the configuration there is no `"unstable": ["net"]`.
    await using child = evaluate(`await udp.${call}.catch((e) => console.log(e.name, e.message))`, [
      "--no-config",
    ]);
    assertEquals(await child.finish(), 0, child.text);
    const [line = ""] = child.lines;
    assertStringIncludes(line, "TypeError Cannot open UDP socket as it needs the flag");
    assertStringIncludes(line, "--unstable-net");
    assertStringIncludes(line, '"unstable": ["net"] in deno.json');
  });
}

systemTest(
  "an open socket that nobody reads from does not keep a program alive",
  needs,
  async () => {
    await using child = evaluate(`
    const conn = await udp.dialUdp("127.0.0.1:9", { writeTimeout: 60_000 });
    await conn.send("fire and forget");
    console.log("sent");`);
    assertEquals(await child.finish(), 0, child.text);
    assertEquals(child.lines, ["sent"]);
  },
);

systemTest(
  "a pending read and a close keep a program alive until they are done",
  needs,
  async () => {
    await using child = evaluate(`
    const conn = await udp.listenUdp("127.0.0.1:0");
    const error = await conn.receive({ timeout: 100 }).catch((error) => error);
    console.log(error.name);
    console.log((await conn.close()).code);`);
    assertEquals(await child.finish(), 0, child.text);
    assertEquals(child.lines, ["TimeoutError", "NORMAL"]);
  },
);

/** Runs a program that has the UDP entry point as `udp`. */
function evaluate(program: string, options: readonly string[] = ["--unstable-net"]): Child {
  return new Child(["eval", ...options, `const udp = await import("./src/udp.ts");${program}`]);
}
