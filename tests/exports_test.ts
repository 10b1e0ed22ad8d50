/**
 * What each entry point gives at run time, by name: to add or to remove one is a decision.
 *
 * Types are not here; the doc tests and the examples use them.
 */
import { assertEquals } from "@std/assert";
import * as root from "@vgo/vnet";
import * as frames from "@vgo/vnet/frames";
import * as testing from "@vgo/vnet/testing";

/** Sorted as `sort()` does: capitals first. */
const ENTRY_POINTS: [string, object, string[]][] = [
  ["@vgo/vnet", root, [
    "Addr",
    "Client",
    "ClosedError",
    "ConnectError",
    "FrameError",
    "LimitError",
    "ProtocolError",
    "RpcError",
    "TimeoutError",
    "VnetError",
    "attach",
    "connect",
    "json",
    "raw",
    "serve",
    "text",
  ]],
  ["@vgo/vnet/frames", frames, [
    "ByteQueue",
    "ClosedError",
    "FrameError",
    "FrameStream",
    "LimitError",
    "VnetError",
    "delimiter",
    "fixed",
    "lengthField",
    "line",
    "mapCodec",
    "varint",
  ]],
  ["@vgo/vnet/testing", testing, [
    "ManualClock",
    "Simulation",
    "faultProxy",
    "faulty",
    "memoryPair",
  ]],
];

for (const [name, module, expected] of ENTRY_POINTS) {
  Deno.test(`${name} exports exactly what is listed`, () => {
    assertEquals(Object.keys(module).sort(), expected);
  });
}
