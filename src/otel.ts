/**
 * OpenTelemetry (https://opentelemetry.io): spans and metrics of calls, traces that go on at the other
 * end, and metrics of connections. Whoever does not import this subpath does not load the package
 * behind it, and where no SDK is registered nothing of it is on the path of a call.
 *
 * Deno brings an SDK along: `OTEL_DENO=true deno run …` exports by OTLP, and with
 * `OTEL_EXPORTER_OTLP_PROTOCOL=console` as well to the terminal.
 *
 * ```ts
 * import { connect, serve, text } from "@vgo/vnet";
 * import { telemetry } from "@vgo/vnet/otel";
 * import { assertEquals } from "@std/assert";
 *
 * const otel = telemetry();
 * await using server = await serve("127.0.0.1:0", {
 *   serializer: text(),
 *   methods: { greet: (name) => `hello, ${name}` },
 *   interceptors: [otel.interceptor],
 * });
 * otel.observe(server);
 * await using client = await connect(server.addr, {
 *   serializer: text(),
 *   interceptors: [otel.interceptor],
 * });
 * assertEquals(await client.call("greet", "world"), "hello, world");
 * ```
 *
 * | metric | what it is | attributes |
 * | --- | --- | --- |
 * | `rpc.client.call.duration` | histogram of calls made, in s | method, code |
 * | `rpc.server.call.duration` | histogram of calls answered, in s | method, code |
 * | `vnet.connections` | open connections | side |
 * | `vnet.network.io` | bytes, framing included | side, direction |
 * | `vnet.messages` | messages | side, direction |
 *
 * @module
 */
export { telemetry } from "./otel/telemetry.ts";

export type { Telemetry, TelemetryOptions } from "./otel/telemetry.ts";
export type { ObservedPeer, ObservedServer, ObservedTraffic } from "./otel/traffic.ts";
