/**
 * vnet in a page: the client half over the browser's own WebSocket, with calls and push in both directions,
 * and a client that comes back by itself. What {@link "./contract.ts"} exports is here too, so that a page
 * needs one import. Nothing of Deno is in it: any bundler will do, such as `deno bundle --platform browser`.
 *
 * ```ts ignore
 * import { connect, json } from "@vgo/vnet/browser";
 *
 * const client = await connect(`wss://${location.host}/chat`, {
 *   serializer: json(),
 *   onMessage: ({ topic, body }) => console.log(topic, body),
 * });
 * console.log(await client.call("join", { room: "lobby" }));
 * ```
 *
 * What a client does here that it does nowhere else:
 * - when the network comes back, or the page is looked at again, it dials at once;
 * - a link that is open then, or when the network goes, has 3 s to show that it lives;
 * - while the browser says that it is offline a dial waits, and is not counted as one that failed. A server
 *   on this very machine is dialled all the same.
 *
 * What a page cannot have: another transport than `ws:` and `wss:`, the reason why a dial failed, and
 * `tls` options: whom to trust is up to the browser. It tells the server where it comes from (`Origin`);
 * by default a server takes pages of its own host only.
 *
 * It needs `Promise.withResolvers` and what is older: Chrome and Edge from 119, Firefox from 121, Safari
 * from 17.4. It runs in workers too.
 *
 * @module
 */
import "./runtime/browser_symbols.ts";

export * from "./contract.ts";
export { attach, Client, connect } from "./runtime/browser_api.ts";
export * from "./common.ts";
