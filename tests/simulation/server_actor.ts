/**
 * A server of the simulation suite: from one start to its end, what it says to its clients, and what
 * it hears of them.
 *
 * Owns a log for each session. A world has one server at a time, and several one after the other.
 */
import {
  type Decision,
  type DrainInfo,
  serve,
  type Server,
  type ServerEvent,
  type ServerPeer,
  text,
  type Untyped,
} from "@vgo/vnet";
import { SLOWNESS } from "./client_actor.ts";
import { greeting, type ServerSession } from "./ledger.ts";
import { RETRY_AFTER } from "./plan.ts";
import { ADDRESS, type World } from "./world.ts";

type Peer = ServerPeer<Untyped<string>, number>;

/** One run of the server. */
export class ServerActor {
  readonly server: Server<Untyped<string>, number>;
  readonly #world: World;
  readonly #sessions = new Map<Peer, ServerSession>();
  readonly #busy = new Set<Peer>();
  #stopped = false;
  #broadcasts = 0;

  private constructor(world: World, server: Server<Untyped<string>, number>) {
    this.#world = world;
    this.server = server;
    world.promised("closed of server", server.closed);
    this.#talk();
  }

  /** Starts one. */
  static async start(world: World): Promise<ServerActor> {
    const { sim, plan } = world;
    const { heartbeat, duplicateId, highWaterMark, maxQueuedBytes, patience } = plan;
    const server: Server<Untyped<string>, number> = await serve(ADDRESS, {
      register: () => decide(world),
      runtime: sim,
      serializer: text(),
      heartbeat,
      duplicateId,
      queue: { highWaterMark },
      limits: { maxQueuedBytes, maxFrameLength: 16_384, maxMetadataLength: 1_024 },
      handshakeTimeout: patience,
      onConnect: (peer: Peer) => actor.#onConnect(peer),
      onDisconnect: (_info, peer: Peer) => actor.#hook("disconnect", peer),
      onEvent: (event: ServerEvent<Peer>) => actor.#onEvent(event),
      ...(plan.serverReading === "by loop" ? {} : {
        onMessage: (message: { body: string }, peer: Peer) => actor.#onMessage(message.body, peer),
      }),
    });
    const actor = new ServerActor(world, server);
    world.note("server listens");
    return actor;
  }

  /** Ends it as a program that is killed. */
  abort(): void {
    this.#world.note("server aborts");
    this.#stopped = true;
    this.server.abort();
    this.#world.promised("abort of server", this.server.closed, 0);
  }

  /** Ends it as a program that finishes. */
  close(grace: number): Promise<DrainInfo> {
    this.#world.note(`server closes, with a grace of ${grace.toFixed()}`);
    this.#stopped = true;
    const closed = this.server.close({ grace });
    this.#world.promised("close of server", closed, grace + 1_001);
    return closed;
  }

  /** Sends something to everybody, each for itself. */
  sayToAll(): void {
    for (const peer of this.server.peers) this.#send(peer);
  }

  /** The registry must agree with itself. */
  checkRegistry(): void {
    const { peers } = this.server;
    const ids = new Set<string>();
    let count = 0;
    for (const peer of peers) {
      count++;
      ids.add(peer.id);
      if (peer.state === "closed") this.#world.violated(`${peer.id} is registered and closed`);
      if (!peers.getAll(peer.id).includes(peer)) {
        this.#world.violated(`${peer.id} is not found by its id`);
      }
    }
    if (count !== peers.size) this.#world.violated(`${count} peers registered, not ${peers.size}`);
    if (this.#world.plan.duplicateId !== "allow" && ids.size < count) {
      this.#world.violated(`${count} peers have only ${ids.size} ids`);
    }
  }

  async #talk(): Promise<void> {
    const { rng, plan } = this.#world;
    while (true) {
      await this.#world.sleep(this.#world.around(plan.pace));
      if (this.#stopped || this.#world.quiet) return;
      const peers = [...this.server.peers];
      if (peers.length === 0) continue;
      const peer = rng.pick(peers);
      const what = rng.int(100);
      if (what < 5) {
        this.#world.counts.pings++;
        this.#world.promised("ping of server", peer.ping({ timeout: 2_000 }), 2_000);
      } else if (what < 20) this.#broadcast(what < 10 ? peer : undefined);
      else for (let count = 1 + rng.int(what < 25 ? 40 : 4); count > 0; count--) this.#send(peer);
    }
  }

  #send(peer: Peer): void {
    const session = this.#sessions.get(peer);
    if (session === undefined) return this.#world.violated(`${peer.id} has not been connected`);
    const body = this.#world.text(session.sent.length);
    this.#offer([peer], body, () => {
      // By its id: where several have it, all of them get it.
      const push = this.#world.rng.int(4) === 0 && this.server.peers.getAll(peer.id).length === 1;
      const sent = push ? this.server.push(peer.id, body) : peer.send(body);
      this.#world.promised(`${push ? "push" : "send"} of server`, sent);
    });
  }

  #broadcast(except: Peer | undefined): void {
    const body = `b${this.#world.text(this.#broadcasts++)}`;
    const peers = [...this.server.peers].filter((peer) => peer !== except);
    const taken = this.#offer(peers, body, () => {
      const result = this.server.broadcast(body, except === undefined ? {} : { except });
      this.#world.promised("broadcast", result);
      result.then(({ sent, queued, skipped }) => {
        if (sent + queued === taken && skipped === peers.length - taken) return;
        this.#world.violated(`broadcast to ${taken}: ${sent} sent, ${queued} queued, ${skipped}`);
      });
    });
  }

  /** Does something that sends `body` to some peers, and notes to which it went. */
  #offer(peers: readonly Peer[], body: string, send: () => void): number {
    // What goes at once has gone by then.
    const count = ({ queued, stats }: Peer) => queued.frames + stats.messagesOut;
    const before = peers.map(count);
    send();
    let taken = 0;
    for (const [index, peer] of peers.entries()) {
      if (count(peer) === before[index]) continue;
      this.#sessions.get(peer)?.sent.push(body);
      taken++;
    }
    return taken;
  }

  #onConnect(peer: Peer): void {
    const key = `${peer.remoteAddr}`;
    const { id, data: token } = peer;
    const session = { key, id, token, sent: [], received: [], hooks: ["connect"] };
    if (this.#world.sessions.has(key) || this.#sessions.has(peer)) {
      return this.#world.violated(`session ${key} of ${id} was connected twice`);
    }
    this.#world.sessions.set(key, session);
    this.#sessions.set(peer, session);
    if (peer.stats.messagesIn > 0) this.#world.violated(`${id} spoke before 'onConnect'`);
    this.#offer([peer], greeting(token), () => peer.send(greeting(token)));
    this.#world.promised(`closed of peer ${id}`, peer.closed);
    if (this.#world.plan.serverReading === "by loop") {
      this.#world.promised(`messages of peer ${id}`, this.#readByLoop(peer, session));
    }
  }

  #onMessage(body: string, peer: Peer): unknown {
    const session = this.#sessions.get(peer);
    if (session === undefined) return this.#world.violated(`a stranger said ${body.slice(0, 20)}`);
    if (session.hooks.length > 1) this.#world.violated(`${peer.id} spoke after 'onDisconnect'`);
    session.received.push(body);
    if (this.#busy.has(peer)) this.#world.violated(`${peer.id} said two things at once`);
    return this.#world.plan.serverReading === "slowly" ? this.#think(peer) : undefined;
  }

  async #think(peer: Peer): Promise<void> {
    this.#busy.add(peer);
    await this.#world.sleep(this.#world.rng.int(SLOWNESS));
    this.#busy.delete(peer);
  }

  async #readByLoop(peer: Peer, session: ServerSession): Promise<void> {
    for await (const { body } of peer.messages) {
      session.received.push(body);
      if (this.#world.rng.int(4) === 0) await this.#world.sleep(this.#world.rng.int(SLOWNESS));
    }
  }

  #hook(name: string, peer: Peer): void {
    this.#sessions.get(peer)?.hooks.push(name);
  }

  #onEvent(event: ServerEvent<Peer>): void {
    if (event.type === "error") this.#world.violated(`the server was told of ${event.error}`);
    const full = event.type === "limit" && event.limit === "maxQueuedBytes";
    if (event.type === "limit" && !full) this.#world.violated(`the server met ${event.limit}`);
    if (event.type === "disconnect") this.#world.ended("the server", event.info);
    if (event.type === "reject") this.#world.ended("the server", event);
    this.#world.note(`server: ${describe(event)}`);
  }
}

/** At once, so that a HELLO which arrives with the end of its link is let in; or after some thought. */
function decide(world: World): Decision<number> | Promise<Decision<number>> {
  const { rng, plan: { registerTime } } = world;
  if (registerTime === 0) return decision(world);
  return world.sleep(rng.int(registerTime)).then(() => decision(world));
}

function decision({ rng, healed, counts }: World): Decision<number> {
  if (!healed && rng.int(20) === 0) {
    return { reject: "SERVER_RESTART", reason: "Not now", retryAfter: RETRY_AFTER };
  }
  return { data: counts.registered++ };
}

function describe(event: ServerEvent<Peer>): string {
  switch (event.type) {
    case "connect":
      return `connect ${event.peer.id} from ${event.peer.remoteAddr.port}`;
    case "disconnect": {
      const { peer: { id, remoteAddr: { port } }, info } = event;
      return `disconnect ${id} from ${port}: ${info.code} by ${info.initiator}: ${info.reason}`;
    }
    case "reject":
      return `reject ${event.remoteAddr.port}: ${event.code} ${event.reason}`;
    default:
      return event.type;
  }
}
