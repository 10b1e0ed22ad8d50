/**
 * The group Logging of the fault catalogue: what is logged of peers, how much, and what never is.
 */
import { assert, assertEquals } from "@std/assert";
import {
  Client,
  connect,
  type ConnectOptions,
  json,
  RpcError,
  serve,
  type ServeOptions,
  type Untyped,
} from "@vgo/vnet";
import { memoryPair, Simulation } from "@vgo/vnet/testing";
import { FrameType } from "../../src/wire/constants.ts";
import {
  encodeClientPreface,
  encodeHello,
  encodeReject,
  encodeServerPreface,
} from "../../src/wire/handshake.ts";
import * as control from "../../src/wire/control.ts";
import { failure, HELLO, rawFrame, utf8, WireClient } from "../_support/wire_client.ts";
import { Lines, words } from "../_support/lines.ts";

const ADDRESS = "tcp://server:9966";
const EMPTY = new Uint8Array(0);
const REJECT = {
  code: "UNSUPPORTED",
  retryAfter: 0,
  epoch: new Uint8Array(8),
  lastRecv: undefined,
} as const;

type Json = Untyped<unknown>;
/** What tests see of an event. */
type Told = { readonly type: string; readonly error?: unknown };

/** What must be found in no line and in no error. */
const CANARY = "canary";
const SECRET = `${CANARY}-secret`;
const BODY = `${CANARY}-body {`;

Deno.test("serve() and connect() G1 say nothing of bodies, secrets and metadata, in logs or errors", async () => {
  for (const watched of [false, true]) {
    const said = new Lines();
    const { logger } = said;
    const errors: unknown[] = [];
    await using sim = new Simulation();
    const { server, client } = await jsonPair(sim, {
      logger,
      ...(watched ? { onEvent: ({ error }: Told) => void (error && errors.push(error)) } : {}),
    });
    const note = (work: Promise<unknown>) => failure(work).then((error) => void errors.push(error));
    const body = utf8(BODY);

    // Bodies that are none for the serializer: of messages, inputs, items, answers.
    await client.send(body);
    const calls = [
      note(client.call("echo", body)),
      note(client.call("raw", { a: 1 })),
      note(client.call("items", {}, { stream: [{}, body] })),
      note(collect(client.stream("rawItems", {}))),
      note(client.call("fails", { password: SECRET })),
      note(client.call("refuses", { password: SECRET })),
      note(client.call("none", { password: SECRET }, { metadata: { token: SECRET } })),
      note(client.call("slow", { password: SECRET }, { timeout: 10 })),
    ];
    await sim.run(Promise.all(calls));

    // What is too long, or cannot be sent.
    const long = { text: SECRET.repeat(2_000) };
    await client.send(long);
    await sim.run(note(client.call("echo", long)));
    const cyclic: { password: string; self?: unknown } = { password: SECRET };
    cyclic.self = cyclic;
    await note(client.send(cyclic));
    await note(client.send("x", { topic: SECRET.repeat(50) }));
    await note(client.call("echo", {}, { metadata: { token: SECRET.repeat(9_000) } }));

    // Who is not let in, whatever it shows.
    for (const auth of [SECRET, utf8(SECRET), () => SECRET, () => SECRET.repeat(5_000)]) {
      const options: ConnectOptions<Json> = {
        openTimeout: 0,
        auth,
        metadata: { mode: `no ${SECRET}` },
      };
      const trying = connect<Json>(ADDRESS, {
        runtime: sim,
        logger,
        serializer: json(),
        ...options,
      });
      await sim.run(note(trying));
    }
    for (const mode of ["throws", "rejects", "bad id"]) {
      const options = { openTimeout: 0, auth: SECRET, metadata: { mode } };
      const trying = connect<Json>(ADDRESS, {
        runtime: sim,
        logger,
        serializer: json(),
        ...options,
      });
      await sim.run(note(trying));
    }
    try {
      new Client(ADDRESS, { runtime: sim, auth: SECRET.repeat(5_000) });
    } catch (error) {
      errors.push(error);
    }

    // What is no frame, or no protocol at all.
    for (const bytes of nonsense()) {
      const peer = new WireClient(await sim.run(sim.dial(server.addr)));
      await peer.send(
        encodeClientPreface,
        (out) => encodeHello(out, { ...HELLO, auth: utf8(SECRET) }),
      );
      await sim.advance(10);
      await peer.tell((out) => out.bytes(bytes));
      await sim.advance(10);
      peer.close();
      const other = new WireClient(await sim.run(sim.dial(server.addr)));
      await other.tell((out) => out.bytes(bytes));
      await sim.advance(10);
      other.close();
      await sim.advance(10);
    }

    client.abort(new Error("Enough"));
    await sim.run(server.close());
    assert(said.lines.length > 40 && errors.length >= 20, `${said.lines.length}, ${errors.length}`);
    for (const line of [...said.lines, ...errors.map(words)]) {
      assert(!line.includes(CANARY), line);
    }
  }
});

Deno.test("serve() G1 writes no more than a part of a long id", async () => {
  const said = new Lines();
  await using sim = new Simulation();
  const server = await serve(ADDRESS, { runtime: sim, logger: said.logger });
  const id = "i".repeat(255);
  const client = await sim.run(connect(ADDRESS, { runtime: sim, id, logger: said.logger }));
  for (let n = 0; n < 300; n++) await client.send(EMPTY);
  await sim.advance(0);
  await sim.run(
    failure(connect(ADDRESS, { runtime: sim, id, openTimeout: 0, logger: said.logger })),
  );
  await sim.run(client.close());
  await sim.run(server.close());
  assertEquals(said.with("nobody reads").length, 1);
  for (const line of said.lines) assert(!line.includes("i".repeat(201)), line);
});

Deno.test("serve() and connect() G2 let nobody write a line of their logs, or colour one", async () => {
  const said = new Lines();
  const { logger } = said;
  const errors: unknown[] = [];
  const evil = "bye\r\n2026 admin connected\u001b[31m\u0085\u2028\u2029\u009b2J\0";
  await using sim = new Simulation();
  const server = await serve(ADDRESS, { runtime: sim, logger, duplicateId: "reject" });
  // Ids: those with control characters are refused, and what else breaks lines is escaped.
  for (const clientId of [evil, "a\u2028b\u2029c", 'eve" connected from "nowhere', "\u202eeve"]) {
    const peer = new WireClient(await sim.run(sim.dial(server.addr)));
    await peer.send(encodeClientPreface, (out) => encodeHello(out, { ...HELLO, clientId }));
    await sim.advance(0);
    if (peer.farewells().length === 0) {
      const again = await sim.run(
        failure(connect(ADDRESS, { runtime: sim, id: clientId, openTimeout: 0, logger })),
      );
      errors.push(again);
      await peer.send((out) => control.encodeClose(out, "NORMAL", 0, 0, evil));
    }
    await sim.advance(0);
    peer.close();
  }
  // Reasons of a server, on each way in and out.
  const [near, far] = memoryPair();
  const fake = new WireClient(far, "server");
  const opening = connect(() => near, { runtime: sim, logger, reconnect: false });
  await sim.run(fake.welcome({ id: "ann" }));
  const client = await sim.run(opening);
  const ping = failure(client.ping());
  await fake.send((out) => control.encodeClose(out, "PROTOCOL", 0, 0, evil));
  errors.push(await sim.run(ping));
  await sim.run(client.closed);
  errors.push(await failure(client.send(EMPTY)));
  fake.close();
  const [here, there] = memoryPair();
  const refusing = new WireClient(there, "server");
  const refused = failure(connect(() => here, { runtime: sim, logger, openTimeout: 0 }));
  await sim.run(refusing.next(FrameType.HELLO));
  await refusing.send(
    (out) => encodeServerPreface(out, 1),
    (out) => encodeReject(out, { ...REJECT, reason: evil }),
  );
  errors.push(await sim.run(refused));
  refusing.close();
  await sim.run(server.close({ reason: evil }));
  assert(said.lines.length > 10);
  for (const line of [...said.lines, ...errors.map(words)]) {
    assert(!/[\p{Cc}\u2028\u2029]/u.test(line), JSON.stringify(line));
  }
  assertEquals(said.with('"eve\\" connected from \\"nowhere" connected from tcp://').length, 1);
});

for (
  const [name, fail] of [
    ["throws", () => {
      throw new Error("The disk is full");
    }],
    ["rejects", () => Promise.reject(new Error("The disk is full"))],
  ] as const
) {
  Deno.test(`serve() and connect() G4 go on with a logger that ${name}`, async () => {
    await using sim = new Simulation();
    let asked = 0;
    const log = () => {
      asked++;
      return fail();
    };
    const logger = { debug: log, info: log, warn: log, error: log };
    const server = await serve(ADDRESS, {
      runtime: sim,
      logger,
      limits: { messagesPerSecond: 50 },
      methods: { echo: (body) => body },
      onMessage: () => {
        throw new Error("No");
      },
    });
    const client = await sim.run(connect(ADDRESS, { runtime: sim, logger }));
    for (let n = 0; n < 200; n++) client.trySend(EMPTY);
    await sim.advance(5_000);
    const stranger = await sim.run(sim.dial(server.addr));
    await stranger.write(utf8("GET / HTTP/1.1\r\n\r\n"));
    sim.link(client).cut();
    await sim.advance(5_000);
    assertEquals([client.state, client.stats.links, server.peers.size], ["open", 2, 1]);
    assertEquals(await sim.run(client.call("echo", Uint8Array.of(1))), Uint8Array.of(1));
    stranger.close();
    await sim.run(client.close());
    await sim.run(server.close());
    assert(asked > 10, `${asked}`);
  });
}

/** A server and a client of JSON, and methods that fail in each way. */
async function jsonPair(
  sim: Simulation,
  options: Pick<ServeOptions<Json> & ConnectOptions<Json>, "logger"> & {
    readonly onEvent?: (event: Told) => void;
  },
) {
  const { logger, onEvent } = options;
  const shared = {
    runtime: sim,
    serializer: json(),
    ...(logger === undefined ? {} : { logger }),
    ...(onEvent === undefined ? {} : { onEvent }),
    onMessage: () => {},
  };
  const server = await serve<Json>(ADDRESS, {
    ...shared,
    register: ({ metadata: { mode } }) => {
      if (mode === "throws") throw new Error("The database is down");
      if (mode === "rejects") return { reject: "AUTH_FAILED", reason: "Go away" };
      if (mode === "bad id") return { id: "\0", data: undefined };
      return mode === undefined;
    },
    limits: { maxMessageLength: 5_000 },
    methods: {
      echo: (input) => input,
      raw: () => utf8(BODY),
      async items(_input, { stream }) {
        for await (const _ of stream) { /* until one cannot be read */ }
      },
      async *rawItems() {
        yield 1;
        yield utf8(BODY);
      },
      fails: () => {
        throw new Error("Out of order");
      },
      refuses: (input) => {
        throw new RpcError("PERMISSION_DENIED", "Not you", { data: input });
      },
      slow: () => new Promise(() => {}),
    },
  });
  const client = await sim.run(connect<Json>(ADDRESS, {
    ...shared,
    id: "ann",
    auth: SECRET,
    reconnect: false,
  }));
  return { server, client };
}

/** What is no vnet, or none that is allowed. */
function nonsense(): Uint8Array[] {
  const secret = utf8(SECRET);
  const named = new Uint8Array([0, 0, 0, 0, 0, 16, 5, ...utf8("CANARY").subarray(0, 5), 0, 1, 65]);
  return [
    utf8(`GET /${SECRET} HTTP/1.1\r\nAuthorization: ${SECRET}\r\n\r\n`),
    utf8(`{"password": "${SECRET}"}`),
    rawFrame({ type: 0x3f }, secret),
    rawFrame({ type: FrameType.HELLO }, secret),
    rawFrame({ type: FrameType.MSG, seq: 1, flags: 0x02 }, named),
    rawFrame({ type: FrameType.MSG, seq: 1 }, new Uint8Array([0, 255, ...secret])),
    rawFrame({ type: FrameType.MSG, seq: 1 }, new Uint8Array([0, 15, ...secret.with(3, 0xff)])),
    rawFrame({ type: FrameType.REQUEST, id: 2, seq: 1 }, secret),
    rawFrame(
      { type: FrameType.REQUEST, id: 1, seq: 1 },
      new Uint8Array([0, 0, 0, 0, 1, 255, ...secret]),
    ),
    rawFrame({ type: FrameType.CANCEL, id: 1, seq: 1 }, secret),
    rawFrame({ type: FrameType.MSG, seq: 7 }, new Uint8Array([0, 0, ...secret])),
    rawFrame({ type: FrameType.MSG, seq: 1, length: 0x7fffffff }, secret),
  ];
}

async function collect(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items) { /* until one cannot be read */ }
}
