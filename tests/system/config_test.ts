/** The files that describe the project agree with one another. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import jsrConfig from "../../deno.jsr.json" with { type: "json" };
import assertConfig from "../std/assert/deno.json" with { type: "json" };
import asyncConfig from "../std/async/deno.json" with { type: "json" };
import bytesConfig from "../std/bytes/deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);

Deno.test("deno.jsr.json is deno.json without the stand-ins for @std", () => {
  const { workspace, ...rest } = config;
  assertEquals(workspace, ["./tests/std/assert", "./tests/std/async", "./tests/std/bytes"]);
  assertEquals<unknown>(jsrConfig, rest);
});

Deno.test("the stand-ins for @std fit any version and are never published", () => {
  const names = Object.keys(config.imports).filter((name) => name.startsWith("@std/"));
  assertEquals([assertConfig, asyncConfig, bytesConfig].map(({ name }) => name), names);
  for (const member of [assertConfig, asyncConfig, bytesConfig]) {
    assertEquals(member.publish, false);
    assert(!("version" in member), `${member.name} has a version`);
  }
});

Deno.test("every entry point is in the task that checks the documentation", () => {
  const files = Object.values(config.exports).map((path) => path.replace("./", ""));
  assertEquals(config.tasks["doc:lint"], `deno doc --lint ${files.join(" ")}`);
});

Deno.test("every entry point and everything to be published exists", async () => {
  for (const path of [...Object.values(config.exports), ...config.publish.include]) {
    assert(await exists(path), `There is no ${path}`);
  }
});

Deno.test("every program that a task names exists", async () => {
  for (const [name, task] of Object.entries(config.tasks)) {
    const command = typeof task === "string" ? task : task.command;
    for (const word of command.split(" ").filter((word) => word.includes("/"))) {
      assert(await exists(word), `There is no ${word}, which task ${name} names`);
    }
  }
});

Deno.test("CHANGELOG.md has an entry for the version", async () => {
  const text = await Deno.readTextFile(new URL("CHANGELOG.md", ROOT));
  assertStringIncludes(text, `\n## ${config.version}`);
});

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(new URL(path, ROOT));
    return true;
  } catch {
    return false;
  }
}
