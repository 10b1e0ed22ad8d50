/**
 * What topics, methods and groups may be called.
 */
import { utf8Length } from "../wire/text.ts";

/** @throws {TypeError | RangeError} when it is no topic, method or group */
export function checkName(what: "topic" | "method" | "group", name: string): void {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot send as '${what}' must be a string: current value is a ${typeof name}`,
    );
  }
  // No character has more than three bytes in UTF-8 for one unit of a string.
  if (name.length <= 85) return;
  const length = utf8Length(name);
  if (length <= 255) return;
  throw new RangeError(
    `Cannot send as '${what}' must be at most 255 bytes: current value is ${length}`,
  );
}
