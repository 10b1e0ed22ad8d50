/**
 * A client of the simulation suite: one client object, what it says, and what it hears.
 *
 * Owns the client's log. What is right or wrong is the ledger's business, but for what can only be
 * seen at the moment when it happens.
 */
import {
  Client,
  type ClientEvent,
  ClosedError,
  type DrainInfo,
  text,
  type Untyped,
} from "@vgo/vnet";
import type { ClientLog, ClientSession } from "./ledger.ts";
import { DIAL_TIMEOUT, HANDSHAKE_TIMEOUT } from "./plan.ts";
import { ADDRESS, type World } from "./world.ts";

/** How long in ms a slow reader thinks about a message, at most. */
export const SLOWNESS = 8;

/** One client object. */
export class ClientActor implements ClientLog {
  readonly id: string;
  readonly accepted: string[] = [];
  readonly sessions: ClientSession[] = [];
  readonly received: string[] = [];
  readonly hooks: string[] = [];
  readonly client: Client<Untyped<string>>;
  readonly #world: World;
  #stopped = false;
  #busy = false;
  /** Messages for which there was no room. */
  #refused = 0;

  constructor(world: World, id: string) {
    this.#world = world;
    this.id = id;
    const { sim, plan, rng } = world;
    const { heartbeat, reconnect, offline, highWaterMark, maxQueuedBytes } = plan;
    this.client = new Client(ADDRESS, {
      runtime: sim,
      id,
      auth: () => rng.int(8) === 0 ? world.sleep(20).then(() => "secret") : "secret",
      serializer: text(),
      heartbeat,
      reconnect,
      queue: { offline, highWaterMark },
      limits: { maxQueuedBytes, maxFrameLength: 16_384, maxMetadataLength: 1_024 },
      dialTimeout: DIAL_TIMEOUT,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      onConnect: () => this.hooks.push("connect"),
      onDisconnect: () => this.hooks.push("disconnect"),
      onEvent: (event) => this.#onEvent(event),
      ...this.#reading(),
    });
    world.clients.push(this);
    world.promised(`closed of ${id}`, this.client.closed);
    this.client.closed.then((info) => this.#onClosed(info));
    if (plan.clientReading === "by loop") world.promised(`messages of ${id}`, this.#readByLoop());
    this.#talk();
  }

  /** Ends it as a program that is killed. */
  abort(): void {
    this.#world.note(`${this.id} aborts`);
    this.#stopped = true;
    this.client.abort();
    this.#world.promised(`abort of ${this.id}`, this.client.closed, 0);
  }

  /** Ends it as a program that finishes. */
  close(grace: number): Promise<DrainInfo> {
    this.#world.note(`${this.id} closes, with a grace of ${grace.toFixed()}`);
    this.#stopped = true;
    const closed = this.client.close({ grace });
    // The other end may need all of the grace, and then a second to end its direction.
    this.#world.promised(`close of ${this.id}`, closed, grace + 1_001);
    return closed;
  }

  /** Sends a message, of this size if one is given. */
  say(size?: number): void {
    const { client } = this;
    const body = this.#world.text(this.accepted.length, size);
    const before = client.queued.frames;
    const { dropped } = client.stats;
    let outcome = "";
    switch (this.#world.rng.int(4)) {
      case 0:
        try {
          outcome = client.trySend(body);
        } catch (error) {
          outcome = "full";
          if (!(error instanceof ClosedError)) this.#world.violated(`trySend: ${error}`);
        }
        break;
      case 1:
        this.#world.promised(`send of ${this.id}`, client.send(body, { timeout: 700 }), 700);
        break;
      default:
        this.#world.promised(`send of ${this.id}`, client.send(body));
    }
    const accepted = client.queued.frames > before;
    if (accepted) this.accepted.push(body);
    this.#refused += client.stats.dropped - dropped;
    if (outcome !== "" && (outcome !== "full") !== accepted) {
      this.#world.violated(`trySend of ${this.id} said ${outcome}, accepted: ${accepted}`);
    }
  }

  #reading() {
    const { clientReading } = this.#world.plan;
    if (clientReading === "by loop") return {};
    return {
      onMessage: (message: { body: string }) => {
        if (this.#busy) this.#world.violated(`${this.id} got two messages at once`);
        this.received.push(message.body);
        return clientReading === "slowly" ? this.#think() : undefined;
      },
    };
  }

  async #think(): Promise<void> {
    this.#busy = true;
    await this.#world.sleep(this.#world.rng.int(SLOWNESS));
    this.#busy = false;
  }

  async #readByLoop(): Promise<void> {
    for await (const { body } of this.client.messages) {
      this.received.push(body);
      if (this.#world.rng.int(4) === 0) await this.#world.sleep(this.#world.rng.int(SLOWNESS));
    }
  }

  async #talk(): Promise<void> {
    const { rng, plan } = this.#world;
    while (true) {
      await this.#world.sleep(this.#world.around(plan.pace));
      if (this.#stopped || this.#world.quiet) return;
      const what = rng.int(100);
      if (what < 4) this.#world.promised(`ready of ${this.id}`, this.client.ready);
      else if (what < 10) this.#ping();
      else if (what < 11 && !this.#world.healed) this.client.reconnect();
      else for (let count = 1 + rng.int(what < 15 ? 40 : 4); count > 0; count--) this.say();
    }
  }

  #ping(): void {
    this.#world.counts.pings++;
    this.#world.promised(`ping of ${this.id}`, this.client.ping({ timeout: 2_000 }), 2_000);
  }

  #onEvent(event: ClientEvent): void {
    const { client, accepted, sessions } = this;
    this.#world.note(`${this.id}: ${describe(event)}`);
    const session = sessions.at(-1);
    switch (event.type) {
      case "connect":
        this.#world.counts.sessions++;
        if (client.state !== "open") {
          this.#world.violated(`${this.id} connected as ${client.state}`);
        }
        if (session !== undefined && session.end === undefined) {
          this.#world.violated(`${this.id} connected twice`);
        }
        sessions.push({
          key: `${client.localAddr}`,
          start: accepted.length - client.queued.frames,
          begun: this.#begun,
          end: undefined,
        });
        return;
      case "disconnect":
        if (session === undefined || session.end !== undefined) {
          return this.#world.violated(`${this.id} disconnected twice`);
        }
        session.end = this.#handedOver;
        return this.#world.ended(this.id, event.info);
      case "error":
        return this.#world.violated(`${this.id} was told of ${event.error}`);
    }
  }

  /** How many messages were handed over as a whole. */
  get #handedOver(): number {
    return this.client.stats.messagesOut + this.#begun;
  }

  /** How many were given up since a part of them was handed over to a link that died. */
  get #begun(): number {
    return this.client.stats.dropped - this.#refused;
  }

  #onClosed({ unsent }: DrainInfo): void {
    const left = this.accepted.length - this.#handedOver;
    if (unsent.frames === left) return;
    this.#world.violated(`${this.id} told of ${unsent.frames} unsent messages, and it was ${left}`);
  }
}

function describe(event: ClientEvent): string {
  switch (event.type) {
    case "dial":
      return `dial ${event.attempt}`;
    case "wait":
      return `wait ${event.delay.toFixed(1)}: ${event.error.message}`;
    case "disconnect":
    case "close":
      return `${event.type} ${event.info.code} by ${event.info.initiator}: ${event.info.reason}`;
    default:
      return event.type;
  }
}
