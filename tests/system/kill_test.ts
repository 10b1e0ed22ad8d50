/** A client, and a server process that is killed, or stopped, and comes back. */
import { assert, assertEquals, assertLess } from "@std/assert";
import {
  Client,
  type ClientEvent,
  ConnectError,
  type ConnectOptions,
  text,
  type Untyped,
} from "../../mod.ts";
import { Child, freePort, systemTest } from "./_process.ts";

const needs = { permissions: ["net", "run", "read"], unix: true } as const;

systemTest(
  "Client comes back when its killed server is back, and messages flow again",
  needs,
  async () => {
    const port = freePort();
    await using first = await startServer(port);
    await using world = new World(port);
    const { client } = world;
    assertEquals(await world.ask("one"), "echo one");

    await first.end("SIGKILL");
    const { info } = await world.sees("disconnect");
    assertEquals([info.code, info.initiator], ["LINK_LOST", "network"]);
    assertEquals(client.state, "waiting");
    // The first wait is for the lost link, the ones after it for dials that fail.
    await world.sees("wait");
    const { error } = await world.sees("wait");
    assert(error instanceof ConnectError, String(error));
    assertEquals(error.code, "REFUSED");

    await using _second = await startServer(port);
    await world.sees("connect");
    assertEquals(client.state, "open");
    assertEquals(await world.ask("two"), "echo two");
    assertEquals(client.stats.links, 2);
    assertEquals(world.count("disconnect"), 1);
  },
);

systemTest("Client keeps what is sent between two links for the next one", needs, async () => {
  const port = freePort();
  await using first = await startServer(port);
  await using world = new World(port);
  await world.ask("before");
  await first.end("SIGKILL");
  await world.sees("disconnect");
  const answers = [world.ask("kept 1"), world.ask("kept 2")];
  assertEquals(world.client.queued.frames, 2);

  await using _second = await startServer(port);
  assertEquals(await Promise.all(answers), ["echo kept 1", "echo kept 2"]);
});

systemTest("Client.close() between two links ends all at once", needs, async () => {
  const port = freePort();
  await using server = await startServer(port);
  await using world = new World(port, { reconnect: { delay: 600_000 } });
  await world.ask("before");
  await server.end("SIGKILL");
  await world.sees("wait");
  world.client.send("lost");

  const before = performance.now();
  const info = await world.client.close();
  assertLess(performance.now() - before, 5_000);
  assertEquals([info.code, info.initiator, info.unsent.frames], ["NORMAL", "local", 1]);
});

systemTest(
  "Client notices a server that is stopped, and comes back when it goes on",
  needs,
  async () => {
    const port = freePort();
    await using server = await startServer(port);
    await using world = new World(port, {
      heartbeat: { interval: 500, timeout: 500 },
      handshakeTimeout: 500,
    });
    await world.ask("before");

    server.kill("SIGSTOP");
    const { info } = await world.sees("disconnect");
    assertEquals([info.code, info.initiator], ["HEARTBEAT_TIMEOUT", "network"]);
    // The system still accepts for the stopped process, but nobody answers the handshake.
    await world.sees("wait");
    const { error } = await world.sees("wait");
    assertEquals(error.code, "HANDSHAKE_TIMEOUT");

    server.kill("SIGCONT");
    await world.sees("connect");
    assertEquals(await world.ask("after"), "echo after");
  },
);

async function startServer(port: number): Promise<Child> {
  const script = new URL("_echo_server.ts", import.meta.url).href;
  const server = new Child(["run", "--allow-net=127.0.0.1", script, String(port)]);
  await server.says("listening");
  return server;
}

/** A client, its events in order, and its questions. */
class World implements AsyncDisposable {
  readonly client: Client<Untyped<string>>;
  readonly #events: ClientEvent[] = [];
  readonly #answers: ((answer: string) => void)[] = [];
  /** Events before this one were looked at. */
  #seen = 0;
  #wake = () => {};

  constructor(port: number, options: ConnectOptions<Untyped<string>> = {}) {
    this.client = new Client(`tcp://127.0.0.1:${port}`, {
      serializer: text(),
      reconnect: { delay: 100 },
      onMessage: ({ body }) => this.#answers.shift()?.(body),
      onEvent: (event) => {
        this.#events.push(event);
        this.#wake();
      },
      ...options,
    });
  }

  /** Sends, and resolves with what comes back. */
  ask(body: string): Promise<string> {
    const answer = new Promise<string>((resolve) => this.#answers.push(resolve));
    this.client.send(body);
    return answer;
  }

  /** Resolves with the next event of this type. */
  async sees<T extends ClientEvent["type"]>(type: T): Promise<ClientEvent & { readonly type: T }> {
    while (true) {
      for (; this.#seen < this.#events.length; this.#seen++) {
        const event = this.#events[this.#seen];
        if (event === undefined || !isOf(event, type)) continue;
        this.#seen++;
        return event;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** How many events of this type there were. */
  count(type: ClientEvent["type"]): number {
    return this.#events.filter((event) => event.type === type).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    assertEquals(this.client.state, "closed");
  }
}

function isOf<T extends ClientEvent["type"]>(
  event: ClientEvent,
  type: T,
): event is ClientEvent & { readonly type: T } {
  return event.type === type;
}
