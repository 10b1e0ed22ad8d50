/** Heads of HTTP for the tests of both halves of the handshake. */
import { assert, assertInstanceOf } from "@std/assert";
import { ByteQueue } from "../../src/base/byte_queue.ts";
import { systemEnv } from "../../src/websocket/deno_env.ts";
import { HttpError, type HttpHead, takeHead } from "../../src/websocket/http_head.ts";
import { join } from "../_support/feed.ts";

export const { sha1 } = systemEnv;

/** RFC 6455, section 1.3. */
export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/** Feeds a head in pieces; gives the status of an error. */
export function read(text: string | Uint8Array, cuts: readonly number[] = []): HttpHead | number {
  const bytes = join(text);
  const queue = new ByteQueue();
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    queue.push(bytes.subarray(from, to));
    from = to;
    try {
      const head = takeHead(queue);
      if (head !== undefined) return head;
    } catch (error) {
      assertInstanceOf(error, HttpError);
      return error.status;
    }
  }
  return 0;
}

/** A head that is one. */
export function headOf(text: string): HttpHead {
  const head = read(text);
  assert(typeof head !== "number", `Status ${head}`);
  return head;
}
