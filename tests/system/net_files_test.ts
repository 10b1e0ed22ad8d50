/** A listener in a process that may not open many files. */
import { assertEquals, assertMatch } from "@std/assert";
import { Child, systemTest } from "./_process.ts";

const needs = { permissions: ["net", "read", "run"], unix: true } as const;

systemTest("L3 Listener goes on after too many open files, and loses nobody", needs, async () => {
  // The hard limit, as the runtime raises the other one to it when it starts.
  const script = `ulimit -n 128 && exec "$0" run --allow-net=127.0.0.1 tests/system/_few_files.ts`;
  await using child = new Child(["eval", runs(script)]);
  assertEquals(await child.finish(), 0, child.text);
  const [dial = "", accept = "", ...rest] = child.lines.slice(-3);
  assertMatch(dial, /^a dial fails: .*Too many open files/);
  assertMatch(accept, /^an accept fails: .*Too many open files/);
  assertEquals(rest, ["the others are served"]);
});

/** A program that runs a shell script, with the runtime as its `$0`, and ends as it does. */
function runs(script: string): string {
  return `const { code } = await new Deno.Command("sh", {
    args: ["-c", ${JSON.stringify(script)}, Deno.execPath()],
  }).spawn().status; Deno.exit(code);`;
}
