/**
 * The client's side of a WebSocket, on a byte connection that exists.
 *
 * Owns the opening handshake, and what is said when it fails: always a `ConnectError`, or the reason of
 * the signal.
 */
import type { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import { ConnectError, TimeoutError } from "../base/errors.ts";
import type { ByteTransport } from "../base/types.ts";
import { type ClientRequest, readAnswer, requestBytes, webSocketUrl } from "./client_handshake.ts";
import type { WebSocketEnv } from "./env.ts";
import { acceptFor, addedFields } from "./handshake.ts";
import { ANSWER_LIMITS, HttpError } from "./http_head.ts";
import { readHead, withinTime, writeAll } from "./opening.ts";
import { resolveSettings, type Settings } from "./settings.ts";
import { ByteWebSocket } from "./socket.ts";
import type { ConnectWebSocketOptions } from "./types.ts";

/** What is asked for, checked before anything is opened. */
export interface Prepared {
  readonly request: ClientRequest;
  readonly settings: Settings;
  readonly timeout: number;
}

/** For the connection and the handshake together, in ms. */
const TIMEOUT = 10_000;

/** Checks what the application asks for. @throws {TypeError | RangeError} where that makes no sense */
export function prepare(
  given: string | URL | Addr,
  options: ConnectWebSocketOptions,
  env: WebSocketEnv,
): Prepared {
  const { protocols = [], compression = false, headers, timeout = TIMEOUT } = options;
  if (!(timeout > 0)) {
    throw new RangeError(
      `Cannot connect as 'timeout' must be more than 0 ms: current value is ${timeout}`,
    );
  }
  const settings = resolveSettings(options);
  const url = webSocketUrl(given instanceof URL ? given : `${given}`);
  const fields = addedFields(headers);
  return { request: { url, key: env.newKey(), protocols, compression, fields }, settings, timeout };
}

/**
 * Makes the opening handshake on a connection, which belongs to the WebSocket from then on.
 *
 * @throws {ConnectError} where it fails, or takes longer than `timeout` ms
 */
export async function connectOver(
  transport: ByteTransport,
  { request, settings, timeout }: Prepared,
  options: ConnectWebSocketOptions,
  env: WebSocketEnv,
): Promise<ByteWebSocket> {
  const { signal } = options;
  const queue = new ByteQueue();
  const wait = { timeout, ...(signal === undefined ? {} : { signal }) };
  try {
    const { protocol, deflate } = await withinTime(transport, env.clock, wait, async () => {
      await writeAll(transport, requestBytes(request));
      return readAnswer(
        await readHead(transport, queue, ANSWER_LIMITS),
        request,
        acceptFor(request.key, env.sha1),
      );
    });
    const socket = new ByteWebSocket(
      {
        transport,
        queue,
        client: true,
        url: request.url.href,
        protocol,
        deflate,
        request: () => requestOf(request),
      },
      settings,
      options,
      env,
    );
    socket.start();
    return socket;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw connectError(request, error);
  }
}

/** What was asked, as the callbacks see it. */
function requestOf({ url, fields }: ClientRequest): Request {
  const headers = fields.map(([name, value]): [string, string] => [name, value]);
  return new Request(url.href.replace(/^ws/, "http"), { headers });
}

function connectError({ url }: ClientRequest, error: unknown): unknown {
  if (error instanceof ConnectError || error instanceof TypeError) return error;
  const attempt = `Cannot connect to ${url.protocol}//${url.host}${url.pathname}`;
  if (error instanceof TimeoutError) {
    return new ConnectError("TIMEOUT", `${attempt} as the opening handshake took too long`, {
      cause: error,
      initiator: "network",
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof HttpError) {
    return new ConnectError(
      "WRONG_PROTOCOL",
      `${attempt} as it must answer in HTTP/1.1: ${message}`,
      {
        cause: error,
        initiator: "remote",
      },
    );
  }
  return new ConnectError("UNREACHABLE", `${attempt} as the connection was lost: ${message}`, {
    cause: error,
    initiator: "network",
  });
}
