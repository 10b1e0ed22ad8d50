/**
 * What is logged of one peer: changes of its state, and never a message.
 */
import type { LimitName } from "../base/errors.ts";
import { escaped } from "./hooks.ts";
import type { LogSummary } from "./log_summary.ts";

/** Who is spoken of. */
export interface PeerName {
  readonly side: "client" | "server";
  readonly id: string;
  readonly remoteAddr: { toString(): string };
}

/** The log of one peer. */
export class PeerLog {
  readonly #log: LogSummary;
  readonly #peer: PeerName;
  #unread = false;

  constructor(log: LogSummary, peer: PeerName) {
    this.#log = log;
    this.#peer = peer;
  }

  /** It sends messages that nobody takes: said once. */
  unread(): void {
    if (this.#unread) return;
    this.#unread = true;
    this.#log.warn(
      "unread",
      `${this.#name()} sends messages that nobody reads: give 'onMessage' or iterate 'messages'`,
    );
  }

  /** It takes messages too slowly: `waiting` bytes wait, and there is no room for more. */
  slow(waiting: number): void {
    this.#log.warn("slow", `${this.#name()} is too slow: ${waiting} bytes wait to be sent`);
  }

  /** It takes messages again; so many were dropped meanwhile. */
  caughtUp(dropped: number): void {
    this.#log.info("caught up", `${this.#name()} has caught up. Messages dropped: ${dropped}`);
  }

  /** A client is to end once so much is finished; a server says it once for all of its clients. */
  closing(calls: number, messages: number): void {
    if (this.#peer.side === "server") return;
    this.#log.state(`Closing. Calls to finish: ${calls}; messages to send: ${messages}`);
  }

  /** It has met a limit. */
  limit(limit: LimitName, value: number): void {
    this.#log.warn(`limit ${limit}`, `${this.#name()} has met the limit '${limit}' (${value})`);
  }

  #name(): string {
    const { side, id, remoteAddr } = this.#peer;
    // The id is the client's on both ends.
    if (side === "client") return `The server at ${remoteAddr}`;
    return `${id === "" ? "A client" : escaped(id)} at ${remoteAddr}`;
  }
}
