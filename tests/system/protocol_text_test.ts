/** PROTOCOL.md says the same as the code and the golden vectors. */
import { assert, assertEquals } from "@std/assert";
import type { CloseCode, RpcCode } from "../../src/base/errors.ts";
import { closeCodeNumber, closeCodeOf, isFinal, rpcCodeOf } from "../../src/wire/codes.ts";
import { Flag, FrameType, Tlv } from "../../src/wire/constants.ts";
import golden from "../wire/golden.json" with { type: "json" };

const TEXT = await Deno.readTextFile(new URL("../../src/wire/PROTOCOL.md", import.meta.url));

Deno.test("PROTOCOL.md has the types of the code", () => {
  const types = Object.fromEntries(
    rows("## 5. Types").filter(([type = ""]) => /^[0-9A-F]{2}$/.test(type)).map((
      [type = "", name = ""],
    ) => [name, parseInt(type, 16)]),
  );
  assertEquals(types, { ...FrameType });
});

Deno.test("PROTOCOL.md has the flags of the code", () => {
  const flags = rows("## 3. Frame").filter(([, name = ""]) => /^[A-Z]+$|^reserved$/.test(name));
  const { RESERVED, ...defined } = Flag;
  const named = flags.filter(([, name]) => name !== "reserved");
  assertEquals(
    Object.fromEntries(named.map(([flag = "", name = ""]) => [name, parseInt(flag, 16)])),
    { ...defined },
  );
  const reserved = flags.find(([, name]) => name === "reserved")?.[0] ?? "";
  assertEquals(reserved.split(" ").reduce((sum, it) => sum + parseInt(it, 16), 0), RESERVED);
});

Deno.test("PROTOCOL.md has the TLVs of the code", () => {
  const tlvs = rows("## 4. Field types").filter(([type = ""]) => /^\d+$/.test(type));
  assertEquals(
    Object.fromEntries(tlvs.map(([type, name = ""]) => [name.toUpperCase(), Number(type)])),
    { ...Tlv },
  );
});

Deno.test("PROTOCOL.md has the codes of the code", () => {
  const cells = rows("## 14. Codes").flat();
  const codes: [number, string][] = [];
  cells.forEach((cell, i) => {
    if (/^[0-9A-F]{4}$/.test(cell)) codes.push([parseInt(cell, 16), cells[i + 1] ?? ""]);
  });
  assertEquals(codes.length, 27 + 16);
  for (const [number, text] of codes) {
    const [name = "", star] = text.split(" ");
    if (number >= 0x101) {
      assertEquals<RpcCode | string>(rpcCodeOf(number), name);
      continue;
    }
    const code: CloseCode = closeCodeOf(number);
    assertEquals<CloseCode | string>(code, name);
    assertEquals(closeCodeNumber(code), number);
    assertEquals(star !== undefined, isFinal(code), name);
  }
});

Deno.test("PROTOCOL.md has examples that are golden vectors", () => {
  const block = section("## 16. Examples").split("```")[1] ?? "";
  const examples = block.split("\n").filter((line) => / {2}/.test(line));
  assert(examples.length >= 10);
  for (const line of examples) {
    const [name = "", hex = ""] = line.split(/ {2,}/);
    const vector = golden.vectors.find((it) => it.name === name);
    assertEquals(hex, vector?.hex, name);
  }
});

/** The text from a heading to the next of its level. */
function section(heading: string): string {
  const start = TEXT.indexOf(`${heading}\n`);
  assert(start >= 0, `There is no section '${heading}'`);
  const end = TEXT.indexOf("\n## ", start + 1);
  return TEXT.slice(start, end < 0 ? undefined : end);
}

/** The cells of all tables of a section. */
function rows(heading: string): string[][] {
  return section(heading).split("\n").filter((line) => line.startsWith("|")).map((line) =>
    line.slice(1, -1).split("|").map((cell) => cell.trim())
  );
}
