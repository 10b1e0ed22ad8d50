/**
 * What each entry point gives at run time, by name: to add or to remove one is a decision.
 *
 * Types are not here; the doc tests and the examples use them.
 */
import { assertEquals } from "@std/assert";
import * as root from "@vgo/vnet";
import * as browser from "@vgo/vnet/browser";
import * as contract from "@vgo/vnet/contract";
import * as frames from "@vgo/vnet/frames";
import * as msgpack from "@vgo/vnet/msgpack";
import * as net from "@vgo/vnet/net";
import * as otel from "@vgo/vnet/otel";
import * as testing from "@vgo/vnet/testing";
import * as udp from "@vgo/vnet/udp";
import * as websocket from "@vgo/vnet/websocket";

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
  ["@vgo/vnet/browser", browser, [
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
    "bytes",
    "connect",
    "contract",
    "describe",
    "json",
    "message",
    "method",
    "raw",
    "text",
    "type",
  ]],
  ["@vgo/vnet/contract", contract, [
    "bytes",
    "contract",
    "describe",
    "json",
    "message",
    "method",
    "raw",
    "text",
    "type",
  ]],
  ["@vgo/vnet/frames", frames, [
    "ByteQueue",
    "ClosedError",
    "FrameDecoder",
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
  ["@vgo/vnet/msgpack", msgpack, ["msgpack"]],
  ["@vgo/vnet/net", net, [
    "Addr",
    "ClosedError",
    "ConnectError",
    "FrameError",
    "LimitError",
    "TimeoutError",
    "VnetError",
    "dial",
    "dialTcp",
    "dialTls",
    "listen",
    "listenTcp",
    "listenTls",
    "startTls",
  ]],
  ["@vgo/vnet/otel", otel, ["telemetry"]],
  ["@vgo/vnet/testing", testing, [
    "ManualClock",
    "Simulation",
    "faultProxy",
    "faulty",
    "memoryPair",
  ]],
  ["@vgo/vnet/udp", udp, [
    "Addr",
    "ClosedError",
    "ConnectError",
    "LimitError",
    "SequenceTracker",
    "TimeoutError",
    "VnetError",
    "dialUdp",
    "listenUdp",
    "listenUdpPeers",
  ]],
  ["@vgo/vnet/websocket", websocket, [
    "Addr",
    "ClosedError",
    "ConnectError",
    "LimitError",
    "Opcode",
    "ProtocolError",
    "TimeoutError",
    "VnetError",
    "connectWebSocket",
    "serveWebSocket",
    "upgradeWebSocket",
  ]],
];

for (const [name, module, expected] of ENTRY_POINTS) {
  Deno.test(`${name} exports exactly what is listed`, () => {
    assertEquals(Object.keys(module).sort(), expected);
  });
}
