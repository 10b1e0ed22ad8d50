/**
 * One connection of a server, from its first byte to its last.
 *
 * Owns the way in: who asks, whether `register` lets it in, and what happens when its id is in use.
 *
 * 1. Nothing of the application runs for a client before it is registered, and nothing after it is
 *    gone.
 * 2. An id has never two owners at once, unless the server allows it: the check and the entry into the
 *    registry happen in one synchronous step.
 */
import type { Transport } from "../base/types.ts";
import { type CloseCode, ClosedError, ConnectError, LimitError } from "../base/errors.ts";
import type { CloseInfo, DrainInfo } from "../base/lifecycle.ts";
import type { TlsInfo } from "../base/tls.ts";
import { PeerCore } from "../peer/core.ts";
import type { CoreOwner, DropPolicy, MessageHandler } from "../peer/owner.ts";
import type { AnyHandler } from "../peer/call_options.ts";
import { escaped, printable } from "../peer/hooks.ts";
import type { LimitName } from "../peer/options.ts";
import type { SessionEnd } from "../session/events.ts";
import { clientIdProblem, type Hello } from "../wire/handshake.ts";
import type { Decision, Registration } from "./options.ts";
import type { Hub, HubPeer } from "./hub.ts";

/** How long the owner of an id has to show that it lives, in ms. */
const PROBE_TIMEOUT = 1_000;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One connection. */
export class Admission implements CoreOwner {
  readonly core: PeerCore;
  /** Who asks, as `instanceOf` puts it. */
  instance = "";
  /** Whether it has said who it is. */
  asked = false;
  readonly hub: Hub;
  /** The host that it comes from. */
  readonly host: string | undefined;
  readonly #refusal: CloseCode | undefined;
  /** How it went, for who waits for it. */
  #registered: PromiseWithResolvers<HubPeer> | undefined;
  /** Fires when the client leaves, for who looks at it. */
  #leaving: AbortController | undefined;
  /** How it has ended. */
  #end: CloseInfo | undefined;
  #peer: HubPeer | undefined;
  #groups: Set<string> | undefined;
  #tls: TlsInfo | undefined;

  /** `refusal`: why it is refused whatever it asks for. */
  constructor(hub: Hub, host: string | undefined, refusal: CloseCode | undefined) {
    this.hub = hub;
    this.host = host;
    this.#refusal = refusal;
    this.core = new PeerCore(hub.coreOptions, this, "");
  }

  /** Resolves once it has registered; rejects when that fails. To be asked for as soon as it has begun. */
  get registered(): Promise<HubPeer> {
    if (this.#registered === undefined) {
      this.#registered = Promise.withResolvers();
      if (this.#end !== undefined) this.#registered.reject(notRegistered(this.#end));
    }
    return this.#registered.promise;
  }

  /** Begins to listen to the client. */
  start(transport: Transport): void {
    this.#tls = transport.tls;
    this.core.run(transport);
  }

  // ── CoreOwner ──

  peer(): HubPeer {
    if (this.#peer === undefined) throw new TypeError("Cannot give peer as it has not registered");
    return this.#peer;
  }

  get onMessage(): MessageHandler | undefined {
    return this.hub.options.onMessage;
  }

  handler(method: string): AnyHandler | undefined {
    return this.hub.handlers.get(method);
  }

  helloReceived(hello: Hello): void {
    this.asked = true;
    this.#decide(hello).catch((error) => {
      this.report(error);
      this.#reject("INTERNAL", "The server failed to register the client");
    });
  }

  sessionOpened(): void {
    const { core } = this;
    const peer = this.#peer;
    if (peer === undefined) return;
    this.hub.opened(this);
    this.#registered?.resolve(peer);
    const { onConnect } = this.hub.options;
    if (onConnect === undefined) return;
    core.inbox.hook(() =>
      this.hub.hooks.call(
        () => onConnect(peer),
        () => core.end("INTERNAL", "'onConnect' failed"),
      )
    );
  }

  sessionEnded(end: SessionEnd, opened: boolean): void {
    const { code, reason, initiator, error } = end;
    const info: CloseInfo = { code, reason, initiator, ...(error === undefined ? {} : { error }) };
    const peer = this.#peer;
    this.#end = info;
    this.#leaving?.abort(hasLeft(info));
    if (opened && peer !== undefined) {
      const { onDisconnect } = this.hub.options;
      this.hub.left(this, peer, info);
      if (onDisconnect !== undefined) {
        this.core.inbox.hook(() => this.hub.hooks.call(() => onDisconnect(info, peer)));
      }
    } else {
      this.hub.refused(this, info);
    }
    this.core.finalize(info, "linger");
  }

  goawayReceived(): void {
    // A client that goes says so by closing; there is nothing to prepare for.
  }

  finalized(info: DrainInfo): void {
    this.#end ??= info;
    this.#registered?.reject(notRegistered(info));
  }

  gone(): void {
    this.hub.gone(this);
  }

  report(error: unknown): void {
    this.hub.report(error, this.#peer);
  }

  dropped(frames: number, bytes: number, policy: DropPolicy): void {
    if (this.#peer !== undefined) this.hub.dropped(this.#peer, frames, bytes, policy);
  }

  limitMet(limit: LimitName, value: number): void {
    this.hub.limitMet(limit, value, this.core.remoteAddr, this.#peer);
  }

  // ── groups ──

  /** Those that its peer is in; once it is gone: those it was in at last. */
  get groups(): ReadonlySet<string> {
    return this.#groups ??= new Set();
  }

  /** Puts its peer into a group; one that is gone joins nothing. @throws {LimitError} when it is in too many */
  join(group: string): void {
    const peer = this.#peer;
    if (peer === undefined || this.#end !== undefined) return;
    const groups = this.#groups ??= new Set();
    const { maxGroups } = this.hub.options.limits;
    if (groups.size < maxGroups || groups.has(group)) {
      return this.hub.groups.join(peer, groups, group);
    }
    this.core.limits.met("maxGroups", maxGroups);
    throw new LimitError(
      "TOO_MANY",
      "maxGroups",
      `Cannot join group as a client may be in at most ${maxGroups}: current value is ${groups.size}`,
      { initiator: "local" },
    );
  }

  /** Takes its peer out of a group. */
  leave(group: string): void {
    const peer = this.#peer;
    if (peer === undefined || this.#end !== undefined || this.#groups === undefined) return;
    this.hub.groups.leave(peer, this.#groups, group);
  }

  // ── the way in ──

  async #decide(hello: Hello): Promise<void> {
    if (this.#refusal !== undefined) {
      return this.#reject(this.#refusal, "The server has no room for another connection", 1_000);
    }
    const problem = clientIdProblem(hello.clientId);
    if (problem !== undefined) return this.#reject("CLIENT_ID_INVALID", problem);
    const asked = hello.clientId === "" ? this.hub.freshId() : hello.clientId;
    const { register } = this.hub.options;
    let decision: Decision<unknown> = true;
    if (register !== undefined) {
      const given = register(this.#registration(asked, hello));
      decision = given instanceof Promise ? await given : given;
    }
    if (decision === false) {
      return this.#reject("AUTH_FAILED", "The server refused the registration");
    }
    if (decision === true) return await this.#enter(asked, undefined, hello);
    if ("reject" in decision) {
      const { reject, reason = "The server refused the registration", retryAfter = 0 } = decision;
      return this.#reject(reject, reason, retryAfter);
    }
    const id = decision.id ?? asked;
    const bad = id === "" ? "The id must not be empty" : clientIdProblem(id);
    if (bad !== undefined) {
      throw new TypeError(`Cannot register client as 'register' gave an id: ${bad}`);
    }
    await this.#enter(id, decision.data, hello);
  }

  #registration(id: string, hello: Hello): Registration {
    const signal = () => this.#signal();
    const { core } = this;
    return {
      id,
      auth: decoder.decode(hello.auth),
      authBytes: hello.auth,
      authEquals: (secret) => sameSecret(hello.auth, secret),
      metadata: hello.metadata,
      tls: this.#tls,
      // Few look at these, and there may be many who register.
      get remoteAddr() {
        return core.remoteAddr;
      },
      get signal() {
        return signal();
      },
    };
  }

  #signal(): AbortSignal {
    if (this.#leaving === undefined) {
      this.#leaving = new AbortController();
      if (this.#end !== undefined) this.#leaving.abort(hasLeft(this.#end));
    }
    return this.#leaving.signal;
  }

  async #enter(id: string, data: unknown, hello: Hello): Promise<void> {
    const { duplicateId } = this.hub.options;
    const instance = instanceOf(hello);
    if (duplicateId !== "allow") {
      for (let owner = this.hub.owner(id); owner !== undefined; owner = this.hub.owner(id)) {
        if (isOlder(instance, owner.instance)) {
          return this.#reject(
            "STALE_ATTACH",
            "A newer connection of the same client is registered",
          );
        }
        if (!await this.#yields(owner, instance)) {
          return this.#reject("CLIENT_ID_IN_USE", `The id ${escaped(id)} is in use`);
        }
        // It may have left while the owner was asked.
        if (this.#end !== undefined) return;
        owner.core.end("TAKEN_OVER", "Another connection has registered the same id");
      }
    }
    if (this.#end !== undefined) return;
    this.core.id = id;
    this.instance = instance;
    const { driver } = this.core;
    this.#peer = this.hub.admit(this, data);
    driver?.machine.welcome(this.hub.welcome(id), hello);
    driver?.flush();
  }

  /** Whether the owner of an id makes way. */
  async #yields(owner: Admission, instance: string): Promise<boolean> {
    const { duplicateId } = this.hub.options;
    if (duplicateId === "replace" || isSameClient(instance, owner.instance)) return true;
    if (duplicateId === "reject") return false;
    // One that sends too fast is not read for a while, but is anything but silent.
    if (owner.core.driver?.held !== undefined) return false;
    try {
      await owner.core.ping({ timeout: PROBE_TIMEOUT });
      return false;
    } catch {
      // Silent or gone: nobody is there to be robbed of it.
      return true;
    }
  }

  #reject(code: CloseCode, reason: string, retryAfter = 0): void {
    const { driver } = this.core;
    driver?.machine.reject(code, reason, retryAfter, this.hub.epoch);
    driver?.flush();
  }
}

function notRegistered({ code, reason, initiator, error }: CloseInfo): ConnectError {
  return new ConnectError(
    code,
    `Cannot register client as it was refused: ${printable(reason)}`,
    { initiator, ...(error === undefined ? {} : { cause: error }) },
  );
}

function hasLeft(info: CloseInfo): ClosedError {
  return new ClosedError("The client has left", info);
}

/** Looks at every byte, whichever is the first that differs. */
function sameSecret(shown: Uint8Array, secret: string | Uint8Array): boolean {
  const expected = typeof secret === "string" ? encoder.encode(secret) : secret;
  let difference = shown.length ^ expected.length;
  for (let at = 0; at < shown.length; at++) {
    difference |= (shown[at] ?? 0) ^ (expected[at % expected.length] ?? 0);
  }
  return difference === 0;
}

/**
 * Which client object asks, in 12 characters, and for which time, in 4 that sort as they count; empty when
 * it did not say. It is kept for long: text takes less memory than bytes.
 */
function instanceOf(hello: Hello): string {
  return String.fromCharCode(...hello.instance);
}

function isSameClient(a: string, b: string): boolean {
  return a !== "" && a.slice(0, 12) === b.slice(0, 12);
}

/** A HELLO that was held up on its way must not end the link that was made after it. */
function isOlder(instance: string, than: string): boolean {
  return isSameClient(instance, than) && instance.slice(12) < than.slice(12);
}
