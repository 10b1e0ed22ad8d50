import { assert, assertEquals } from "@std/assert";
import type { Issue } from "@vgo/vnet/contract";
import { boundIssues, issuesInWords, MAX_ISSUES, readIssues } from "../../src/contract/issues.ts";
import { taken } from "../../src/peer/trust.ts";

Deno.test("boundIssues() keeps the first, with paths that any serializer can hold", () => {
  const issues: Issue[] = [
    { message: "a", path: ["x", 0, Symbol("s"), { key: "y" }, { key: Symbol.iterator }] },
    { message: "b" },
    { message: "c", path: undefined },
  ];
  assertEquals(boundIssues(issues), [
    { message: "a", path: ["x", 0, "Symbol(s)", "y", "Symbol(Symbol.iterator)"] },
    { message: "b", path: [] },
    { message: "c", path: [] },
  ]);
});

Deno.test("boundIssues() is small, whatever a value has wrong with it", () => {
  const long = "ä".repeat(10_000);
  const many = Array.from({ length: 100_000 }, (_, n) => ({ message: `${n}`, path: [n] }));
  assertEquals(boundIssues(many).length, MAX_ISSUES);
  const deep = { message: long, path: Array.from({ length: 10_000 }, () => long) };
  const bounded = boundIssues([deep, deep, deep]);
  assertEquals([bounded.length, bounded[0]?.path?.length], [1, 16]);
  assert(JSON.stringify(bounded).length < 2_048);
  // Worst of all: 16 of them, of characters that JSON writes as six.
  const nul = { message: "\u0000".repeat(1_000), path: ["\u0000".repeat(1_000)] };
  assert(JSON.stringify(boundIssues(Array(1_000).fill(nul))).length < 16_384);
  // It does not look further than it tells.
  let asked = 0;
  boundIssues(function* () {
    for (;;) yield { message: `${asked++}` };
  }());
  assertEquals(asked, MAX_ISSUES);
});

Deno.test("readIssues() believes nothing", () => {
  const good = { message: "a", path: ["x", 0] };
  assertEquals(readIssues({ issues: [good], more: 1 }), [good]);
  assertEquals(readIssues({ issues: [{ message: "a" }] }), [{ message: "a", path: [] }]);
  for (
    const data of [
      undefined,
      null,
      5,
      "issues",
      [],
      [good],
      {},
      { issues: {} },
      { issues: [] },
      { issues: [5, null, {}, { message: 5 }] },
      { issues: [{ message: "a", path: "x" }] },
      { issues: [{ message: "a", path: [{}] }] },
      { issues: [{ message: "a", path: [null] }] },
    ]
  ) assertEquals(readIssues(data), undefined);
  const many = Array.from({ length: 1_000 }, () => good);
  assertEquals(readIssues({ issues: [5, ...many] })?.length, MAX_ISSUES - 1);
});

Deno.test("issuesInWords() tells the first, on one line", () => {
  assertEquals(issuesInWords([{ message: "No" }]), "No");
  assertEquals(issuesInWords([{ message: "No", path: [] }]), "No");
  assertEquals(issuesInWords([{ message: "No", path: ["a", 0, "b"] }]), "'a.0.b': No");
  assertEquals(
    issuesInWords([{ message: "No\n\u001b[31m" }, { message: "x" }]),
    "No  [31m (and 1 more)",
  );
  assertEquals(issuesInWords([]), "it is not said why");
  assertEquals(issuesInWords(boundIssues([{ message: taken(undefined) }])), "undefined");
});
