/** Pages that a port for sessions over WebSocket gives to whoever asks for one. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "@vgo/vnet";
import { join } from "../_support/feed.ts";
import { ask, request, served, works } from "./_port.ts";
import { soon, until } from "./_session.ts";
import { settle, writeAll } from "./_support.ts";

Deno.test("serve() answers what asks for no session with 426, or 405", async () => {
  const { server, rejects } = await served();
  const answer = await ask(server, request());
  assert(answer.startsWith("HTTP/1.1 426 ") && answer.includes("\r\nupgrade: websocket\r\n"));
  const head = await ask(server, request({}, "HEAD / HTTP/1.1"));
  assert(head.startsWith("HTTP/1.1 426 ") && head.includes("\r\nupgrade: websocket\r\n"));
  assert(head.endsWith("\r\n\r\n"), "An answer to HEAD has no body");
  const post = await ask(server, request({ "Content-Length": "2" }, "POST / HTTP/1.1") + "{}");
  assertStringIncludes(post, "HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n");
  await until(() => rejects().length === 3);
  assertEquals(server.stats().rejected, { PROTOCOL: 3 });
  await server.close();
});

Deno.test("http.respond gives pages to GET and HEAD, wherever they ask", async () => {
  const asked: string[] = [];
  const { server, rejects } = await served({
    respond(request, remoteAddr) {
      const { pathname, search } = new URL(request.url);
      asked.push(`${request.method} ${request.headers.get("x-who")} ${remoteAddr.hostname}`);
      return new Response(`at ${pathname}${search}`, {
        headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["content-length", "99"]],
      });
    },
  });
  for (const path of ["/", "/chat", "/chat?room=1", "/a/b"]) {
    const answer = await ask(server, request({ "X-Who": "ann" }, `GET ${path} HTTP/1.1`));
    assertEquals(
      answer,
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\nset-cookie: a=1\r\n" +
        `set-cookie: b=2\r\nConnection: close\r\nContent-Length: ${
          path.length + 3
        }\r\n\r\nat ${path}`,
    );
  }
  const head = await ask(server, request({ "X-Who": "bob" }, "HEAD / HTTP/1.1"));
  assert(
    head.startsWith("HTTP/1.1 200 OK\r\n") && head.endsWith("Connection: close\r\n\r\n"),
    head,
  );
  assertEquals(asked, [...Array(4).fill("GET ann 127.0.0.1"), "HEAD bob 127.0.0.1"]);
  const post = await ask(server, request({}, "POST / HTTP/1.1"));
  assertStringIncludes(post, "HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\n");
  await using client = await connect(server.addr);
  await works(client);
  // Who got a page did nothing wrong.
  assertEquals(rejects().length, 1);
  await server.close();
});

Deno.test("http.respond is asked with the URL that the request names, or not at all", async () => {
  const urls: string[] = [];
  const { server } = await served({
    respond({ url }) {
      urls.push(url);
      return new Response(null, { status: 204 });
    },
  });
  const good: [request: string, url: string][] = [
    [request({ Host: "a.example:81" }, "GET /x HTTP/1.1"), "http://a.example:81/x"],
    [request({ Host: "a.example" }, "GET http://b.example/y?z HTTP/1.1"), "http://a.example/y?z"],
    [request({ Host: "a.example" }, "GET //c.example HTTP/1.1"), "http://a.example//c.example"],
  ];
  for (const [text, url] of good) {
    const answer = await ask(server, text);
    assertEquals(answer, "HTTP/1.1 204 \r\nConnection: close\r\n\r\n");
    assertEquals(urls.pop(), url);
  }
  const bad: [request: string, status: string][] = [
    ["GET / HTTP/1.1\r\n\r\n", "400"],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"],
    [request({ Host: "u:p@a" }), "400"],
    [request({ Host: "a/b" }), "400"],
    [request({}, "GET a HTTP/1.1"), "400"],
    [request({}, "GET * HTTP/1.1"), "400"],
    [request({}, "OPTIONS * HTTP/1.1"), "405"],
    [request({}, "CONNECT a:1 HTTP/1.1"), "405"],
    [request({}, "GET / HTTP/2.0"), "505"],
    [request({}, "GET /"), "400"],
  ];
  for (const [text, status] of bad) {
    const answer = await ask(server, text);
    assert(answer.startsWith(`HTTP/1.1 ${status} `), `${JSON.stringify(text)}: ${answer}`);
  }
  assertEquals(urls, []);
  await server.close();
});

Deno.test("http.respond may answer with any status, and with a body of any length", async () => {
  const LARGE = "x".repeat(200_000);
  const pages: Record<string, () => Response> = {
    "/moved": () => Response.redirect("http://a.example/"),
    "/none": () => new Response(),
    "/gone": () => new Response("gone", { status: 410, statusText: "It Was Here" }),
    "/same": () => new Response(null, { status: 304, headers: { etag: '"7"' } }),
    "/large": () => new Response(LARGE),
    "/stream": () => new Response(ReadableStream.from(pieces())),
  };
  async function* pieces() {
    for (let n = 0; n < 20; n++) {
      yield new TextEncoder().encode(n === 7 ? "" : LARGE.slice(0, 10_000));
      await settle();
    }
  }
  const { server } = await served({
    respond: ({ url }) => (pages[new URL(url).pathname] ?? pages["/gone"])?.() ?? Response.error(),
  });
  const get = (path: string) => fetch(`http://${server.addr.host}${path}`, { redirect: "manual" });
  const moved = await get("/moved");
  assertEquals([moved.status, moved.headers.get("location")], [302, "http://a.example/"]);
  await moved.body?.cancel();
  assertEquals(await (await get("/none")).text(), "");
  const gone = await get("/gone");
  assertEquals([gone.status, await gone.text()], [410, "gone"]);
  const same = await get("/same");
  assertEquals([same.status, same.headers.get("etag"), await same.text()], [304, '"7"', ""]);
  const large = await get("/large");
  assertEquals(await large.text(), LARGE);
  const streamed = await get("/stream");
  assertEquals((await streamed.text()).length, 190_000);
  // Who knows no chunks gets none.
  const old = await ask(server, request({}, "GET /stream HTTP/1.0"));
  assert(!old.includes("chunked") && old.endsWith("\r\n\r\n" + LARGE.slice(0, 190_000)));
  await server.close();
});

Deno.test("http.respond that fails is a 500 that is told of, and the server goes on", async () => {
  const locked = new Response("x");
  locked.body?.getReader();
  const answers: (() => Response | Promise<Response>)[] = [
    () => {
      throw new Error("secret");
    },
    () => Promise.reject(new Error("secret")),
    () => Response.error(),
    () => locked,
    () =>
      new Response(ReadableStream.from({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("secret")) }),
      })),
  ];
  let answer = answers[0];
  const { server, rejects, errors } = await served({
    respond: () => answer?.() ?? Response.error(),
  });
  for (answer of answers) {
    const got = await ask(server, request());
    assert(got.startsWith("HTTP/1.1 500 Internal Server Error\r\n"), got);
    assert(!got.includes("secret"));
  }
  await until(() => rejects().length === answers.length);
  assertEquals(server.stats().rejected, { INTERNAL: answers.length });
  assertEquals(errors().length, answers.length);
  assertEquals(errors().slice(0, 2), ["Error: secret", "Error: secret"]);
  await using client = await connect(server.addr);
  await works(client);
  await client.close();
  await server.close();
});

Deno.test("http.respond whose body fails midway leaves an answer that shows it", async () => {
  async function* body() {
    yield new Uint8Array(100_000).fill(65);
    await settle();
    throw new Error("secret");
  }
  const { server, errors } = await served({
    respond: () => new Response(ReadableStream.from(body())),
  });
  const response = await fetch(`http://${server.addr.host}/`);
  await assertRejects(() => response.text());
  const raw = await ask(server, request());
  assert(raw.includes("chunked") && !raw.endsWith("0\r\n\r\n"));
  await until(() => errors().length === 2);
  assertEquals(errors(), ["Error: secret", "Error: secret"]);
  await server.close();
});

Deno.test("http.respond learns that nobody takes its body any more", async () => {
  const cancelled = Promise.withResolvers<void>();
  const { server, rejects } = await served({
    respond: () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          cancel: () => cancelled.resolve(),
        }),
      ),
  });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(conn, join(request()));
  await conn.read(new Uint8Array(100));
  conn.close();
  await soon(cancelled.promise);
  // So does a server that ends.
  const endless = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  await writeAll(endless, join(request()));
  await endless.read(new Uint8Array(100));
  await soon(server.close());
  assertEquals(rejects(), []);
  endless.close();
});
