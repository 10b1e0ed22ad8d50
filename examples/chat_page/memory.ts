/**
 * What has been said in the rooms of the chat, as far as its server remembers. Nothing of it outlives the server.
 */
import type { Line } from "./contract.ts";

/** Lines that a room keeps, for those who come later or were away. */
const KEPT_LINES = 100;
/** Rooms whose lines are kept; the one in which nothing was said for longest goes first. */
const KEPT_ROOMS = 100;

/** The last lines of each room. */
export class Memory {
  readonly #rooms = new Map<string, Line[]>();

  /** The last lines of a room. */
  of(room: string): readonly Line[] {
    return this.#rooms.get(room) ?? [];
  }

  /** Keeps a line; `false`: it is there already. */
  add(line: Line): boolean {
    const lines = this.#rooms.get(line.room) ?? [];
    if (lines.some(({ id, from }) => id === line.id && from === line.from)) return false;
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    this.#rooms.delete(line.room); // and in again, as the newest
    this.#rooms.set(line.room, lines);
    for (const [oldest] of this.#rooms) {
      if (this.#rooms.size <= KEPT_ROOMS) break;
      this.#rooms.delete(oldest);
    }
    return true;
  }
}
