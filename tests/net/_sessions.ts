/**
 * What the suite of sessions works with: kinds of them, bodies, methods, and a wait.
 */
import { assert } from "@std/assert";
import {
  type Addr,
  type Address,
  type Client,
  type ConnectOptions,
  RpcError,
  type ServeOptions,
  type Server,
  type ServerPeer,
} from "@vgo/vnet";
import { body } from "../_support/feed.ts";

/** A way to have sessions. */
export interface SessionKind {
  /** As it is shown. */
  readonly name: string;
  /** Where to listen, on any port. */
  readonly address: string;
  readonly serving?: Pick<ServeOptions, "tls">;
  readonly connecting?: Pick<ConnectOptions, "tls">;
  /** What is dialled to get to a server. @default {where it listens} */
  readonly dial?: (addr: Addr) => Address;
  /** What a session sends before its first frame, in bytes. */
  readonly preface: number;
  /** Leaves out what takes real time. */
  readonly brief?: boolean;
}

/** A body. */
export type Bytes = Uint8Array<ArrayBuffer>;
/** Both ends of one session. */
export interface Pair {
  readonly server: Server;
  readonly client: Client;
  readonly peer: ServerPeer;
}
/** What they are made with. */
export interface PairOptions {
  readonly serve?: ServeOptions;
  readonly connect?: ConnectOptions;
}

/** A body of nothing. */
export const EMPTY = new Uint8Array(0);
/** As fast as a heartbeat may be. */
export const QUICK = { interval: 100, timeout: 50 };

/** What both ends answer. */
export const METHODS:
  & NonNullable<ServeOptions["methods"]>
  & NonNullable<ConnectOptions["methods"]> = {
    echo: (input) => input,
    refuse: () => {
      throw new RpcError("NOT_FOUND", "No such thing");
    },
    never: (_input, { signal }) => {
      return new Promise<Bytes>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    slow: async (input, { signal }) => {
      for (let n = 0; n < 5 && !signal.aborted; n++) await turn();
      return input;
    },
    mirror: async function* (_input, { stream }) {
      for await (const item of stream) yield item;
    },
  };

/** Around every boundary: of a byte count, a WebSocket's length, a write, a piece of a message. */
const SIZES = [
  ...[0, 1, 2, 60, 61, 62, 63, 64, 65, 100, 125, 126, 127],
  ...[65_535, 65_536].flatMap((
    size,
  ) => [size - 20, size - 19, size - 18, size - 17, size - 16, size]),
  ...[131_072 - 529, 131_072 - 528, 131_072 - 527, 131_072, 262_144, 1_100_000],
];
let bodies: readonly Bytes[] | undefined;

/** Made once: they are large. */
export function bodiesOfAllSizes(): readonly Bytes[] {
  return bodies ??= SIZES.map((size, n) => body(size, n));
}

/** What a server sends over TCP before its first frame, in bytes. */
export const PREFACE = 8;

/** The only client that a server has. */
export function only(server: Server): ServerPeer {
  const [peer] = server.peers;
  assert(peer !== undefined && server.peers.size === 1);
  return peer;
}

/** Lets what waits for the network go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Waits for what both ends need a moment for. What never comes must fail a test, not hold it up. */
export async function until(holds: () => boolean): Promise<void> {
  const latest = performance.now() + 20_000;
  while (!holds()) {
    assert(performance.now() < latest, `It never became true: ${holds}`);
    await turn();
  }
}
