/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The looks of the chat: shows what `chat.ts` tells, and tells it what is typed and pressed.
 */
import { Chat, type Connection, type View } from "./chat.ts";
import { isName, isRoom, type Line, MAX_TEXT, type RoomInfo } from "./contract.ts";
import { byId, face, make, paintFace } from "./dom.ts";
import { RoomLog } from "./log.ts";
import { RoomList } from "./room_list.ts";

const ADDRESS = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/chat`;
const HOME = "lobby";

const door = byId("door", HTMLElement);
const nameField = byId("name", HTMLInputElement);
const page = byId("chat", HTMLElement);
const logs = byId("logs", HTMLElement);
const composer = byId("composer", HTMLFormElement);
const textField = byId("text", HTMLTextAreaElement);
const newest = byId("newest", HTMLButtonElement);
const dialog = byId("room-dialog", HTMLDialogElement);
const roomField = byId("room-name", HTMLInputElement);
/** A finger types on a keyboard that hides half of the page. */
const touch = matchMedia("(pointer: coarse)");
const lists = new Intl.ListFormat("en");

class Page implements View {
  readonly #chat: Chat;
  readonly #logs = new Map<string, RoomLog>();
  readonly #list = new RoomList(byId("rooms", HTMLElement), (room) => this.show(room));
  readonly #people = new Map<string, readonly string[]>();
  #listed: readonly RoomInfo[] = [];
  #room = "";
  #connection: Connection = { is: "connecting" };
  #everOpen = false;
  #clock: ReturnType<typeof setInterval> | undefined;
  readonly #stop = new AbortController();

  constructor(name: string) {
    const asked = roomOfUrl();
    const rooms = new Set([HOME, asked]);
    paintFace(byId("my-face", HTMLElement), name);
    byId("my-name", HTMLElement).textContent = name;
    logs.replaceChildren();
    this.#chat = new Chat(ADDRESS, name, rooms, this);
    for (const room of rooms) this.#logOf(room);
    this.show(asked);
    this.#listen();
    this.#showConnection();
  }

  // ── what the chat tells ──

  connection(now: Connection): void {
    this.#connection = now;
    if (now.is === "open" && !this.#everOpen) {
      this.#everOpen = true;
      door.hidden = true;
      page.hidden = false;
      if (!touch.matches) textField.focus();
      this.#log.toEnd();
    }
    this.#showConnection();
  }

  refused(why: string): void {
    this.end();
    this.#doorSays(why === "" ? "That did not work." : `${why}.`);
    nameField.focus();
  }

  line(line: Line, waits: boolean): void {
    const log = this.#logs.get(line.room);
    // What comes from a room that we have just left is not for us any more.
    if (log === undefined) return;
    const follow = log.atEnd;
    if (!log.add(line, waits)) return;
    const seen = follow && line.room === this.#room && !document.hidden;
    if (line.from !== this.#chat.name && !seen) log.unread++;
    if (waits || follow) log.toEnd();
    this.#showUnread();
  }

  delivered(line: Line): void {
    this.#logs.get(line.room)?.delivered(line);
  }

  people(room: string, people: readonly string[]): void {
    this.#people.set(room, people);
    this.#showPeople();
  }

  rooms(rooms: readonly RoomInfo[]): void {
    this.#listed = rooms;
    this.#showRooms();
  }

  // ── what is done ──

  show(room: string): void {
    if (!this.#logs.has(room)) {
      this.#logOf(room);
      this.#chat.enter(room);
    }
    this.#room = room;
    for (const [name, { element }] of this.#logs) element.hidden = name !== room;
    byId("title", HTMLElement).textContent = room;
    byId("leave", HTMLElement).hidden = room === HOME;
    textField.placeholder = `Say something in #${room}`;
    if (roomOfUrl() !== room) history.replaceState(null, "", `#${encodeURIComponent(room)}`);
    this.#log.toEnd();
    this.#looked();
    this.#showPeople();
  }

  /** Back to the door. */
  end(): void {
    this.#chat.close();
    this.#stop.abort();
    clearInterval(this.#clock);
    document.title = "vnet chat";
    page.hidden = true;
    door.hidden = false;
    byId("enter", HTMLFormElement).removeAttribute("aria-busy");
  }

  #listen(): void {
    const { signal } = this.#stop;
    const on = (target: EventTarget, name: string, run: (event: Event) => void) =>
      target.addEventListener(name, run, { signal });
    on(composer, "submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    on(textField, "keydown", (event) => {
      // While a word is being composed, Enter chooses among its spellings.
      if (!(event instanceof KeyboardEvent) || event.isComposing) return;
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      this.#say();
    });
    on(textField, "input", fitText);
    on(newest, "click", () => {
      this.#log.toEnd();
      this.#looked();
    });
    on(byId("retry", HTMLButtonElement), "click", () => this.#chat.retry());
    on(byId("leave", HTMLButtonElement), "click", () => this.#leave());
    on(byId("sign-out", HTMLButtonElement), "click", () => this.#signOut());
    on(byId("new-room", HTMLButtonElement), "click", () => {
      roomField.value = "";
      dialog.showModal();
    });
    on(byId("room-cancel", HTMLButtonElement), "click", () => dialog.close());
    on(byId("room-form", HTMLFormElement), "submit", () => {
      this.show(roomField.value);
      if (!touch.matches) textField.focus();
    });
    on(
      roomField,
      "input",
      () => roomField.value = roomField.value.toLowerCase().replace(/\s/g, "-"),
    );
    on(globalThis, "hashchange", () => this.show(roomOfUrl()));
    on(globalThis, "beforeunload", (event) => {
      if (this.#chat.waiting > 0) event.preventDefault();
    });
    on(globalThis, "online", () => this.#showConnection());
    on(globalThis, "offline", () => this.#showConnection());
    on(document, "visibilitychange", () => this.#looked());
    if (globalThis.visualViewport) on(globalThis.visualViewport, "resize", () => this.#fitScreen());
  }

  #say(): void {
    const text = textField.value.trim();
    if (text === "") return;
    this.#chat.say(this.#room, text);
    textField.value = "";
    fitText();
    textField.focus();
  }

  #leave(): void {
    const room = this.#room;
    this.#logs.get(room)?.element.remove();
    this.#logs.delete(room);
    this.#people.delete(room);
    this.#chat.leave(room);
    this.show(HOME);
    this.#showRooms();
  }

  #signOut(): void {
    const { waiting } = this.#chat;
    if (waiting > 0 && !confirm(`Sign out without sending what waits (${waiting})?`)) return;
    sessionStorage.removeItem("name");
    this.end();
    nameField.focus();
  }

  // ── what is shown ──

  #doorSays(what: string): void {
    byId("refusal", HTMLElement).textContent = what;
  }

  get #log(): RoomLog {
    return this.#logOf(this.#room);
  }

  #logOf(room: string): RoomLog {
    const known = this.#logs.get(room);
    if (known !== undefined) return known;
    const log = new RoomLog(room, this.#chat.name);
    log.element.hidden = room !== this.#room;
    log.element.addEventListener("scroll", () => {
      if (log.atEnd) this.#looked();
    }, { passive: true });
    this.#logs.set(room, log);
    logs.append(log.element);
    this.#showRooms();
    return log;
  }

  /** Somebody reads the end of the room that is shown. */
  #looked(): void {
    if (document.hidden || !this.#log.atEnd) return;
    this.#log.unread = 0;
    this.#showUnread();
  }

  /** A keyboard on the screen takes its place from the page, where the browser does not see to it. */
  #fitScreen(): void {
    const { height = innerHeight, scale = 1 } = globalThis.visualViewport ?? {};
    // Whoever looks at it through a magnifying glass sees less of it, but it is as high as before.
    page.style.setProperty("--screen", `${height * scale}px`);
    scrollTo(0, 0);
  }

  #showRooms(): void {
    const known = this.#connection.is === "open" ? this.#listed : [];
    const counts = new Map(known.map(({ room, count }) => [room, count]));
    const rooms = new Set([...this.#logs.keys(), ...this.#listed.map(({ room }) => room)]);
    this.#list.show(Array.from(rooms, (room) => ({
      room,
      count: counts.get(room),
      unread: this.#logs.get(room)?.unread ?? 0,
      inside: this.#logs.has(room),
      current: room === this.#room,
    })));
  }

  #showPeople(): void {
    const people = this.#people.get(this.#room) ?? [this.#chat.name];
    const others = people.filter((name) => name !== this.#chat.name);
    const sure = this.#connection.is === "open";
    byId("people-title", HTMLElement).textContent = sure ? "In this room" : "Were in this room";
    const some = others.length > 4 ? [...others.slice(0, 3), `${others.length - 3} more`] : others;
    byId("who", HTMLElement).textContent = others.length === 0
      ? "Nobody else is here"
      : sure
      ? lists.format([...some, "you"])
      : `${lists.format(some)} ${others.length === 1 ? "was" : "were"} here`;
    const items = [...others, this.#chat.name].map((name) =>
      make("li", "", face(name), name === this.#chat.name ? `${name} (you)` : name)
    );
    byId("people", HTMLUListElement).replaceChildren(...items);
  }

  #showUnread(): void {
    const all = [...this.#logs.values()].reduce((sum, { unread }) => sum + unread, 0);
    document.title = `${all > 0 ? `(${all}) ` : ""}#${this.#room} · vnet chat`;
    newest.hidden = this.#log.unread === 0;
    this.#showRooms();
  }

  #showConnection(): void {
    this.#showRooms();
    this.#showPeople();
    clearInterval(this.#clock);
    this.#clock = undefined;
    const now = this.#connection;
    const status = byId("status", HTMLElement);
    const offline = now.is !== "open" && !navigator.onLine;
    status.dataset["is"] = offline ? "waiting" : now.is;
    page.dataset["is"] = now.is;
    byId("notice", HTMLElement).hidden = now.is === "open";
    if (!this.#everOpen && now.is === "waiting") this.#doorSays(`${now.why}. We keep trying.`);
    byId("retry", HTMLElement).hidden = now.is !== "waiting" || offline;
    const [short, what] = offline
      ? ["Offline", "There is no network."]
      : now.is === "waiting"
      ? ["Not connected", `${now.why}.`]
      : now.is === "open"
      ? ["Connected", ""]
      : ["Connecting…", "Connecting…"];
    byId("status-text", HTMLElement).textContent = short;
    byId("notice-what", HTMLElement).textContent = what;
    const more = byId("notice-more", HTMLElement);
    more.textContent = `What you write is sent when there is ${offline ? "one" : "a connection"}.`;
    if (now.is === "waiting" && !offline) {
      const tick = () => {
        const left = Math.max(0, Math.ceil((now.until - performance.now()) / 1_000));
        more.textContent = `Next try in ${left} s. What you write is sent then.`;
      };
      tick();
      this.#clock = setInterval(tick, 250);
    }
    // The seconds are not read out, only what has changed.
    const announcement = byId("announcement", HTMLElement);
    const said = now.is === "connecting" ? announcement.textContent : offline ? what : short;
    if (announcement.textContent !== said) announcement.textContent = said;
  }
}

/** The field is as high as its text, up to what the style sheet allows. */
function fitText(): void {
  const { style } = textField;
  style.height = "auto";
  const border = textField.offsetHeight - textField.clientHeight;
  style.height = `${textField.scrollHeight + border}px`;
  style.overflowY = textField.scrollHeight > textField.clientHeight ? "auto" : "hidden";
}

/** A room can be linked to. */
function roomOfUrl(): string {
  const room = new URLSearchParams(`room=${location.hash.slice(1)}`).get("room");
  return isRoom(room) ? room : HOME;
}

let current: Page | undefined;

function enter(name: string): void {
  current?.end();
  byId("refusal", HTMLElement).textContent = "";
  byId("enter", HTMLFormElement).setAttribute("aria-busy", "true");
  // Of this window: another one may belong to somebody else.
  sessionStorage.setItem("name", name);
  current = new Page(name);
}

textField.maxLength = MAX_TEXT;

byId("enter", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const name = nameField.value.trim();
  if (isName(name)) return enter(name);
  byId("refusal", HTMLElement).textContent = "Letters and digits, please, and not too many.";
});
const name = sessionStorage.getItem("name") ?? "";
nameField.value = name;
if (isName(name)) enter(name);
else nameField.focus();
