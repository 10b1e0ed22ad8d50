/** Every example runs to its end, by the very command and permissions that its first comment names. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Child, systemTest } from "./_process.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);
const needs = { permissions: ["net", "read", "run"] } as const;

interface Expectation {
  /** What follows on the documented command, so that it does not take long. */
  readonly args?: readonly string[];
  /** Lines that must come, in this order; others may lie between. */
  readonly lines: readonly (string | RegExp)[];
}

const EXPECTED: Readonly<Record<string, Expectation>> = {
  "echo.ts": { lines: ["echo: hello"] },
  "hundred_clients.ts": {
    lines: [
      /^ *\d+\.\d ms {2}100 clients are connected$/,
      /every client said something and was answered$/,
      /a push went to client-42$/,
      /a broadcast went to all of them$/,
      /a broadcast went to all but client-42$/,
      /100 clients came, 0 are left: 100 messages in, 300 out$/,
    ],
  },
  "calls_both_ways.ts": {
    lines: [
      "cake is on its way",
      "no elephant, then",
      "ann says true",
      "countdown 1000000 999999 999998",
      "sum 6",
      "echo one, one",
      "echo two, two",
    ],
  },
  "tls_gateway.ts": {
    lines: [
      "gateway: ann is in, over tls",
      '"somebody else" is ann',
      "gateway: operator is in, over tcp",
      "ann: temperature is 21 °C",
      "NOT_FOUND",
      "no certificate: CERT_REQUIRED",
      "no such gateway: CERT_WRONG_NAME",
    ],
  },
  "hundred_calls.ts": {
    lines: [
      "100 clients called, 100 were called",
      "hello, client-42: I am server",
      "I am client 42",
      "hello, attached: I am server",
      "I came by another way",
    ],
  },
  "file_stream.ts": {
    lines: [
      /^░{50} 0 %$/,
      /^█{25}░{25} 50 %$/,
      /^█{50} 100 %$/,
      "the far side has 67108864 of 67108864 bytes",
      /^\d+ small calls? meanwhile, the slowest in \d+\.\d ms$/,
    ],
  },
  "call_errors.ts": {
    lines: [
      /^an unknown method: UNIMPLEMENTED, executed no: /,
      /^too slow: DEADLINE_EXCEEDED, executed maybe: /,
      /^server: a handler failed: Error: the password/,
      "broken: INTERNAL, executed yes: The handler failed",
      'busy: UNAVAILABLE, executed yes: The till is busy {"retryIn":20}',
      "with a retry: invoice 7 is paid",
      /^a lost link: UNAVAILABLE, executed maybe: /,
      "paid: 7",
    ],
  },
  "orders_zod_valibot.ts": {
    lines: [
      "ticket 500",
      "1970-01-01T00:00:01.000Z 3",
      "1970-01-01T00:00:02.000Z 6",
      "1024 bytes",
      "not sure: ABORTED, executed yes: The client is not sure",
      /^server: TypeError: Cannot send answer of 'order' as it must fit .*: 'ticket': /,
      "the server's bug: INTERNAL, executed yes: The handler failed",
      /^a bad order: INVALID_ARGUMENT, executed no: .*: 'symbol': .* \(and 1 more\)$/,
      /^ {2}symbol: /,
      /^ {2}amount: /,
      /^a stranger: INVALID_ARGUMENT, executed no: The input does not fit .*: 'symbol': /,
      /^ {2}symbol: /,
      /^ {2}amount: /,
    ],
  },
  "typed_chat.ts": {
    lines: [
      "bob joins: ann, bob",
      "ann in lobby: bob has come",
      "bob in lobby: ann: hi all",
      /^INVALID_ARGUMENT: The input of 'join' does not fit the contract: 'room': /,
      /^TypeError: Cannot send message 'say' as it must fit the contract: 'text': /,
      "ann in lobby: stranger has come",
      /^server: TypeError: Cannot take message 'say' as it must fit the contract: 'text': /,
      "server: TypeError: Cannot take message as the contract has no topic 'shout'",
      "ann in lobby: stranger: now in words",
    ],
  },
  "interceptors.ts": {
    lines: [
      "client: pay of invoice 5 did not run (RESOURCE_EXHAUSTED): once more",
      "server: ann called pay",
      /^invoice 1 is paid, .* invoice 5 is paid$/,
      "server: ann called refund: RpcError: There is no invoice 8",
      "RpcError: There is no invoice 8",
      "server: bob called pay: RpcError: Who are you",
      "RpcError: Who are you",
      /^pay: 6 calls, \d+\.\d\d ms each$/,
    ],
  },
  "traced_calls.ts": {
    lines: [
      /^client: trace [0-9a-f]{32}$/,
      /^gateway: trace [0-9a-f]{32}$/,
      /^backend: trace [0-9a-f]{32}$/,
      "to pay: 15",
      /^span Server price: /,
      /^span Client price: /,
      /^span Server order: /,
      /^span Client order: /,
      "metric rpc.client.call.duration",
      "metric rpc.server.call.duration",
      "spans: 5, traces: 1",
    ],
  },
  "register_push.ts": {
    args: ["--interval", "50", "--count", "2"],
    lines: [
      /^1: Cannot .*: The secret is wrong \(AUTH_FAILED\)$/,
      /^not a device: Cannot .*: No such device \(CLIENT_ID_INVALID\)$/,
      "server: 1 is in, of room 1",
      "1: ok",
      "server: 2 is in, of room 2",
      "2: ok",
      "Is 2 there? true. Is 3? false",
      "1: got push 1",
      "server: 1 says thanks for push 1",
      "1: got push 2",
      "2: got push 2",
      "server: 1 is gone: all done",
      "server: 2 is gone: all done",
    ],
  },
  "custom_codec.ts": {
    lines: [
      "client: type 2, one",
      "client: type 2, two",
      "client: type 2, three",
      /^server: FrameError: Cannot decode TLV as its length must be at most 4096: .* 4097$/,
      "client: the server has hung up",
    ],
  },
  "udp_echo.ts": {
    lines: [
      'client: got "Hello from vnet!"',
      "client: from the server? true",
      "client: got 100 of 150 bytes",
      "server: closed",
    ],
  },
  "udp_discovery.ts": {
    lines: [/^found {"name":"clock",/, /^found {"name":"printer",/],
  },
  "http_fetch.ts": {
    lines: [
      /^HTTP\/1\.0 200 OK\r$/,
      /^Content-Length: 28\r$/,
      /^\r$/,
      "You asked to GET /index.html",
    ],
  },
  "tcp_echo.ts": {
    lines: [
      /^connection \d+ sends: Hello World$/,
      /^connection \d+ receives: Hello World$/,
      "Cannot read as the deadline has passed",
      "and receives: late, but whole",
      "the server has nothing more to say",
    ],
  },
  "chat_groups.ts": {
    lines: [
      "in the lobby: ann, bob, cem",
      "in the kitchen: cem",
      "bob reads: lobby: ann: hello",
      "bob reads: kitchen: you are not in it",
      "cem reads: kitchen: bob: has come",
      "bob joins them: cem, bob",
      "cem reads: kitchen: bob: anything to eat?",
      "bob goes back to: lobby",
      "bob reads: lobby: cem: is gone",
      "2 in the lobby, 0 in the kitchen; 10 lines were sent to somebody",
    ],
  },
  "ticker.ts": {
    lines: [
      /^tick 50: slow is at \d+, with \d ticks? in its queue$/,
      /^tick 200: slow is at \d+, with \d ticks? in its queue$/,
      /^fast has seen 600 of 600, VGO is at \d+(\.\d+)?$/,
      /^slow has seen \d{2,3} of 600, VGO is at \d+(\.\d+)?$/,
      /^\d+ made way for newer ones: slow, by key$/,
      "0 bytes are queued",
    ],
  },
  "gateway.ts": {
    lines: [
      /^modest: 50 calls in 0\.\d s$/,
      "   gateway: greedy has met messagesPerSecond: 100",
      /^greedy: 300 calls in [1-9]\d*\.\d s$/,
      "   gateway: somebody has met maxConnectionsPerHost: 4",
      "   gateway: somebody was not let in: TOO_MANY_CONNECTIONS",
      "   gateway: somebody has met maxUnregistered: 2",
      "   gateway: flood has met messagesPerSecond: 100",
      "   gateway: flood is gone: FLOOD",
      "flood: FLOOD",
      "350 calls came in, 350 went on",
      /^limits met: .*"maxConnectionsPerHost":\d/,
      /^refused: .*"TOO_MANY_CONNECTIONS":2/,
    ],
  },
  "rolling_restart.ts": {
    lines: [
      /^both servers are up: 1 has 10 clients, 2 has 10 clients, \d+ calls so far$/,
      /^server 1 is drained: \d+ calls finished, 0 cut$/,
      /^server 1 is back: 1 has 0 clients, 2 has 20 clients, \d+ calls so far$/,
      /^server 2 is drained: \d+ calls finished, 0 cut$/,
      /^server 2 is back: 1 has 20 clients, 2 has 0 clients, \d+ calls so far$/,
      /^(\d+) calls made, \1 completed, \d+ repeated, 0 lost$/,
      /^\d+ ran, 0 of them twice$/,
    ],
  },
  "per_core.ts": {
    lines: [/100 clients were answered by \d+ of \d+ processes: \d+/],
  },
  "plain_function.ts": {
    lines: [
      "ann reads: What is your name?",
      "ann reads: Welcome, ann",
      "bob reads: What is your name?",
      "bob reads: Welcome, bob",
      "bob reads: ann: hello, bob",
      "ann reads: bob: hello, ann",
      "bob is gone: NORMAL",
      "ann is gone: NORMAL",
    ],
  },
  "websocket_demo.ts": {
    args: ["--port", "0"],
    lines: [
      "server: 127.0.0.1 asks for /",
      /^client: Cannot connect to ws:.* as the server must answer 101: it has answered 403 Forbidden$/,
      "client: open!",
      "client: a round trip takes less than a second: true",
      "client: Message: a",
      "client: Binary message of 3 bytes",
      "client: closed: 1000 that was all",
    ],
  },
};

for (const [name, { args = [], lines }] of Object.entries(EXPECTED)) {
  systemTest(`examples/${name} runs to its end`, needs, async () => {
    await using child = new Child([...await documented(name), ...args]);
    assertEquals(await child.finish(), 0, child.text);
    assertOrder(child.lines, lines);
  });
}

systemTest("every example has a test", { permissions: ["read"] }, async () => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(EXAMPLES)) {
    // The demos have tests of their own.
    if (name.endsWith(".ts") && !/^_|^demo/.test(name)) names.push(name);
  }
  assertEquals(names.sort(), Object.keys(EXPECTED).sort());
});

systemTest("examples/echo.ts has at most 15 lines", { permissions: ["read"] }, async () => {
  const code = (await Deno.readTextFile(new URL("echo.ts", EXAMPLES))).replace(
    /\/\*\*[^]*?\*\//,
    "",
  );
  const count = code.split("\n").filter((line) => line.trim() !== "").length;
  assert(count <= 15, `${count} lines`);
});

/** What follows on `deno` in the first command of the first comment. */
async function documented(name: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(name, EXAMPLES));
  assertMatch(text, /^\/\*\*\n/);
  const command = /^ \* {5}deno (run .*)$/m.exec(text)?.[1];
  assert(command !== undefined, `The first comment of ${name} has no command`);
  assert(command.endsWith(` examples/${name}`), command);
  return command.split(" ");
}

function assertOrder(lines: readonly string[], expected: readonly (string | RegExp)[]): void {
  let at = 0;
  for (const one of expected) {
    const fits = (line: string) => typeof one === "string" ? line === one : one.test(line);
    const found = lines.findIndex((line, index) => index >= at && fits(line));
    assert(found >= 0, `There is no line ${one} after line ${at} of:\n${lines.join("\n")}`);
    // Lines of two processes may change places, so the next may be any other one from here on.
    at = found + 1;
  }
}
