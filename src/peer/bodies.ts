/**
 * Bytes that came, as values.
 */
import type { Bytes } from "../base/types.ts";
import type { AnySerializer } from "./owner.ts";

/**
 * Reads a body. No bytes are what a call without input and a handler without a result send: a serializer
 * none of whose values is empty need not know them.
 */
export function readBody(serializer: AnySerializer, payload: Bytes): unknown {
  if (payload.length > 0) return serializer.deserialize(payload);
  try {
    return serializer.deserialize(payload);
  } catch {
    return undefined;
  }
}
