/**
 * What goes wrong in a world: links, the way to the server, the server itself, and the clients.
 *
 * Owns the faults and their ends: each one that lasts is over after a while, and `heal` ends all at
 * once. Nothing here changes a byte: vnet/1 has no checksum, so TCP's must do.
 */
import type { Faults, SimulatedLink } from "@vgo/vnet/testing";
import { ClientActor } from "./client_actor.ts";
import { ServerActor } from "./server_actor.ts";
import { ADDRESS, type World } from "./world.ts";

/** The actors of a world, and what befalls them. */
export class Chaos {
  /** The client objects that are in use, by id. */
  readonly clients = new Map<string, ClientActor>();
  server: ServerActor | undefined;
  readonly #world: World;
  /** Links that carry nothing any more, for ever. */
  readonly #dead = new Set<SimulatedLink>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Starts the server and the clients, some of them before the server. */
  async start(): Promise<void> {
    const { plan, rng } = this.#world;
    if (rng.int(2) === 0) this.server = await ServerActor.start(this.#world);
    for (let n = 0; n < plan.clients; n++) {
      this.clients.set(`c${n}`, new ClientActor(this.#world, `c${n}`));
    }
    this.server ??= await ServerActor.start(this.#world);
  }

  /** Lets things go wrong until `heal`. */
  async rage(): Promise<void> {
    const { plan } = this.#world;
    while (true) {
      await this.#world.sleep(this.#world.around(plan.faultPace));
      if (this.#world.healed) return;
      this.#world.counts.faults++;
      this.#fault();
      this.server?.checkRegistry();
    }
  }

  /** Everything works from now on. */
  async heal(): Promise<void> {
    this.#world.note("healed");
    this.#world.healed = true;
    const { sim } = this.#world;
    sim.faults = {};
    sim.setDialMode(ADDRESS, "answer");
    for (const link of sim.links) if (!this.#dead.has(link)) link.heal();
    this.server ??= await ServerActor.start(this.#world);
  }

  #fault(): void {
    const { sim, rng, plan } = this.#world;
    const what = rng.int(100);
    if (what >= 92) return this.#go(this.#restartServer());
    if (what >= 84) return this.#go(this.#unreachable());
    if (what >= 79) return this.#go(this.#slowWay());
    if (what >= 74) return this.#go(this.#stallNewLinks());
    if (what >= 68) {
      // Where the newest owner of an id wins, a link of a killed client that arrives late would win.
      return plan.duplicateId === "replace" ? undefined : this.#go(this.#restartClient());
    }
    const { links } = sim;
    if (links.length === 0) return;
    const link = rng.pick(links);
    const name = `link ${link.localAddr.port}`;
    if (what < 15) {
      this.#world.note(`${name} is reset`);
      link.cut("reset");
    } else if (what < 25) {
      this.#world.note(`${name} is closed`);
      link.cut("close");
    } else if (what < 50) {
      const direction = rng.pick(["both", "up", "down"] as const);
      this.#world.note(`${name} is a black hole: ${direction}`);
      link.blackhole(direction);
      // More than the network holds: what waits has to stay where it is.
      if (rng.int(6) === 0) this.#clientOf(link)?.say(300_000 + rng.int(300_000));
      // Some routes never come back: only the heartbeat can tell.
      if (rng.int(4) === 0) this.#dead.add(link);
      else this.#go(this.#healLater(link, name));
    } else {
      const faults = this.#faults();
      this.#world.note(`${name} has ${JSON.stringify(faults)}`);
      link.degrade(faults);
      this.#go(this.#healLater(link, name));
    }
  }

  #go(work: Promise<void>): void {
    work.catch((error) => this.#world.violated(`a fault failed: ${error}`));
  }

  #faults(): Faults {
    const { rng } = this.#world;
    switch (rng.int(5)) {
      case 0:
        return { delay: rng.int(800), jitter: rng.int(400) };
      case 1:
        return { slice: 1 + rng.int(16) };
      case 2:
        return { bytesPerSecond: 200 + rng.int(20_000), delay: rng.int(50) };
      case 3:
        return { cutAfter: rng.int(3_000) };
      default:
        return { delay: rng.int(100), jitter: rng.int(100), slice: 100 };
    }
  }

  async #healLater(
    link: SimulatedLink,
    name: string,
    after = this.#world.around(2_000),
  ): Promise<void> {
    await this.#world.sleep(after);
    if (this.#world.healed) return;
    this.#world.note(`${name} is healed`);
    link.heal();
  }

  async #unreachable(): Promise<void> {
    const { sim, rng } = this.#world;
    const mode = rng.pick(["refuse", "hang"] as const);
    this.#world.note(`dials: ${mode}`);
    sim.setDialMode(ADDRESS, mode);
    // What happens to new links only is seen if there are some.
    if (rng.int(2) === 0) { for (const link of sim.links) link.cut(); }
    await this.#world.sleep(this.#world.around(1_500));
    if (!this.#world.healed) sim.setDialMode(ADDRESS, "answer");
  }

  /** New links are so slow for a while that handshakes take too long, and what was given up arrives. */
  async #slowWay(): Promise<void> {
    const { sim, rng, plan: { delay, jitter } } = this.#world;
    sim.faults = { delay: rng.int(1_500), jitter: rng.int(3_000) };
    this.#world.note(`new links have ${JSON.stringify(sim.faults)}`);
    if (rng.int(2) === 0) { for (const link of sim.links) link.cut(); }
    await this.#world.sleep(this.#world.around(2_000));
    if (!this.#world.healed) sim.faults = { delay, jitter };
  }

  /** HELLOs are held up for longer than their clients wait, and arrive after that. */
  async #stallNewLinks(): Promise<void> {
    const { sim, rng } = this.#world;
    const seen = new Set(sim.links);
    this.#world.note("new links are stalled");
    if (rng.int(2) === 0) { for (const link of sim.links) link.cut(); }
    const until = sim.clock.now() + rng.int(2_500);
    while (sim.clock.now() < until && !this.#world.healed) {
      for (const link of sim.links) {
        if (seen.has(link)) continue;
        seen.add(link);
        link.blackhole("up");
        this.#go(this.#healLater(link, `link ${link.localAddr.port}`, 1_500 + rng.int(4_000)));
      }
      await this.#world.sleep(20);
    }
  }

  async #restartServer(): Promise<void> {
    const { rng } = this.#world;
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    const how = rng.int(4);
    if (how > 0) server.close(rng.int(1_500));
    if (how === 1) await this.#world.sleep(rng.int(1_000));
    if (how < 2) server.abort();
    await this.#world.sleep(this.#world.around(1_000));
    if (this.server === undefined) this.server = await ServerActor.start(this.#world);
  }

  #clientOf({ localAddr }: SimulatedLink): ClientActor | undefined {
    const clients = [...this.clients.values()];
    return clients.find(({ client }) => client.localAddr.port === localAddr.port);
  }

  /** What waits to be sent when it closes has nowhere to go. */
  #blockWrites(client: ClientActor): void {
    const { links } = this.#world.sim;
    const link = links.find((link) => this.#clientOf(link) === client);
    if (link === undefined) return;
    link.blackhole();
    client.say(600_000);
    client.say(10);
  }

  async #restartClient(): Promise<void> {
    const { rng } = this.#world;
    const client = rng.pick([...this.clients.values()]);
    if (client.client.state === "closed" || client.client.state === "draining") return;
    const how = rng.int(4);
    if (how > 0 && rng.int(4) === 0) this.#blockWrites(client);
    const closing = how > 0 ? client.close(rng.int(1_500)) : undefined;
    if (how === 1) await this.#world.sleep(rng.int(1_000));
    if (how < 2) client.abort();
    await closing;
    if (rng.int(2) === 0 && !this.#world.healed) await this.#world.sleep(rng.int(2_000));
    this.clients.set(client.id, new ClientActor(this.#world, client.id));
  }
}
