/**
 * Where the time of this process goes, by function: samples of the engine, taken through the inspector.
 */
import { type Profiler as Api, Session } from "node:inspector/promises";

/** A function, and what was spent in it and not in what it called. */
export interface SelfTime {
  readonly name: string;
  /** Its file, or where else it comes from. No line: the engine knows those of the compiled code only. */
  readonly place: string;
  /** Of all time in which the process was not idle: 1 is all of it. */
  readonly share: number;
}

/** How often the engine looks, in µs. */
const INTERVAL = 200;
/** This directory, and everything beside it. */
const ROOT = new URL("..", import.meta.url).href;

/** Takes samples. */
export class Profiler {
  readonly #session = new Session();

  /** Begins. */
  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.setSamplingInterval", { interval: INTERVAL });
    await this.#session.post("Profiler.start");
  }

  /** Ends; the functions in which most time was spent, first. */
  async stop(): Promise<SelfTime[]> {
    const { profile } = await this.#session.post("Profiler.stop");
    this.#session.disconnect();
    return selfTimes(profile);
  }
}

function selfTimes({ nodes, samples = [], timeDeltas = [] }: Api.Profile): SelfTime[] {
  const keys = new Map(nodes.map(({ id, callFrame }) => [id, keyOf(callFrame)]));
  const times = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const key = keys.get(id);
    // To look costs time as well, and is not what is looked for.
    if (key === undefined || /^\(idle\)|inspector\.js$/.test(key)) continue;
    const time = timeDeltas[index] ?? 0;
    times.set(key, (times.get(key) ?? 0) + time);
    busy += time;
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .map(([key, time]) => {
      const [name = "", place = ""] = key.split("\n");
      return { name, place, share: time / busy };
    });
}

function keyOf(
  { functionName, url }: Api.Profile["nodes"][number]["callFrame"],
): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url === "") return `${name}\nengine`;
  return `${name}\n${url.replace(ROOT, "").replace(/^file:.*\//, "")}`;
}
