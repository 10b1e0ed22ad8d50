/**
 * One message for many: encoded once, waiting for nobody unless it is told to; or for all of one id.
 */
import type { Bytes, Clock } from "../base/types.ts";
import { ClosedError, TimeoutError } from "../base/errors.ts";
import { startWait } from "../base/wait.ts";
import type { PeerCore } from "../peer/core.ts";
import type { SessionSettings } from "../peer/options.ts";
import type { SendOptions } from "../peer/owner.ts";
import type { AnyPeer } from "../peer/peer.ts";
import { Cast } from "../session/cast.ts";

/** Options of `broadcast`. */
export interface BroadcastOptions extends SendOptions {
  /** Only who is in this group, or in one of these. @default {everybody} */
  readonly group?: string | readonly string[];
  /** Who does not get it. */
  readonly except?: AnyPeer | Iterable<AnyPeer>;
}

/** What became of a broadcast. */
export interface BroadcastResult<P = AnyPeer> {
  /** To so many it is on its way. */
  readonly sent: number;
  /** For so many it waits behind other messages. */
  readonly queued: number;
  /** So many did not get it: their queue was full, or they were leaving. */
  readonly skipped: number;
  /** With `ack`: who has it. */
  readonly acked: readonly P[];
  /** With `ack`: who has not said so in time. */
  readonly missing: readonly P[];
}

/** What a broadcast needs of its server. */
export interface BroadcastContext {
  readonly clock: Clock;
  readonly settings: SessionSettings;
}

/**
 * Hands a body to each of the receivers.
 *
 * Rejects with `signal.reason`, and with a LimitError for a body that is too large for every peer; what
 * peers do not take is told by the result.
 */
export async function broadcast<P>(
  receivers: Iterable<readonly [peer: P, core: PeerCore]>,
  payload: Uint8Array,
  options: BroadcastOptions,
  { clock, settings }: BroadcastContext,
): Promise<BroadcastResult<P>> {
  const { ack = false, signal, timeout = settings.callTimeout } = options;
  signal?.throwIfAborted();
  // Who is slow must not decide what the others get.
  const how: BroadcastOptions = { overflow: "drop-newest", ...options };
  const cast = castOf(payload, how, settings);
  const now = clock.now();
  const result = { sent: 0, queued: 0, skipped: 0 };
  const acks = new AckRound<P>();
  const block = new Block();
  try {
    for (const [peer, core] of receivers) {
      const frame = cast && core.cast(cast, now);
      if (frame !== undefined) {
        block.add(core, frame);
        result.sent++;
        continue;
      }
      const receipt = ack ? acks.expect(peer) : undefined;
      const open = core.state === "open";
      const outcome = open ? core.queue.trySendBytes(payload, how, receipt) : "full";
      if (outcome === "full") {
        result.skipped++;
        receipt?.failed();
      } else {
        result[outcome]++;
      }
    }
  } finally {
    block.write();
  }
  if (ack) await acks.wait(clock, signal === undefined ? { timeout } : { timeout, signal });
  return { ...result, ...acks.result() };
}

/** What goes at once to those for whom nothing waits; `undefined`: it goes through every queue. */
function castOf(
  payload: Uint8Array,
  { topic = "", ack, key }: BroadcastOptions,
  { limits, queue }: SessionSettings,
): Cast | undefined {
  if (ack || key !== undefined || payload.length > Cast.MAX_LENGTH) return undefined;
  // To break a limit, or to be so much that senders are to wait, is a matter of the queue.
  if (payload.length > limits.maxMessageLength) return undefined;
  const cast = new Cast(topic, payload);
  return cast.size < queue.highWaterMark ? cast : undefined;
}

/**
 * Frames that are ready to be written. Receivers are looked at several at a time, and then written to: the
 * processor fetches the memory of several at once then, and each write drives much of it from the caches.
 */
class Block {
  static readonly SIZE = 32;
  readonly #cores: PeerCore[] = [];
  readonly #frames: Bytes[] = [];

  add(core: PeerCore, frame: Bytes): void {
    this.#cores.push(core);
    if (this.#frames.push(frame) === Block.SIZE) this.write();
  }

  write(): void {
    for (const [i, core] of this.#cores.entries()) {
      const frame = this.#frames[i];
      if (frame !== undefined) core.write(frame);
    }
    this.#cores.length = this.#frames.length = 0;
  }
}

/** Sends a body to all who have an id, at once; tells whether any of them took it. */
export async function push(
  owners: readonly (PeerCore | undefined)[],
  payload: Uint8Array,
  options: SendOptions,
): Promise<boolean> {
  const here = owners.filter((core) => core !== undefined);
  let took = false;
  let failure: unknown;
  const sends = here.map((core) => core.queue.sendBytes(payload, options));
  for (const outcome of await Promise.allSettled(sends)) {
    if (outcome.status === "fulfilled") took = true;
    // It left meanwhile, as peers do.
    else if (!(outcome.reason instanceof ClosedError)) failure ??= outcome.reason;
  }
  if (!took && failure !== undefined) throw failure;
  return took;
}

/** Who has said that it has the message, and who has not yet. */
class AckRound<P> {
  readonly #acked: P[] = [];
  readonly #failed: P[] = [];
  readonly #waiting = new Set<P>();
  #settled: (() => void) | undefined;

  /** One more is to say so. */
  expect(peer: P): { readonly over: boolean; accepted(): void; failed(): void } {
    const waiting = this.#waiting;
    waiting.add(peer);
    const settle = (list: P[]) => {
      if (!waiting.delete(peer)) return;
      list.push(peer);
      if (waiting.size === 0) this.#settled?.();
    };
    return {
      get over() {
        return !waiting.has(peer);
      },
      accepted: () => settle(this.#acked),
      failed: () => settle(this.#failed),
    };
  }

  /** Until all have, or time is up. */
  async wait(
    clock: Clock,
    options: { readonly timeout: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    if (this.#waiting.size === 0) return;
    const wait = startWait<void>(clock, options, "wait for acknowledgements");
    this.#settled = () => wait.resolve();
    try {
      await wait.promise;
    } catch (error) {
      // Who is missing is told by the result.
      if (error instanceof TimeoutError) return;
      this.#waiting.clear();
      throw error;
    }
  }

  result(): { acked: readonly P[]; missing: readonly P[] } {
    const missing = [...this.#failed, ...this.#waiting];
    this.#waiting.clear();
    return { acked: this.#acked, missing };
  }
}
