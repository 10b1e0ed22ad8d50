/**
 * The server's side of an opening handshake, on a byte connection that exists: who comes in, and what
 * the others are told.
 *
 * Owns the order of the questions: is it a request for a WebSocket, is there one at its path, does the
 * application want this client.
 */
import { Addr } from "../base/addr.ts";
import type { ByteQueue } from "../base/byte_queue.ts";
import type { ByteTransport } from "../base/types.ts";
import type { Callbacks } from "./callbacks.ts";
import type { WebSocketEnv } from "./env.ts";
import { acceptFor, addedFields } from "./handshake.ts";
import { HEAD_LIMITS, HttpError, type HttpHead } from "./http_head.ts";
import { hangUp, readHead, withinTime, writeAll } from "./opening.ts";
import {
  acceptance,
  agree,
  type Agreement,
  type FieldList,
  isSameHost,
  readUpgrade,
  refusalHead,
  type UpgradeRequest,
} from "./server_handshake.ts";
import type { Settings } from "./settings.ts";
import { ByteWebSocket } from "./socket.ts";
import type { Acceptance, WebSocketUpgradeOptions } from "./types.ts";

/** What a client meets. */
export interface Gate {
  readonly settings: Settings;
  readonly options: WebSocketUpgradeOptions;
  readonly env: WebSocketEnv;
  readonly callbacks: Callbacks;
  /** Whether the connection is over TLS. */
  readonly secure: boolean;
  /** Whether there is a WebSocket at a path. */
  readonly hasRoute: (path: string) => boolean;
  readonly handshakeTimeout: number;
  /** What a request gets instead of a WebSocket; `undefined`: it may have one. */
  readonly instead?: (head: HttpHead) => Promise<Response | undefined>;
}

/** The application refuses by a response of its own. */
class Refusal {
  readonly response: Response;

  constructor(response: Response) {
    this.response = response;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/**
 * Makes the handshake with whoever is at the other end. The WebSocket is not started yet.
 *
 * @throws {ProtocolError} where it was refused, once it has been told why; and what breaks the
 *   connection, or the `TimeoutError`. The connection is closed then
 */
export async function admit(
  transport: ByteTransport,
  queue: ByteQueue,
  gate: Gate,
  given?: HttpHead,
): Promise<ByteWebSocket> {
  const { env: { clock }, handshakeTimeout } = gate;
  // A refusal is told outside of the time for the handshake: the other end may take a moment to read it.
  const outcome = await withinTime(transport, clock, { timeout: handshakeTimeout }, async () => {
    try {
      const head = given ?? await readHead(transport, queue, HEAD_LIMITS);
      return await answer(head, transport, queue, gate);
    } catch (error) {
      if (error instanceof HttpError || error instanceof Refusal) return error;
      throw error;
    }
  });
  if (outcome instanceof ByteWebSocket) return outcome;
  await refuse(transport, gate, outcome);
  if (outcome instanceof HttpError) throw outcome;
  const { status } = outcome.response;
  throw new HttpError(status, `Cannot accept request as the application answers ${status}`);
}

/** Answers that there is no room, and hangs up. Never rejects. */
export async function turnAway(transport: ByteTransport, gate: Gate): Promise<void> {
  try {
    await refuse(transport, gate, new HttpError(503, "There is no room for another client now"));
  } catch {
    // It has gone already.
  }
}

/** What a request is, as the callbacks see it. */
export function requestOf(
  { host, target, fields }: Pick<UpgradeRequest, "host" | "target" | "fields">,
  secure: boolean,
): Request {
  const url = URL.parse(`${secure ? "https" : "http"}://${host}${target}`);
  if (url === null || url.username !== "" || url.password !== "") {
    throw new HttpError(400, "Cannot accept request as its host must be one");
  }
  return new Request(url, { headers: Array.from(fields, ([name, value]) => [name, value]) });
}

async function answer(
  head: HttpHead,
  transport: ByteTransport,
  queue: ByteQueue,
  gate: Gate,
): Promise<ByteWebSocket> {
  const { settings, options, env, secure } = gate;
  const instead = await gate.instead?.(head);
  if (instead !== undefined) throw new Refusal(instead);
  const asked = readUpgrade(head);
  const end = asked.target.indexOf("?");
  if (!gate.hasRoute(end < 0 ? asked.target : asked.target.slice(0, end))) {
    throw new HttpError(404, "Cannot accept request as there is no WebSocket at its path");
  }
  const request = requestOf(asked, secure);
  const offered = agree(asked, { spoken: settings.protocols, compression: settings.compression });
  const [agreement, added] = await decide(
    asked,
    offered,
    request,
    Addr.of(transport.remoteAddr),
    gate,
  );
  await writeAll(transport, acceptance(agreement, acceptFor(asked.key, env.sha1), added));
  return new ByteWebSocket(
    {
      transport,
      queue,
      client: false,
      url: request.url.replace(/^http/, "ws"),
      protocol: agreement.protocol,
      deflate: agreement.deflate,
      request: () => request,
    },
    settings,
    options,
    env,
  );
}

async function decide(
  asked: UpgradeRequest,
  offered: Agreement,
  request: Request,
  remoteAddr: Addr,
  { options: { accept }, callbacks }: Gate,
): Promise<[Agreement, FieldList]> {
  if (accept === undefined) {
    if (isSameHost(asked)) return [offered, []];
    throw new HttpError(403, "Cannot accept request as its origin must be this host");
  }
  let decision: Acceptance;
  let added: FieldList;
  try {
    decision = await accept(request, remoteAddr);
    added = typeof decision === "object" && !(decision instanceof Response)
      ? addedFields(decision.headers)
      : [];
    checkChoice(decision, asked);
  } catch (error) {
    callbacks.report(error);
    throw new HttpError(500, "Cannot accept request as the application failed");
  }
  if (decision === true) return [offered, []];
  if (decision === false) {
    throw new HttpError(403, "Cannot accept request as the application refuses it");
  }
  if (decision instanceof Response) throw new Refusal(decision);
  return [{ ...offered, protocol: decision.protocol ?? offered.protocol }, added];
}

/** @throws {TypeError} where the application chooses what was not offered, or nothing at all */
function checkChoice(decision: Acceptance, { protocols }: UpgradeRequest): void {
  if (typeof decision === "boolean" || decision instanceof Response) return;
  if (typeof decision !== "object" || decision === null) {
    throw new TypeError(
      `Cannot accept request as 'accept' must give true, false, a Response or an object: current value is ${decision}`,
    );
  }
  const { protocol } = decision;
  if (protocol === undefined || protocols.includes(protocol)) return;
  throw new TypeError(
    `Cannot accept request as the subprotocol must be one that the client has offered: current value is ${
      JSON.stringify(protocol)
    }`,
  );
}

async function refuse(
  transport: ByteTransport,
  { env: { clock }, handshakeTimeout: timeout }: Gate,
  why: HttpError | Refusal,
): Promise<void> {
  const response = why instanceof Refusal ? why.response : ofError(why);
  const { status, statusText, headers } = response;
  const reason = statusText === "" ? REASONS[status] ?? "" : statusText;
  await withinTime(transport, clock, { timeout }, async () => {
    const body = new Uint8Array(await response.arrayBuffer());
    await writeAll(transport, refusalHead(status, reason, body.length, [...headers]));
    await writeAll(transport, body);
  });
  await hangUp(transport, clock);
}

function ofError({ status, message, headers }: HttpError): Response {
  return new Response(`${message}\n`, { status, headers: { ...headers } });
}
