/**
 * The server's side of an opening handshake, on a byte connection that exists: who comes in, and what
 * the others are told.
 *
 * Owns the order of the questions: is it a request for a WebSocket, is there one at its path, does the
 * application want this client. And the times: for the handshake, and for an answer that is none.
 */
import { Addr } from "../base/addr.ts";
import type { ByteQueue } from "../base/byte_queue.ts";
import type { ByteTransport } from "../base/types.ts";
import type { Callbacks } from "./callbacks.ts";
import type { WebSocketEnv } from "./env.ts";
import { Answer, type Asked } from "./answer.ts";
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
  /** How long it may take to give another answer, in ms. @default {handshakeTimeout} */
  readonly answerTimeout?: number;
  /** Ends a handshake, or another answer, early; the connection is closed then. */
  readonly signal?: AbortSignal;
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

/** What is answered to what cannot be read. */
const UNREAD: Asked = { method: "GET", version: "HTTP/1.1" };

/**
 * Makes the handshake with whoever is at the other end. The WebSocket is not started yet.
 *
 * @throws {ProtocolError} where it was refused, once it has been told why; and what breaks the
 *   connection, the `TimeoutError`, or the reason of the gate's signal. The connection is closed then
 */
export async function admit(
  transport: ByteTransport,
  queue: ByteQueue,
  gate: Gate,
  given?: HttpHead,
): Promise<ByteWebSocket> {
  const { env: { clock }, handshakeTimeout: timeout } = gate;
  let head = given;
  let late = false;
  // A refusal is told outside of the time for the handshake: the other end may take a moment to read it.
  const outcome = await withinTime(transport, clock, { timeout, ...ofSignal(gate) }, async () => {
    try {
      head ??= await readHead(transport, queue, HEAD_LIMITS);
      return await answer(head, transport, queue, gate);
    } catch (error) {
      // Nobody is left to take the body, and what its source says of that is its own matter.
      if (error instanceof Refusal && late) error.response.body?.cancel().catch(() => {});
      if (error instanceof HttpError || error instanceof Refusal) return error;
      throw error;
    }
  }).catch((error) => {
    late = true;
    throw error;
  });
  if (outcome instanceof ByteWebSocket) return outcome;
  const [method, , version] = head?.line ?? [];
  const asked = method === undefined || version === undefined ? UNREAD : { method, version };
  await refuse(transport, gate, outcome, asked);
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
  method: "GET" | "HEAD" = "GET",
): Request {
  const url = URL.parse(`${secure ? "https" : "http"}://${host}${target}`);
  if (url === null || url.username !== "" || url.password !== "") {
    throw new HttpError(400, "Cannot accept request as its host must be one");
  }
  return new Request(url, {
    method,
    headers: Array.from(fields, ([name, value]): [string, string] => [name, value]),
  });
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
  gate: Gate,
  why: HttpError | Refusal,
  asked: Asked = UNREAD,
): Promise<void> {
  const { env: { clock }, answerTimeout: timeout = gate.handshakeTimeout } = gate;
  const over = new AbortController();
  try {
    await withinTime(transport, clock, { timeout, ...ofSignal(gate) }, async () => {
      const failed = (error: unknown) => gate.callbacks.report(error);
      const response = why instanceof Refusal ? why.response : ofError(why);
      let answer = new Answer(response, asked, failed);
      if (!await answer.begin(over.signal)) {
        const failure = new HttpError(500, "Cannot answer request as the application failed");
        answer = new Answer(ofError(failure), asked, failed);
        await answer.begin(over.signal);
      }
      await answer.writeTo(transport);
    });
  } catch (error) {
    over.abort(error);
    throw error;
  }
  await hangUp(transport, clock);
}

function ofSignal({ signal }: Gate): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function ofError({ status, message, headers }: HttpError): Response {
  return new Response(`${message}\n`, { status, headers: { ...headers } });
}
