/**
 * Run with few open files allowed: clients dial until no more can be opened, and nobody has been
 * accepted yet. When some of them give up, all the others are served.
 */
import { dialTcp, listenTcp, type TcpConn, TimeoutError } from "../../src/net.ts";

const GIVE_UP = 10;

await using listener = await listenTcp("127.0.0.1:0");
const clients: TcpConn[] = [];
try {
  while (true) clients.push(await dialTcp(listener.addr));
} catch (error) {
  console.log(`a dial fails: ${error instanceof Error ? error.message : error}`);
}

const first = listener.accept();
try {
  await listener.accept({ timeout: 100 });
} catch (error) {
  if (!(error instanceof TimeoutError)) throw error;
  console.log(`an accept fails: ${error.cause}`);
}

for (const client of clients.splice(0, GIVE_UP)) client.abort();
const served = clients.map((client) => client.readText({ timeout: 20_000 }));
for (let conn = await first, count = 1;; conn = await listener.accept(), count++) {
  await conn.write("served").catch(() => {});
  conn.abort();
  if (count === clients.length + GIVE_UP) break;
}
const texts = new Set(await Promise.all(served));
console.log(`${clients.length > GIVE_UP ? "the others" : "too few"} are ${[...texts]}`);
for (const client of clients) client.abort();
