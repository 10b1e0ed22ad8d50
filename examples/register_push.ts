/**
 * Registration and push: a client registers with an id and a secret and gets ok or, in words, why
 * not; the server asks for a sign of life after 10 s of silence and drops the client 2 s later; and
 * it pushes to everybody who is registered, each 15 s.
 *
 *     deno run --allow-net=127.0.0.1 examples/register_push.ts
 *     deno run --allow-net=127.0.0.1 examples/register_push.ts --interval 500 --count 3
 */
import { type Client, connect, ConnectError, serve, text, type Untyped } from "@vgo/vnet";
import { numberOption, readOptions } from "./_program.ts";

const USAGE = `Usage: deno run --allow-net=127.0.0.1 examples/register_push.ts [options]

  --interval <ms>   between two pushes (default 15000)
  --count <number>  so many pushes, then the end (default 3)
  --help            shows this`;

const options = readOptions(USAGE, {
  interval: { type: "string", default: "15000" },
  count: { type: "string", default: "3" },
});
const interval = numberOption(USAGE, "interval", options.interval, 3_600_000);
const pushes = numberOption(USAGE, "count", options.count, 1_000_000, 1);

let thanks = 0;
const done = Promise.withResolvers<void>();

await using server = await serve("127.0.0.1:0", {
  serializer: text(),
  heartbeat: { interval: 10_000, timeout: 2_000 },
  // Who registers with an id that is in use takes it over: a device that was plugged in again.
  duplicateId: "replace",
  register({ id, authEquals }) {
    if (!/^\w{1,16}$/.test(id)) return { reject: "CLIENT_ID_INVALID", reason: "No such device" };
    if (!authEquals("s3cret")) return { reject: "AUTH_FAILED", reason: "The secret is wrong" };
    return { id, data: { room: `room ${id}` } }; // becomes `peer.data`
  },
  onConnect: (peer) => console.log(`server: ${peer.id} is in, of ${peer.data.room}`),
  onMessage(message, peer) {
    console.log(`server: ${peer.id} says ${message.body}`);
    if (message.body === `thanks for push ${pushes}` && ++thanks === 2) done.resolve();
  },
  onDisconnect: (info, peer) => console.log(`server: ${peer.id} is gone: ${info.reason}`),
});

await register("1", "wrong");
await register("not a device", "s3cret");
const devices = [await register("1", "s3cret"), await register("2", "s3cret")];
console.log(
  `Is 2 there? ${await server.push("2", "hello")}. Is 3? ${await server.push("3", "hello")}`,
);

let pushed = 0;
const timer = setInterval(() => {
  if (pushed < pushes) server.broadcast(`push ${++pushed}`);
}, interval);
await done.promise;
clearInterval(timer);
for (const device of devices) await device?.close({ reason: "all done" });

/** Registers, and tells how that went. */
async function register(id: string, auth: string): Promise<Client<Untyped<string>> | undefined> {
  try {
    const client = await connect(server.addr, {
      id,
      auth,
      serializer: text(),
      onMessage(message, client) {
        console.log(`${client.id}: got ${message.body}`);
        return client.send(`thanks for ${message.body}`);
      },
    });
    console.log(`${id}: ok`);
    return client;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.log(`${id}: ${error.message}`);
  }
}
