/**
 * What a process uses: memory, descriptors, timers, time.
 */
import type { Runtime } from "@vgo/vnet";
import { systemRuntime } from "../../src/runtime/system.ts";

/** Memory of this process, in bytes. */
export interface Memory {
  /** What the system has given it. */
  readonly rss: number;
  /** Objects and the bytes of their buffers. */
  readonly held: number;
}

/** Memory as it is now, garbage included. */
export function memory(): Memory {
  const { rss, heapUsed, external } = Deno.memoryUsage();
  return { rss, held: heapUsed + external };
}

/** Memory that is in use once nothing is left to collect. Needs `--expose-gc`. */
export async function memoryInUse(): Promise<Memory> {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc !== "function") throw new Error("Cannot measure memory without --expose-gc");
  // What a collection frees may be what keeps something else, and buffers are freed between turns.
  for (let i = 0; i < 4; i++) {
    gc();
    await sleep(10);
  }
  return memory();
}

/** So many descriptors more are the runtime's own: it opens some when they are first needed. */
export const DESCRIPTOR_SLACK = 4;

/** Descriptors that this process has open; `undefined` where the system does not tell. */
export async function descriptors(): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  // To read it by itself a program would need all permissions.
  const list = new Deno.Command("ls", { args: [`/proc/${Deno.pid}/fd`], stderr: "null" });
  const { success, stdout } = await list.output();
  return success ? new TextDecoder().decode(stdout).trim().split("\n").length : undefined;
}

/** As {@linkcode descriptors}, once they are as many as they were: the last farewells take a moment. */
export async function descriptorsSince(before: number | undefined): Promise<number | undefined> {
  let now = await descriptors();
  for (let tries = 0; (now ?? 0) > (before ?? 0) + DESCRIPTOR_SLACK && tries < 20; tries++) {
    await sleep(100);
    now = await descriptors();
  }
  return now;
}

/** The system's runtime, which counts the timers that are set. */
export function countedRuntime(): { readonly runtime: Runtime; readonly timers: () => number } {
  const system = systemRuntime();
  let timers = 0;
  const clock = {
    now: () => system.clock.now(),
    setTimer(at: number, run: () => void, background?: boolean): Disposable {
      timers++;
      let set = true;
      const forget = () => {
        if (set) timers--;
        set = false;
      };
      const timer = system.clock.setTimer(at, () => (forget(), run()), background);
      return { [Symbol.dispose]: () => (forget(), timer[Symbol.dispose]()) };
    },
  };
  return {
    timers: () => timers,
    runtime: {
      clock,
      random: () => system.random(),
      dial: (addr, options) => system.dial(addr, options),
      listen: (addr, options) => system.listen(addr, options),
    },
  };
}

/** The value below which this share of all lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Resolves after so many ms. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves once something holds, and tells whether it did within so many ms. */
export async function holdsWithin(ms: number, holds: () => boolean): Promise<boolean> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) return false;
    await sleep(5);
  }
  return true;
}

/** A program of this folder as a process of its own; what it prints is shown. */
export function program(name: string, ...args: readonly (string | number)[]): Deno.ChildProcess {
  const url = new URL(name, import.meta.url).href;
  const command = ["run", "--allow-net", url, ...args.map(String)];
  return new Deno.Command(Deno.execPath(), { args: command, stdin: "null" }).spawn();
}
