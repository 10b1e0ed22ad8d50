/**
 * What must and what must not compile of sending, groups, limits and endings. Checked by `deno check`,
 * never run: each directive below is an error where the line after it compiles, and each `is` where
 * types differ.
 */
import {
  type AnyPeer,
  type BroadcastResult,
  type Client,
  type ClientEvent,
  connect,
  type DrainInfo,
  type DropPolicy,
  json,
  LimitError,
  type LimitName,
  type Overflow,
  type Queued,
  type SendOptions,
  serve,
  type Server,
  type ServerEvent,
  type ServerPeer,
  type ServerStats,
  type Untyped,
} from "@vgo/vnet";

/** Whether two types are one and the same. */
type Eq<A, B> = (<X>() => X extends A ? 1 : 2) extends (<X>() => X extends B ? 1 : 2) ? true
  : false;
declare function is<T extends true>(): T;

/** A tick of a price. */
interface Tick {
  readonly symbol: string;
  readonly price: number;
}

type Ticks = Untyped<Tick>;
interface Account {
  user: string;
}
type Ticker = Server<Ticks, Account>;
type TickPeer = ServerPeer<Ticks, Account>;

const serializer = json<Tick>();
const TICK: Tick = { symbol: "VGO", price: 1 };

/** What a message may be sent with, whichever end sends it. */
export async function sending(client: Client<Ticks>, peer: TickPeer): Promise<void> {
  for (const end of [client, peer]) {
    is<Eq<Awaited<ReturnType<typeof end.send>>, void>>();
    await end.send(TICK);
    await end.send(TICK, { ack: true, timeout: 5, signal: AbortSignal.timeout(5) });
    await end.send(TICK, { key: "VGO", overflow: "drop-oldest", topic: "tick" });
    const said = end.trySend(TICK, { key: "VGO" });
    is<Eq<typeof said, "sent" | "queued" | "full">>();
    is<Eq<typeof end.queued, Queued>>();
    is<Eq<typeof end.ready, Promise<void>>>();
    // @ts-expect-error another body
    await end.send("VGO");
    // @ts-expect-error yes or no
    await end.send(TICK, { ack: "yes" });
    // @ts-expect-error a key is text
    await end.send(TICK, { key: 5 });
    // @ts-expect-error no such policy
    await end.send(TICK, { overflow: "drop" });
    // @ts-expect-error nor that one: it is what a key does
    await end.send(TICK, { overflow: "latest" });
    // @ts-expect-error a number of ms
    await end.send(TICK, { ack: true, timeout: "5s" });
    // @ts-expect-error one peer has no groups to choose from
    await end.send(TICK, { group: "lobby" });
    // @ts-expect-error what waits is only told
    end.queued.bytes = 0;
  }
  const options: SendOptions = { overflow: "wait" };
  is<Eq<typeof options.overflow, Overflow | undefined>>();
}

/** To one id, to all, to groups. */
export async function spreading(server: Ticker, peer: TickPeer): Promise<void> {
  is<Eq<Awaited<ReturnType<typeof server.push>>, boolean>>();
  await server.push("ann", TICK, { ack: true, overflow: "disconnect" });
  const result = await server.broadcast(TICK, { key: "VGO", group: "lobby", except: peer });
  is<Eq<typeof result, BroadcastResult<TickPeer>>>();
  is<Eq<typeof result.acked, readonly TickPeer[]>>();
  is<Eq<typeof result.missing[number]["data"]["user"] | undefined, string | undefined>>();
  await server.broadcast(TICK, { group: ["lobby", "staff"] as const, except: [peer], ack: true });
  await server.broadcast(TICK, {
    except: server.group("lobby"),
    group: peer.groups.values().toArray(),
  });
  const others: Iterable<AnyPeer> = server.peers;
  await server.broadcast(TICK, { except: others });
  // @ts-expect-error a group is a name
  await server.broadcast(TICK, { group: 5 });
  // @ts-expect-error the peer, not its id
  await server.broadcast(TICK, { except: "ann" });
  // @ts-expect-error no such option
  await server.broadcast(TICK, { groups: ["lobby"] });
  // @ts-expect-error a body comes first
  await server.broadcast({ group: "lobby" });
  // @ts-expect-error one id has no groups to choose from
  await server.push("ann", TICK, { group: "lobby" });
  // @ts-expect-error who has it is only told
  result.acked.push(peer);
}

/** Joining and leaving. */
export function groups(server: Ticker, client: Client<Ticks>, peer: TickPeer): void {
  is<Eq<typeof peer.groups, ReadonlySet<string>>>();
  is<Eq<ReturnType<typeof server.group>, ReadonlySet<TickPeer>>>();
  peer.join("lobby");
  peer.leave("lobby");
  for (const member of server.group("lobby")) is<Eq<typeof member.data, Account>>();
  // @ts-expect-error groups are joined by join
  peer.groups.add("lobby");
  // @ts-expect-error and left by leave
  server.group("lobby").delete(peer);
  // @ts-expect-error one at a time
  peer.join(["lobby"]);
  // @ts-expect-error groups are the server's
  client.join("lobby");
}

/** Limits, policies, and what is told of them. */
export async function limits(): Promise<void> {
  const server = await serve("x", {
    register: ({ id }) => ({ data: { user: id } }),
    serializer,
    queue: { overflow: "drop-newest", highWaterMark: 1, lowWaterMark: 0 },
    limits: {
      maxQueuedBytes: 1,
      maxQueuedBytesTotal: 1,
      maxConnections: 1,
      maxConnectionsPerHost: 1,
      maxUnregistered: 1,
      maxGroups: 1,
      messagesPerSecond: 1,
      bytesPerSecond: 1,
    },
    onEvent: (event) => {
      is<Eq<typeof event, ServerEvent<TickPeer>>>();
      if (event.type === "drop") is<Eq<typeof event.policy, DropPolicy>>();
      if (event.type === "drop") is<Eq<typeof event.peer, TickPeer>>();
      if (event.type === "limit") is<Eq<typeof event.limit, LimitName>>();
      if (event.type === "limit") is<Eq<typeof event.peer, TickPeer | undefined>>();
      // @ts-expect-error who has not registered is no peer
      if (event.type === "limit") event.peer.id;
      // @ts-expect-error what waits or ends a peer is no way to drop
      if (event.type === "drop" && event.policy === "wait") return;
    },
  });
  is<Eq<typeof server, Ticker>>();
  const client = await connect("x", {
    serializer,
    limits: { maxQueuedBytes: 1 },
    onEvent: (event: ClientEvent) => {
      // @ts-expect-error a client has one peer, itself
      if (event.type === "drop") event.peer;
    },
  });
  // @ts-expect-error a client has no connections to count
  await connect("x", { limits: { maxConnections: 1 } });
  // @ts-expect-error nor groups
  await connect("x", { limits: { maxGroups: 1 } });
  // @ts-expect-error no such limit
  await serve("x", { limits: { maxPeers: 1 } });
  // @ts-expect-error no such policy
  await serve("x", { queue: { overflow: "latest" } });
  // @ts-expect-error limits are numbers
  await serve("x", { limits: { maxQueuedBytesTotal: "128 MiB" } });

  const stats: ServerStats = server.stats();
  is<Eq<typeof stats.limits.maxGroups, number | undefined>>();
  is<Eq<typeof stats.rejected.AUTH_FAILED, number | undefined>>();
  is<Eq<typeof stats.inFlight | typeof client.stats.inFlight, number>>();
  is<Eq<typeof client.stats.queued, Queued>>();
  // @ts-expect-error a count is only told
  stats.peers++;
  // @ts-expect-error no such limit
  stats.limits.maxPeers;
}

/** The endings of both. */
export async function endings(server: Ticker, client: Client<Ticks>): Promise<void> {
  const info = await server.close({
    grace: 1,
    spread: 1,
    reason: "x",
    signal: AbortSignal.abort(),
  });
  is<Eq<typeof info, DrainInfo>>();
  is<Eq<typeof info.unsent, Queued>>();
  await client.close({ grace: 1 });
  // @ts-expect-error one client has nobody to spread
  await client.close({ spread: 1 });
  // @ts-expect-error a number of ms
  await server.close({ grace: "10s" });
}

/** What sending rejects with. */
export function errors(error: unknown): string | undefined {
  if (!(error instanceof LimitError)) return undefined;
  // @ts-expect-error never one of these
  if (error.code === "FULL") return undefined;
  if (error.code === "DROPPED" || error.code === "QUEUE_FULL") return error.limit;
  // @ts-expect-error an error is as it is
  error.limit = "maxGroups";
  return error.limit;
}
