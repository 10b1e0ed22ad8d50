/**
 * What must and what must not compile: `deno test` checks what it imports, so the files beside this one
 * are checked with it. Nothing of them is to be run.
 */
import { assertEquals } from "@std/assert";
import * as backpressure from "./backpressure.ts";
import * as contract from "./contract.ts";
import * as untyped from "./untyped.ts";

const FILES: [what: string, file: object, names: string[]][] = [
  ["without a contract", untyped, ["bytes", "errors", "handlers", "peers", "texts", "values"]],
  ["with a contract", contract, ["attached", "client", "contracts", "server", "validators"]],
  ["of sending, groups and limits", backpressure, [
    "endings",
    "errors",
    "groups",
    "limits",
    "sending",
    "spreading",
  ]],
];

for (const [what, file, names] of FILES) {
  Deno.test(`types ${what}: what must and what must not compile is checked with this file`, () => {
    assertEquals(Object.keys(file).sort(), names);
  });
}
