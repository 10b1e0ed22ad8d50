/**
 * The script of `_websocket_script.ts`, played by the npm package `ws`.
 *
 *     deno run --allow-net --allow-env tests/system/_websocket_ws.ts npm:ws@<version> server|client …
 *
 * The package is named on the command line, so that checking and testing the project needs no package.
 */
import { bytesOf, SIZES, textOf } from "./_websocket_script.ts";

/** What is used of the package. */
interface WsSocket {
  readonly protocol: string;
  on(event: "open", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "message", listener: (data: Uint8Array, binary: boolean) => void): void;
  on(event: "pong", listener: () => void): void;
  on(event: "close", listener: (code: number, reason: Uint8Array) => void): void;
  send(
    data: string | Uint8Array,
    options?: { readonly fin?: boolean; readonly binary?: boolean },
  ): void;
  ping(): void;
  close(code: number, reason: string): void;
}
interface WsServer {
  on(event: "listening", listener: () => void): void;
  on(
    event: "connection",
    listener: (ws: WsSocket, request: { readonly url: string }) => void,
  ): void;
  address(): { readonly port: number };
}
interface WsModule {
  readonly WebSocket: new (
    url: string,
    protocols: readonly string[],
    options: { readonly perMessageDeflate: boolean },
  ) => WsSocket;
  readonly WebSocketServer: new (options: {
    readonly host: string;
    readonly port: number;
    readonly perMessageDeflate: boolean | { readonly threshold: number };
    readonly handleProtocols: () => string;
    readonly verifyClient: (
      info: { readonly req: { readonly url: string } },
      done: (ok: boolean, status?: number) => void,
    ) => void;
  }) => WsServer;
}

const [specifier = "", role, compression, url = ""] = Deno.args;
const { WebSocket, WebSocketServer }: WsModule = await import(specifier);
const deflate = compression === "deflate";

if (role === "server") serve();
else await play();

function serve(): void {
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    perMessageDeflate: deflate ? { threshold: 0 } : false,
    handleProtocols: () => "chat",
    verifyClient: ({ req }, done) => done(!req.url.endsWith("/no"), 403),
  });
  server.on("listening", () => console.log(`port ${server.address().port}`));
  server.on("connection", (ws, request) => {
    if (request.url.endsWith("/close")) return ws.close(4_001, "enough");
    ws.on("message", (data, binary) => ws.send(data, { binary }));
  });
}

async function play(): Promise<void> {
  const ws = new WebSocket(url, ["x", "chat"], { perMessageDeflate: deflate });
  const messages: (string | Uint8Array)[] = [];
  let wake: () => void = () => {};
  ws.on("message", (data, binary) => {
    messages.push(binary ? data : new TextDecoder().decode(data));
    wake();
  });
  const next = async () => {
    while (messages.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return messages.shift();
  };
  await new Promise<void>((resolve, reject) => {
    ws.on("open", resolve);
    ws.on("error", reject);
  });
  console.log(`protocol ${ws.protocol}`);
  for (const size of SIZES) {
    ws.send(textOf(size));
    if (await next() !== textOf(size)) throw new Error(`Another text of ${size}`);
    ws.send(bytesOf(size));
    const echo = await next();
    const wanted = bytesOf(size);
    if (
      typeof echo === "string" || echo?.length !== size || !wanted.every((b, i) => b === echo[i])
    ) {
      throw new Error(`Other bytes, of ${size}`);
    }
    console.log(`echo ${size}`);
  }
  const pong = new Promise<void>((resolve) => ws.on("pong", resolve));
  ws.send("frag", { fin: false });
  ws.ping();
  ws.send("ment", { fin: false });
  ws.send("ed", { fin: true });
  console.log(await next());
  await pong;
  console.log("pong");
  for (let i = 0; i < 1_000; i++) ws.send(`${i}`);
  for (let i = 0; i < 1_000; i++) if (await next() !== `${i}`) throw new Error(`Not ${i}`);
  console.log("many");
  const closed = new Promise<number>((resolve) => ws.on("close", resolve));
  ws.close(4_000, "bye");
  console.log(`closed ${await closed}`);

  const other = new WebSocket(`${url}close`, ["chat"], { perMessageDeflate: deflate });
  await new Promise<void>((resolve) =>
    other.on("close", (code, reason) => {
      console.log(`closed ${code} ${new TextDecoder().decode(reason)}`);
      resolve();
    })
  );
  const refused = new WebSocket(`${url}no`, ["chat"], { perMessageDeflate: deflate });
  await new Promise<void>((resolve) =>
    refused.on("error", ({ message }) => {
      console.log(`refused ${/\d{3}/.exec(message)?.[0]}`);
      resolve();
    })
  );
}
