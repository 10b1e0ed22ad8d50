/**
 * A virtual connection: two ends, a lane each way, and the handle that makes it go wrong.
 *
 * Owns both directions together: what counts for the connection as a whole, and when it is over.
 *
 * 1. `near` is the end that dialled: up is from `near` to `far`.
 * 2. It is over when both ends were closed; from a reset or that moment on no timer is set.
 */
import type { Addr } from "../base/addr.ts";
import type { Clock } from "../base/types.ts";
import { type Faults, type Link, type ResolvedFaults, resolveFaults } from "./faults.ts";
import { Lane, type LaneHost, type PacketKind } from "./lane.ts";
import { Random } from "./random.ts";
import { VirtualSocket } from "./socket.ts";
import { connectionReset } from "./socket_errors.ts";

/** What happens to a link, for a trace. */
export type LinkEvent = "data" | "end" | "reset" | "cut" | "hold" | "degrade" | "over";

/** What a virtual link is made with. */
export interface VirtualLinkOptions {
  readonly clock: Clock;
  readonly seed: number;
  /** Tells apart the links of one seed. */
  readonly id?: number;
  readonly faults?: Faults;
  readonly nearAddr: Addr;
  readonly farAddr: Addr;
  /** Is told of each event; of `"data"` with the bytes as they arrive and whether they went up. */
  readonly observe?: (event: LinkEvent, up: boolean, data?: Uint8Array) => void;
}

/** The connection. */
export class VirtualLink implements Link {
  readonly near: VirtualSocket;
  readonly far: VirtualSocket;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #observe: VirtualLinkOptions["observe"];
  #faults: ResolvedFaults;
  #carried = 0;

  constructor(options: VirtualLinkOptions) {
    const { clock, seed, id = 0, faults = {}, nearAddr, farAddr, observe } = options;
    this.#faults = resolveFaults(faults);
    this.#observe = observe;
    const currentFaults = () => this.#faults;
    const host: LaneHost = {
      clock,
      get faults() {
        return currentFaults();
      },
      arrive: (lane, kind, data) => this.#arrive(lane === this.#up, kind, data),
      roomy: (lane) => (lane === this.#up ? this.near : this.far).resume(),
    };
    this.#up = new Lane(host, new Random(seed, 2 * id + 1));
    this.#down = new Lane(host, new Random(seed, 2 * id + 2));
    const onClose = () => this.#closed();
    const upwards = { out: this.#up, in: this.#down };
    const downwards = { out: this.#down, in: this.#up };
    this.near = new VirtualSocket({ local: nearAddr, remote: farAddr }, upwards, onClose);
    this.far = new VirtualSocket({ local: farAddr, remote: nearAddr }, downwards, onClose);
  }

  /** Address of the end that dialled. */
  get localAddr(): Addr {
    return this.near.localAddr;
  }

  /** Address that it dialled. */
  get remoteAddr(): Addr {
    return this.near.remoteAddr;
  }

  /** Whether nothing arrives in this direction. */
  holds(direction: "up" | "down"): boolean {
    return (direction === "up" ? this.#up : this.#down).held;
  }

  cut(how: "reset" | "close" = "reset"): void {
    this.#observe?.("cut", how === "reset");
    if (how === "reset") return this.fail(connectionReset());
    this.near.endWrites();
    this.far.endWrites();
  }

  blackhole(direction: "up" | "down" | "both" = "both"): void {
    this.#hold(direction !== "down", direction !== "up", true);
  }

  degrade(faults: Faults): void {
    this.#faults = resolveFaults(faults);
    this.#carried = 0;
    this.#observe?.("degrade", true);
    this.#up.reschedule();
    this.#down.reschedule();
  }

  heal(): void {
    this.degrade({});
    this.#hold(true, true, false);
  }

  /** Ends both directions at once with `error`. */
  fail(error: Error, keepUnread = false): void {
    this.#stop();
    this.near.fail(error, keepUnread);
    this.far.fail(error, keepUnread);
  }

  #hold(up: boolean, down: boolean, on: boolean): void {
    this.#observe?.("hold", on);
    if (up) this.#up.hold(on);
    if (down) this.#down.hold(on);
  }

  #arrive(up: boolean, kind: PacketKind, data: Uint8Array): void {
    const end = up ? this.far : this.near;
    if (kind === "data") return this.#carry(end, up, data);
    this.#observe?.(kind, up);
    if (kind === "end") end.receiveEnd();
    else end.receiveReset();
  }

  #carry(end: VirtualSocket, up: boolean, data: Uint8Array): void {
    const { cutAfter } = this.#faults;
    const left = cutAfter - this.#carried;
    const through = data.length <= left ? data : data.subarray(0, left);
    this.#carried += through.length;
    if (through.length > 0) {
      this.#observe?.("data", up, through);
      end.receive(through);
    }
    if (this.#carried < cutAfter) return;
    this.#observe?.("cut", true);
    this.fail(connectionReset(), true);
  }

  #closed(): void {
    if (!this.near.closed || !this.far.closed) return;
    this.#stop();
    this.#observe?.("over", true);
  }

  #stop(): void {
    this.#up.stop();
    this.#down.stop();
  }
}
