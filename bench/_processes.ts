/**
 * The processes of a comparison: each end of each contestant is one, on a core of its own choosing.
 */
import type { Kind } from "./_kinds.ts";
import { takingPart, WS } from "./_kinds.ts";
import type { Commands } from "./_worker.ts";

/** On which core an end runs; `undefined`: on any. */
export interface Placement {
  readonly server: number | undefined;
  readonly client: number | undefined;
}

const HERE = import.meta.dirname ?? ".";
/** For what happens only with much memory, and for a count of what is left when all garbage is gone. */
const ENGINE = "--expose-gc";

/** Whether the system lets us choose cores. */
const canPin = await works("taskset", ["-c", "0", "true"]);
const canIdle = await works("chrt", ["--idle", "0", "true"]);

/** One core for both ends: no time is lost with waking another one, so it is work that is compared. */
export const oneCore: Placement = pinned(navigator.hardwareConcurrency - 1, undefined);

/** A core for each end. */
export const twoCores: Placement = pinned(0, 1);

/** A placement with a name, and whether the cores must be kept from falling asleep. */
export interface Place {
  readonly name: string;
  readonly placement: Placement;
  readonly awake: boolean;
}

export const ONE_CORE: Place = { name: "one core", placement: oneCore, awake: false };
export const AWAKE: Place = { name: "awake", placement: twoCores, awake: true };

/** How a placement is called in a report. */
export const placementNote: string = canPin
  ? "One core: both processes are pinned to it. Awake: a core for each, which an idle task keeps awake."
  : "The system does not let a program choose its cores, so none is pinned.";

function pinned(server: number, client: number | undefined): Placement {
  if (!canPin || navigator.hardwareConcurrency < 2) return { server: undefined, client: undefined };
  return { server, client: client ?? server };
}

/** One process. */
export class WorkerProcess implements AsyncDisposable {
  readonly #label: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;

  private constructor(label: string, command: readonly string[], core: number | undefined) {
    const [program = "", ...args] = onCore(command, core);
    this.#label = label;
    this.#child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      // An answer is one line; what else a contestant has to say is for the reader.
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = lines(this.#child.stdout);
  }

  /** Starts it; rejects where the contestant cannot run on this machine. */
  static async start(kind: Kind, core?: number): Promise<WorkerProcess> {
    return new WorkerProcess(kind.label, await commandOf(kind), core);
  }

  /** Tells it to do something; resolves with its answer. One thing at a time. */
  async ask<K extends keyof Commands>(what: K, options: Commands[K][0]): Promise<Commands[K][1]> {
    const line = `${JSON.stringify({ do: what, ...options })}\n`;
    await this.#input.write(new TextEncoder().encode(line));
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`A process of ${this.#label} has ended at '${what}'`);
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It ends with its input.
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}

/** Both ends of a contestant. */
export class Pair implements AsyncDisposable {
  readonly kind: Kind;
  readonly server: WorkerProcess;
  readonly client: WorkerProcess;
  #port = 0;

  private constructor(kind: Kind, server: WorkerProcess, client: WorkerProcess) {
    this.kind = kind;
    this.server = server;
    this.client = client;
  }

  /** Starts both; the server listens. */
  static async start(kind: Kind, placement: Placement): Promise<Pair> {
    const server = await WorkerProcess.start(kind, placement.server);
    const client = await WorkerProcess.start(kind, placement.client);
    const pair = new Pair(kind, server, client);
    try {
      pair.#port = await server.ask("serve", {});
    } catch (error) {
      await pair[Symbol.asyncDispose]();
      throw error;
    }
    return pair;
  }

  /** Connects so many clients: `listen`: to get messages, not to call. */
  async connect(count: number, listen: boolean): Promise<void> {
    await this.client.ask("connect", { port: this.#port, count, listen });
  }

  /** Runs something; gives the processor time that it took at either end, in µs. */
  async costOf(run: () => Promise<unknown>): Promise<{ server: number; client: number }> {
    const both = async () => [await this.server.ask("cpu", {}), await this.client.ask("cpu", {})];
    const [server = 0, client = 0] = await both();
    await run();
    const [serverNow = 0, clientNow = 0] = await both();
    return { server: serverNow - server, client: clientNow - client };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** Those of the contestants that take part and can run here: who is not there is told, and left out. */
export async function startAll(
  kinds: readonly Kind[],
  placement: Placement,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (const kind of takingPart(kinds)) {
    try {
      pairs.push(await Pair.start(kind, placement));
    } catch (error) {
      if (kind.role !== "peer") throw error;
      console.error(`${kind.label} is left out: ${error instanceof Error ? error.message : error}`);
    }
  }
  return pairs;
}

/**
 * Keeps every core awake until disposed of, where a place asks for it: waking a virtual one takes longer
 * than what is measured.
 */
export function keptAwake({ awake }: Place): Disposable | undefined {
  if (!awake || !canIdle || !canPin) return undefined;
  // It ends with this process, and never takes time from another one.
  const code =
    "const parent = Deno.ppid; while (Deno.ppid === parent) for (let i = 0; i < 1e7; i++);";
  const spinners = Array.from({ length: navigator.hardwareConcurrency }, (_, core) => {
    const command = ["chrt", "--idle", "0", ...onCore([Deno.execPath(), "eval", code], core)];
    const [program = "", ...args] = command;
    return new Deno.Command(program, { args, stdout: "null" }).spawn();
  });
  return {
    [Symbol.dispose]() {
      for (const spinner of spinners) spinner.kill("SIGKILL");
    },
  };
}

function onCore(command: readonly string[], core: number | undefined): readonly string[] {
  return core === undefined ? command : ["taskset", "-c", String(core), ...command];
}

async function commandOf({ name, runtime, root, engine }: Kind): Promise<string[]> {
  if (runtime === "node") return await (nodeCommand ??= makeNodeCommand());
  const allowed = ["--allow-net", "--allow-env", "--allow-sys"];
  const program = `${root === undefined ? HERE : `${root}/bench`}/_deno_worker.ts`;
  const flags = engine === undefined ? ENGINE : `${ENGINE},${engine}`;
  return [Deno.execPath(), "run", ...allowed, `--v8-flags=${flags}`, program, name];
}

let nodeCommand: Promise<string[]> | undefined;

/** Node reads no TypeScript and knows no `npm:`, so it gets one plain module and the package's place. */
async function makeNodeCommand(): Promise<string[]> {
  const info: { npmPackages: Record<string, { localPath: string }> } = JSON.parse(
    await output(Deno.execPath(), ["info", "--json", WS]),
  );
  const [found] = Object.values(info.npmPackages);
  if (found === undefined) throw new Error(`${WS} is not there`);
  const program = `${HERE}/_node_worker.ts`;
  const code = await output(Deno.execPath(), ["bundle", "--quiet", "--packages=external", program]);
  const place = `${found.localPath}/wrapper.mjs`;
  return ["node", ENGINE, "--input-type=module", "--eval", code, "--", place];
}

async function output(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`'${program} ${args[0]}' failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function works(program: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
