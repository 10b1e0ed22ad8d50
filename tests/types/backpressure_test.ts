import { assertEquals } from "@std/assert";
import * as backpressure from "./backpressure.ts";

Deno.test("types of sending, groups and limits: what must and must not compile is checked with this file", () => {
  // `deno test` checks what it imports: nothing of it is to be run.
  const names = Object.keys(backpressure);
  assertEquals(names.sort(), ["endings", "errors", "groups", "limits", "sending", "spreading"]);
});
