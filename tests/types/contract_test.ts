import { assertEquals } from "@std/assert";
import * as contract from "./contract.ts";

Deno.test("types with a contract: what must and what must not compile is checked with this file", () => {
  // `deno test` checks what it imports: nothing of it is to be run.
  const names = Object.keys(contract);
  assertEquals(names.sort(), ["attached", "client", "contracts", "server", "validators"]);
});
