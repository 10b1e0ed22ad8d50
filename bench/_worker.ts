/**
 * What a process of a comparison does: it is one end of one contestant, and does as it is told.
 *
 * Commands come in lines on the standard input, as JSON, and each is answered by a line. Runs on Deno
 * and on Node.
 */
import process from "node:process";
import type { CallFigures, CallLoad, ClientEnd, Contestant, ServerEnd } from "./_contestant.ts";
import { Profiler, type SelfTime } from "./_profiler.ts";
import { Signal } from "./_signal.ts";

/** What can be asked of it: the arguments, and what it answers. */
export interface Commands {
  /** Listen; answers the port. */
  serve: [options: Empty, port: number];
  /** Connect so many clients; `listen`: to get messages, not to call. */
  connect: [options: { port: number; count: number; listen: boolean }, done: null];
  /** Make calls with the first client. */
  calls: [options: CallLoad, figures: CallFigures];
  /** Begin to count what comes; `each`: with every so many bytes the server is told. */
  expect: [options: { bytes: number; each?: number }, done: null];
  /** Wait until all that was expected is here; answers in how many ms it came, the first part apart. */
  arrived: [options: Empty, duration: number];
  /** Send so many messages to the only client. */
  push: [options: { size: number; count: number }, done: null];
  /** Broadcast so often, so many `atOnce`: the next ones when all have these; answers the time in ms. */
  broadcast: [options: { size: number; count: number; atOnce: number }, duration: number];
  /** The processor time that it has used so far, in µs. */
  cpu: [options: Empty, time: number];
  /** Its memory. */
  memory: [options: Empty, sizes: MemorySizes];
  /** Begin to look where the time goes. */
  profile: [options: Empty, done: null];
  /** Stop; answers where it went. */
  profiled: [options: Empty, entries: SelfTime[]];
}

type Empty = Record<never, never>;

/** Memory of a process, in bytes, after a collection of garbage. */
export interface MemorySizes {
  /** What is resident, with the room that the engine keeps for what comes next. */
  readonly resident: number;
  /** What is left of it once the engine has given back what it can do without. */
  readonly needed: number;
}

/** A command on its way. */
export type Request = { [K in keyof Commands]: { do: K } & Commands[K][0] }[keyof Commands];

/** Where the engine was started with `--expose-gc`. */
declare global {
  var gc:
    | ((options?: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void)
    | undefined;
}

/** Carries out commands until the input ends, and ends the process then. */
export async function work(contestant: Contestant): Promise<void> {
  const worker = new Worker(contestant);
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = await worker.run(JSON.parse(line));
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
  }
  process.exit(0);
}

class Worker {
  readonly #contestant: Contestant;
  readonly #profiler = new Profiler();
  #server: ServerEnd | undefined;
  readonly #clients: ClientEnd[] = [];
  #bytes = 0;
  #expected = Infinity;
  #each = Infinity;
  #next = Infinity;
  #firstAt = 0;
  readonly #all = new Signal();
  #duration = 0;

  constructor(contestant: Contestant) {
    this.#contestant = contestant;
  }

  async run(request: Request): Promise<Commands[keyof Commands][1]> {
    switch (request.do) {
      case "serve":
        this.#server = await this.#contestant.serve();
        return this.#server.port;
      case "connect":
        return await this.#connect(request.port, request.count, request.listen);
      case "calls":
        return await this.#client.calls(request);
      case "expect":
        return this.#expect(request.bytes, request.each ?? Infinity);
      case "arrived":
        await this.#all.next();
        return this.#duration;
      case "push":
        await this.#end.push(request.size, request.count);
        return null;
      case "broadcast":
        return await this.#broadcast(request);
      case "cpu": {
        const { user, system } = process.cpuUsage();
        return user + system;
      }
      case "memory":
        return await memory();
      case "profile":
        await this.#profiler.start();
        return null;
      case "profiled":
        return await this.#profiler.stop();
    }
  }

  get #client(): ClientEnd {
    const [client] = this.#clients;
    if (client === undefined) throw new Error("There must be a client first");
    return client;
  }

  get #end(): ServerEnd {
    if (this.#server === undefined) throw new Error("There must be a server first");
    return this.#server;
  }

  async #connect(port: number, count: number, listen: boolean): Promise<null> {
    const arrived = listen ? (bytes: number) => this.#arrived(bytes) : undefined;
    for (let left = count; left > 0; left -= AT_ONCE) {
      const some = Array.from(
        { length: Math.min(AT_ONCE, left) },
        () => this.#contestant.connect(port, arrived),
      );
      this.#clients.push(...await Promise.all(some));
    }
    return null;
  }

  #expect(bytes: number, each: number): null {
    this.#bytes = 0;
    this.#expected = bytes;
    this.#each = each;
    this.#next = each;
    return null;
  }

  #arrived(bytes: number): void {
    if (this.#bytes === 0) this.#firstAt = performance.now();
    this.#bytes += bytes;
    if (this.#bytes >= this.#next) {
      this.#next += this.#each;
      this.#client.signal();
    }
    if (this.#bytes < this.#expected) return;
    this.#expected = Infinity;
    this.#duration = performance.now() - this.#firstAt;
    this.#all.give();
  }

  async #broadcast({ size, count, atOnce }: Commands["broadcast"][0]): Promise<number> {
    const body = new Uint8Array(size);
    const begin = performance.now();
    for (let i = 0; i < count; i += atOnce) {
      const heard = this.#end.heard();
      for (let one = 0; one < atOnce; one++) await this.#end.broadcast(body);
      await heard;
    }
    return performance.now() - begin;
  }
}

/** Fewer than a server lets wait for their registration, and than a system lets wait to be accepted. */
const AT_ONCE = 100;

async function memory(): Promise<MemorySizes> {
  // What is garbage is no part of what a connection needs; some of it is only found the second time.
  const resident = await leftBy(() => globalThis.gc?.());
  const needed = await leftBy(() =>
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" })
  );
  return { resident, needed };
}

async function leftBy(collect: () => void): Promise<number> {
  for (let i = 0; i < 2; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage().rss;
}
