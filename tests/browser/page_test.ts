/** What a page tells of itself, and to whom. */
import { assertEquals } from "@std/assert";
import { pageOf } from "../../src/runtime/page.ts";
import { FakeScope } from "./_support.ts";

/** What happens, and how often whoever watches is called. */
const EVENTS: readonly [string, (scope: FakeScope) => void, number][] = [
  ["the network comes back", (scope) => scope.network(true), 1],
  ["the network goes", (scope) => scope.network(false), 1],
  ["the page is looked at", (scope) => scope.show(true), 1],
  ["the page is hidden", (scope) => scope.show(false), 0],
  ["the page was loaded", (scope) => scope.pageshow(false), 0],
  ["the page is shown as it was left", (scope) => scope.pageshow(true), 1],
];

for (const [name, happen, calls] of EVENTS) {
  Deno.test(`Page.watch() ${calls === 0 ? "says nothing" : "tells"} when ${name}`, () => {
    const scope = new FakeScope();
    let count = 0;
    const watch = scope.page.watch(() => count++);
    happen(scope);
    assertEquals(count, calls);
    watch[Symbol.dispose]();
    happen(scope);
    assertEquals([count, scope.watched], [calls, 0]);
  });
}

Deno.test("Page.offline says what the browser says", () => {
  const scope = new FakeScope();
  assertEquals(scope.page.offline, false);
  scope.network(false);
  assertEquals(scope.page.offline, true);
  scope.network(true);
  assertEquals(scope.page.offline, false);
});

Deno.test("pageOf() makes do with a scope that has no document, or nothing at all", () => {
  const worker = Object.assign(new EventTarget(), { navigator: { onLine: false } });
  let count = 0;
  const watch = pageOf(worker).watch(() => count++);
  worker.dispatchEvent(new Event("online"));
  watch[Symbol.dispose]();
  assertEquals([count, pageOf(worker).offline], [1, true]);

  const nothing = pageOf({});
  nothing.watch(() => count++)[Symbol.dispose]();
  assertEquals([count, nothing.offline], [1, false]);
});
