import { assertEquals } from "@std/assert";
import * as untyped from "./untyped.ts";

Deno.test("types without a contract: what must and what must not compile is checked with this file", () => {
  // `deno test` checks what it imports: nothing of it is to be run.
  const names = Object.keys(untyped);
  assertEquals(names.sort(), ["bytes", "errors", "handlers", "peers", "texts", "values"]);
});
