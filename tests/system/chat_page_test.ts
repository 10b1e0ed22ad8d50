/**
 * The chat page of the examples in Chromium: what two people see of each other, and of a server that goes away.
 */
import { assert, assertEquals } from "@std/assert";
import { Browser, findChromium, type Tab } from "./_chromium.ts";
import { Child, freePort, systemTest } from "./_process.ts";

const SERVER = new URL("../../examples/chat_page/server.ts", import.meta.url);
const PHONE = { width: 390, height: 780, touch: true };
const needs = { permissions: ["net", "read", "run", "write"] } as const;
const chromium = await findChromium();

chatTest("two people chat, from a desk and from a phone", async (browser) => {
  await using server = await serve(freePort());
  const ann = await enter(browser, server, "Ann");
  const bob = await enter(browser, server, "Bob", PHONE);
  await say(ann, "hello");
  await sees(bob, ["Ann: hello"]);
  await say(bob, "<b>hi</b>");
  await sees(ann, ["Ann: hello", "Bob: <b>hi</b>"]);
  assertEquals(await textOf(bob, "#who"), "Ann and you");

  // Another room, of which the other one sees that it is there, and what is said in it.
  await ann.click("#new-room");
  await ann.type("kitchen");
  await say(ann, "the soup is on");
  await bob.shows(`document.querySelectorAll("#rooms button").length === 2`);
  await bob.evaluate(`location.hash = "kitchen"`);
  await sees(bob, ["Ann: the soup is on"]);
  await say(ann, "come!");
  await sees(bob, ["Ann: the soup is on", "Ann: come!"]);
  await ann.click("#leave");
  await bob.shows(`document.getElementById("who").textContent === "Nobody else is here"`);

  // A name belongs to whoever has it.
  const other = await browser.open(server.url);
  await other.type("Ann");
  await other.shows(`document.getElementById("refusal").textContent.includes("under this name")`);
});

chatTest("a restart of the server loses nothing and repeats nothing", async (browser) => {
  const port = freePort();
  await using first = await serve(port);
  const ann = await enter(browser, first, "Ann");
  const bob = await enter(browser, first, "Bob", PHONE);
  await say(ann, "before");
  await sees(bob, ["Ann: before"]);
  await first.child.end("SIGKILL");
  const waits = `document.getElementById("chat").dataset.is === "waiting"`;
  await Promise.all([ann.shows(waits), bob.shows(waits)]);
  assert(/Next try in \d+ s/.test(await textOf(ann, "#notice")), await textOf(ann, "#notice"));
  const said = ["one", "two", "three", "four"];
  for (const word of said) {
    await say(ann, word);
    await say(bob, word);
  }
  for (const tab of [ann, bob]) await tab.shows(`document.querySelectorAll(".waits").length === 4`);

  await using _second = await serve(port);
  for (const tab of [ann, bob]) {
    // It comes back by itself too, but this is sooner.
    await tab.click("#retry");
    await isOpen(tab);
  }
  for (const tab of [ann, bob]) {
    await tab.shows(`document.querySelectorAll(".lines li").length === 9`);
    await tab.shows(`document.querySelector(".waits") === null`);
    const lines = await linesOf(tab);
    for (const name of ["Ann", "Bob"]) {
      const own = lines.filter((line) => line.startsWith(name) && line !== "Ann: before");
      assertEquals(own, said.map((word) => `${name}: ${word}`));
    }
  }
  await say(ann, "after");
  await bob.shows(`document.querySelector(".lines li:last-child .text").textContent === "after"`);
});

chatTest(
  "a page without a network says so, and is back at once when there is one",
  async (browser) => {
    const port = freePort();
    await using first = await serve(port);
    const ann = await enter(browser, first, "Ann");
    await ann.network(false);
    // What is open stays open in Chromium, and the chat believes what it sees.
    assertEquals(await textOf(ann, "#status"), "Connected");
    await first.child.end("SIGKILL");
    const offline = `document.getElementById("status").textContent === "Offline"`;
    await ann.shows(offline);
    await say(ann, "from a tunnel");
    await using second = await serve(port);
    const bob = await enter(browser, second, "Bob");
    await ann.shows(offline);
    await ann.shows(`document.querySelectorAll(".waits").length === 1`);
    await ann.network(true);
    await isOpen(ann);
    await sees(bob, ["Ann: from a tunnel"]);
  },
);

chatTest("all of the page comes from its server", async (browser) => {
  await using server = await serve(freePort());
  const ann = await enter(browser, server, "Ann");
  const loaded = await ann.evaluate(
    `performance.getEntriesByType("resource").map(({ name }) => name).sort()`,
  );
  assertEquals(loaded, [`${server.url}page.css`, `${server.url}page.js`]);
});

interface ChatServer extends AsyncDisposable {
  readonly child: Child;
  readonly url: string;
}

/** Starts it by the very command that its first comment names. */
async function serve(port: number): Promise<ChatServer> {
  const command = /^ \* {5}deno (run .*)$/m.exec(await Deno.readTextFile(SERVER))?.[1];
  assert(command !== undefined, "The first comment of the server has no command");
  const child = new Child([...command.split(" "), "--port", `${port}`]);
  const url = `http://chat.test:${port}/`;
  const server = { child, url, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
  await child.says(`The chat is at http://127.0.0.1:${port}/`);
  return server;
}

async function enter(
  browser: Browser,
  { url }: ChatServer,
  name: string,
  screen = { width: 1_200, height: 800, touch: false },
): Promise<Tab> {
  const tab = await browser.open(url, screen);
  await tab.type(name); // the field has the focus
  await isOpen(tab);
  return tab;
}

function isOpen(tab: Tab): Promise<void> {
  return tab.shows(`document.getElementById("chat").dataset.is === "open"`);
}

async function say(tab: Tab, text: string): Promise<void> {
  await tab.evaluate(`document.getElementById("text").focus()`);
  await tab.type(text);
}

/** Waits until these are the lines of the room that is shown. */
async function sees(tab: Tab, lines: readonly string[]): Promise<void> {
  await tab.shows(`document.querySelectorAll(".log:not([hidden]) li").length >= ${lines.length}`);
  assertEquals(await linesOf(tab), lines);
}

async function linesOf(tab: Tab): Promise<readonly string[]> {
  const lines = await tab.evaluate(
    `Array.from(document.querySelectorAll(".log:not([hidden]) li"), (item) =>
      item.dataset.from + ": " + item.querySelector(".text").textContent)`,
  );
  assert(Array.isArray(lines));
  return lines.map(String);
}

async function textOf(tab: Tab, selector: string): Promise<string> {
  return String(await tab.evaluate(`document.querySelector("${selector}").textContent`));
}

/** A test that says so, and is skipped, where there is no browser. */
function chatTest(name: string, fn: (browser: Browser) => Promise<void>): void {
  if (chromium === undefined) {
    const missing = "the Debian package chromium";
    Deno.test({ name: `${name} (skipped: needs ${missing})`, ignore: true, fn() {} });
    return;
  }
  systemTest(name, needs, async () => {
    await using browser = await Browser.launch(chromium);
    await fn(browser);
  });
}
