/**
 * A process of a comparison, on Node: its argument says where the package `ws` is.
 */
import process from "node:process";
import { ws } from "./contestants/ws.ts";
import { work } from "./_worker.ts";

await work(await ws(process.argv.at(-1) ?? "ws"));
