/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The rooms that there are, as buttons. A button stays the same element for as long as its room is listed,
 * so that whoever has come to it by keyboard is not thrown out by news.
 */
import { make } from "./dom.ts";

/** What is shown of a room. */
export interface ShownRoom {
  readonly room: string;
  /** How many are in it; `undefined`: that is not known. */
  readonly count: number | undefined;
  readonly unread: number;
  /** Whether we are in it. */
  readonly inside: boolean;
  /** Whether it is the one that is shown. */
  readonly current: boolean;
}

/** The list. */
export class RoomList {
  readonly #element: HTMLElement;
  readonly #chosen: (room: string) => void;
  readonly #buttons = new Map<string, HTMLButtonElement>();

  constructor(element: HTMLElement, chosen: (room: string) => void) {
    this.#element = element;
    this.#chosen = chosen;
    element.replaceChildren();
  }

  show(rooms: readonly ShownRoom[]): void {
    const listed = new Set(rooms.map(({ room }) => room));
    for (const [room, button] of this.#buttons) {
      if (listed.has(room)) continue;
      button.parentElement?.remove();
      this.#buttons.delete(room);
    }
    for (const room of rooms) this.#fill(this.#buttonOf(room.room), room);
  }

  #buttonOf(room: string): HTMLButtonElement {
    const known = this.#buttons.get(room);
    if (known !== undefined) return known;
    const button = make("button", "");
    button.type = "button";
    button.addEventListener("click", () => this.#chosen(room));
    this.#buttons.set(room, button);
    this.#element.append(make("li", "", button));
    return button;
  }

  #fill(button: HTMLButtonElement, { room, count, unread, inside, current }: ShownRoom): void {
    button.replaceChildren(make("span", "room-name", room));
    if (unread > 0) button.append(number("badge", unread, " unread"));
    else if (count !== undefined) button.append(number("count", count, " here"));
    button.classList.toggle("inside", inside);
    if (current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function number(className: string, value: number, of: string): HTMLElement {
  return make("span", className, `${value}`, make("span", "unseen", of));
}
