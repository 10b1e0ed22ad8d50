/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What was said in one room, as it is shown: what waits comes after what is said.
 */
import type { Line } from "./contract.ts";
import { face, hueOf, make } from "./dom.ts";

/** Lines that are shown; older ones go. */
const SHOWN = 500;
/** Lines of one person that follow within so many ms belong together. */
const TOGETHER = 180_000;
/** So far from the end, in px, one still reads the end. */
const NEAR = 80;

const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/** The lines of a room. */
export class RoomLog {
  /** It scrolls, and its lines are read out as they come. */
  readonly element: HTMLElement;
  /** Lines that came while nobody looked. */
  unread = 0;
  readonly #me: string;
  readonly #list = make("ol", "lines");
  readonly #items = new Map<string, { readonly line: Line; readonly item: HTMLLIElement }>();
  readonly #waiting = new Set<HTMLLIElement>();
  #atEnd = true;

  constructor(room: string, me: string) {
    this.#me = me;
    const empty = make("p", "empty", `Nothing has been said in #${room} yet.`);
    this.element = make("div", "log", empty, this.#list);
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-label", `Messages in ${room}`);
    this.element.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    }, { passive: true });
    // Who reads the end goes on to read it when a keyboard or a notice takes some of the place.
    new ResizeObserver(() => this.#atEnd && this.toEnd()).observe(this.element);
  }

  /** Whether the newest line is in sight, or would be if this room were shown. */
  get atEnd(): boolean {
    return this.#atEnd;
  }

  toEnd(): void {
    this.#atEnd = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** Shows a line; `false`: it is shown already. */
  add(line: Line, waits: boolean): boolean {
    const key = keyOf(line);
    if (this.#items.has(key)) return false;
    const item = this.#make(line, waits);
    this.#items.set(key, { line, item });
    if (waits) this.#waiting.add(item);
    this.#list.insertBefore(item, waits ? null : this.#firstWaiting());
    this.#arrange(item);
    const [oldest] = this.#items;
    if (this.#items.size > SHOWN && oldest !== undefined) {
      oldest[1].item.remove();
      this.#items.delete(oldest[0]);
    }
    return true;
  }

  /** A line that waited is where it should be. */
  delivered(line: Line): void {
    const item = this.#items.get(keyOf(line))?.item;
    if (item === undefined || !this.#waiting.delete(item)) return;
    item.classList.remove("waits");
    item.querySelector(".fate")?.replaceWith(fate(false));
    const next = this.#firstWaiting();
    if (item.nextElementSibling === next) return;
    this.#list.insertBefore(item, next);
    this.#arrange(item);
  }

  #firstWaiting(): HTMLLIElement | null {
    const [first] = this.#waiting;
    return first ?? null;
  }

  #make(line: Line, waits: boolean): HTMLLIElement {
    const own = line.from === this.#me;
    const when = new Date(line.at);
    const time = make("time", "", hours.format(when));
    time.dateTime = when.toISOString();
    time.title = days.format(when);
    const text = make("p", "text", line.text);
    const below = make("p", "below", time);
    const bubble = make("div", "bubble", make("div", "body", text, below));
    const item = make("li", own ? "own" : "", bubble);
    item.dataset["from"] = line.from;
    item.dataset["at"] = `${line.at}`;
    if (own) below.append(fate(waits));
    else {
      const name = make("p", "name", line.from);
      name.style.setProperty("--hue", `${hueOf(line.from)}`);
      bubble.prepend(name);
      item.prepend(face(line.from));
    }
    if (waits) item.classList.add("waits");
    return item;
  }

  /** Says of a line, and of the one after it, whether it goes on with what the one before has begun. */
  #arrange(item: Element): void {
    for (const one of [item, item.nextElementSibling]) {
      if (!(one instanceof HTMLElement)) continue;
      const before = one.previousElementSibling;
      const together = before instanceof HTMLElement &&
        before.dataset["from"] === one.dataset["from"] &&
        Number(one.dataset["at"]) - Number(before.dataset["at"]) < TOGETHER;
      one.classList.toggle("follows", together);
    }
  }
}

function fate(waits: boolean): HTMLElement {
  const icon = make("span", "icon", waits ? "◷" : "✓");
  icon.setAttribute("aria-hidden", "true");
  return make("span", "fate", icon, waits ? " waiting" : make("span", "unseen", " sent"));
}

function keyOf({ from, id }: Line): string {
  return `${id} ${from}`;
}
