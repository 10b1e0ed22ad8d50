/**
 * Datagrams over loopback, both ends in this process.
 *
 * In each group the baseline is the runtime's own socket with a buffer that it uses again, which is the
 * least that it can do. The report's unit is one turn: as in a server's loop, somebody waits for a
 * datagram; so many are sent one by one, and received. Only ratios within a group mean anything.
 */
import { dialUdp, listenUdp } from "../src/udp.ts";
import { turns } from "./_settings.ts";

const SIZES: readonly [name: string, size: number][] = [
  ["16 B", 16],
  ["1,200 B", 1_200],
  ["16 KiB", 16_384],
];

/** Sends so many datagrams and receives them. */
type Turn = (data: Uint8Array, count: number) => Promise<void>;

const ways: readonly [name: string, turn: Turn][] = [
  ["bare socket", bare()],
  ["receive()", await vnet("receive")],
  ["read(buf)", await vnet("read")],
  ["read(buf), timeouts", await vnet("read", 10_000)],
];

// No more at once than a system holds for a socket: what is dropped would be waited for.
for (const count of [1, 4]) {
  for (const [size, bytes] of SIZES) {
    const group = `${count} at once, ${size}`;
    const data = new Uint8Array(bytes);
    for (const [index, [name, turn]] of ways.entries()) {
      // Only what is declared async is awaited by the runner.
      Deno.bench(
        name,
        { group, baseline: index === 0, ...turns },
        async () => await turn(data, count),
      );
    }
  }
}

function bare(): Turn {
  const options = { transport: "udp", hostname: "127.0.0.1", port: 0 } as const;
  const [from, to] = [Deno.listenDatagram(options), Deno.listenDatagram(options)];
  const buffer = new Uint8Array(65_536);
  return async (data, count) => {
    const first = to.receive(buffer);
    for (let i = 0; i < count; i++) await from.send(data, to.addr);
    await first;
    for (let i = 1; i < count; i++) await to.receive(buffer);
  };
}

async function vnet(how: "receive" | "read", timeout = Infinity): Promise<Turn> {
  const options = { readTimeout: timeout, writeTimeout: timeout };
  const to = await listenUdp("127.0.0.1:0", options);
  const from = await dialUdp(to.localAddr, options);
  const buffer = new Uint8Array(65_536);
  const receive = how === "receive" ? () => to.receive() : () => to.read(buffer);
  return async (data, count) => {
    const first = receive();
    for (let i = 0; i < count; i++) await from.send(data);
    await first;
    for (let i = 1; i < count; i++) await receive();
  };
}
