/**
 * The page's half of the chat, without its looks: the connection, the rooms, and what waits to be sent.
 *
 * 1. A line leaves the outbox only when the server has said that it has it. Where that will not be known, as
 *    the connection broke in between, it is sent again under the same id.
 * 2. Lines are sent one after the other, so that one that is sent again is not overtaken.
 * 3. What is said in a room while we enter it is shown after what was said there before.
 */
import {
  Client,
  type ClientEvent,
  type ClientPeer,
  ClosedError,
  TimeoutError,
  type VnetError,
} from "@vgo/vnet/browser";
import { chat, type Line, type RoomInfo } from "./contract.ts";

/** How it stands with the connection. */
export type Connection =
  | { readonly is: "connecting" | "open" }
  | {
    readonly is: "waiting";
    /** When the next try is made, as `performance.now()` counts. */
    readonly until: number;
    readonly why: string;
  };

/** Whoever shows the chat is told this. */
export interface View {
  connection(now: Connection): void;
  /** It is over: we could not come in, or may not stay. */
  refused(why: string): void;
  /** Somebody has said something; or we have, and it `waits`. */
  line(line: Line, waits: boolean): void;
  /** The server has a line of ours. */
  delivered(line: Line): void;
  people(room: string, people: readonly string[]): void;
  rooms(rooms: readonly RoomInfo[]): void;
}

/** How long the server may take to say that it has a line, in ms. */
const ACK_TIMEOUT = 10_000;

/** One person in the chat. */
export class Chat {
  readonly name: string;
  readonly #view: View;
  readonly #client: ClientPeer<typeof chat>;
  readonly #rooms: Set<string>;
  readonly #outbox: Line[] = [];
  /** The rooms that we are entering, and what was said there meanwhile. */
  readonly #entering = new Map<string, Line[]>();
  /** Whether the server knows in which rooms we are. */
  #inside = false;
  #everInside = false;
  #delivering = false;

  constructor(address: string, name: string, rooms: Iterable<string>, view: View) {
    this.name = name;
    this.#view = view;
    this.#rooms = new Set(rooms);
    this.#client = new Client(address, {
      contract: chat,
      id: name,
      onEvent: (event) => this.#happened(event),
      onConnect: () => this.#begin(),
      onMessage: (message) => {
        if (message.topic === "said") this.#said(message.body);
        else if (message.topic === "people") view.people(message.body.room, message.body.people);
        else view.rooms(message.body.rooms);
      },
    });
  }

  /** How many lines the server has not got, as far as we know. */
  get waiting(): number {
    return this.#outbox.length;
  }

  /** Says something, now or as soon as it can be said. */
  say(room: string, text: string): void {
    const line: Line = { id: freshId(), room, text, from: this.name, at: Date.now() };
    this.#outbox.push(line);
    this.#view.line(line, true);
    this.#deliver();
  }

  enter(room: string): void {
    this.#rooms.add(room);
    if (this.#inside) this.#join(room).catch(() => {}); // the next connection sees to it
  }

  leave(room: string): void {
    this.#rooms.delete(room);
    if (this.#inside) this.#client.call("leave", { room }).catch(() => {});
  }

  /** Does not wait any longer before the next try. */
  retry(): void {
    this.#client.reconnect();
  }

  close(): void {
    this.#inside = false;
    this.#client.close();
  }

  /** Every connection begins like this: the server may be another one than before. */
  async #begin(): Promise<void> {
    try {
      await Promise.all(Array.from(this.#rooms, (room) => this.#join(room)));
    } catch {
      return; // the connection broke again
    }
    this.#inside = true;
    this.#everInside = true;
    this.#view.connection({ is: "open" });
    this.#deliver();
  }

  #said(line: Line): void {
    const held = this.#entering.get(line.room);
    if (held === undefined) this.#view.line(line, false);
    else held.push(line);
  }

  async #join(room: string): Promise<void> {
    const held: Line[] = [];
    this.#entering.set(room, held);
    try {
      const { people, lines } = await this.#client.call("join", { room });
      this.#view.people(room, people);
      this.#show(lines);
      this.#show(held);
    } finally {
      if (this.#entering.get(room) === held) this.#entering.delete(room);
    }
  }

  #show(lines: readonly Line[]): void {
    for (const line of lines) {
      const at = this.#outbox.findIndex(({ id }) => line.from === this.name && line.id === id);
      // It had arrived after all.
      if (at >= 0) this.#outbox.splice(at, 1).forEach((own) => this.#view.delivered(own));
      else this.#view.line(line, false);
    }
  }

  async #deliver(): Promise<void> {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      while (this.#inside && await this.#deliverOne());
    } finally {
      this.#delivering = false;
    }
  }

  /** Resolves with whether there was a line to be sent. */
  async #deliverOne(): Promise<boolean> {
    const line = this.#outbox[0];
    if (line === undefined) return false;
    const { id, room, text } = line;
    try {
      await this.#client.send({ id, room, text }, {
        topic: "say",
        ack: true,
        timeout: ACK_TIMEOUT,
      });
    } catch (error) {
      // Whether it has arrived is not known: once more, over this connection or the next.
      if (error instanceof TimeoutError || error instanceof ClosedError) return true;
      throw error;
    }
    if (this.#outbox[0] === line) this.#outbox.shift();
    this.#view.delivered(line);
    return true;
  }

  #happened(event: ClientEvent): void {
    switch (event.type) {
      case "dial":
        return this.#view.connection({ is: "connecting" });
      case "disconnect":
        this.#inside = false;
        return this.#view.connection({ is: "connecting" });
      case "wait": {
        const why = inWords(event.error);
        // Whoever has the name has it: there is nothing to be waited for.
        if (event.error.code === "CLIENT_ID_IN_USE" && !this.#everInside) {
          this.#client.abort();
          return this.#view.refused(why);
        }
        const until = performance.now() + event.delay;
        return this.#view.connection({ is: "waiting", until, why });
      }
      case "close":
        if (event.info.initiator === "remote") this.#view.refused(event.info.reason);
    }
  }
}

function inWords({ code }: VnetError): string {
  switch (code) {
    case "CLIENT_ID_IN_USE":
      return "Somebody is here under this name";
    case "TOO_MANY_CONNECTIONS":
      return "The chat is full";
    case "NORMAL":
    case "DRAINING":
    case "SERVER_RESTART":
      return "The server is being restarted";
    case "UNREACHABLE":
    case "TIMEOUT":
    case "HANDSHAKE_TIMEOUT":
      return "The server cannot be reached";
    default:
      return "The connection was lost";
  }
}

/** `crypto.randomUUID` is missing on pages that came by http:// from another machine. */
function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
