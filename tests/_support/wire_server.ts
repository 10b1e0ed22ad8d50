/**
 * A server that speaks vnet/1 by hand, in a simulated world: each connection that a client opens is a
 * `WireClient` on the server's side.
 */
import { Simulation, type SimulationOptions } from "@vgo/vnet/testing";
import type { Transport, TransportListener } from "@vgo/vnet/testing";
import { Addr } from "../../src/base/addr.ts";
import { WireClient } from "./wire_client.ts";

/** The server and its world. */
export class WireServer implements AsyncDisposable {
  readonly sim: Simulation;
  readonly addr: Addr = Addr.parse("tcp://server:9966");
  /** Every connection so far. */
  readonly peers: WireClient[] = [];
  readonly #listener: TransportListener;
  readonly #accepted: AsyncIterator<Transport>;

  private constructor(sim: Simulation, listener: TransportListener) {
    this.sim = sim;
    this.#listener = listener;
    this.#accepted = listener[Symbol.asyncIterator]();
  }

  /** Listens in a new world. */
  static async start(options: SimulationOptions = {}): Promise<WireServer> {
    const sim = new Simulation(options);
    return new WireServer(sim, await sim.listen(Addr.parse("tcp://0.0.0.0:9966")));
  }

  /** The next connection. */
  async accept(): Promise<WireClient> {
    const result = await this.#accepted.next();
    if (result.done || !("read" in result.value)) {
      throw new Error("Cannot accept as the listener must be open: current state is closed");
    }
    const peer = new WireClient(result.value, "server");
    this.peers.push(peer);
    return peer;
  }

  /** Ends the connections that are left, and the world. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.peers) peer.close();
    await this.sim[Symbol.asyncDispose]();
  }
}
