/**
 * Our WebSocket and those of others understand each other, whichever end is the client: the npm package
 * `ws`, and Python's `websockets` (Debian package python3-websockets).
 */
import { assert, assertEquals } from "@std/assert";
import { Child, systemTest } from "./_process.ts";
import {
  checkEnds,
  EXPECTED_LINES,
  playClient,
  type ScriptOptions,
  serveScript,
} from "./_websocket_script.ts";

/** Pinned: a new version is to be looked at, not to be met by chance. */
const WS = "npm:ws@8.23.0";
const needs = { permissions: ["net", "read", "run"] } as const;

/** A program that plays the script. */
interface Player {
  readonly name: string;
  /** `undefined`: it is missing. */
  readonly program: string | undefined;
  readonly args: readonly string[];
  /** What to install where it is missing. */
  readonly missing: string;
}

const PLAYERS: readonly Player[] = [
  {
    name: "the npm package ws",
    program: Deno.execPath(),
    args: ["run", "--allow-net", "--allow-env", "tests/system/_websocket_ws.ts", WS],
    missing: "",
  },
  {
    name: "Python's websockets",
    program: await pythonWithWebsockets(),
    args: ["tests/system/_websocket_python.py"],
    missing: "the Debian package python3-websockets",
  },
];

for (const player of PLAYERS) {
  for (const compression of [false, true]) {
    const how = `${player.name}${compression ? ", compressed" : ""}`;
    peerTest(`our server understands a client of ${how}`, player, async (program) => {
      await using server = await serveScript({ compression });
      const args = [...player.args, "client", wordOf({ compression }), server.url];
      await using child = new Child(args, program);
      assertEquals(await child.finish(), 0, child.text);
      const said = child.lines.filter((line) => line !== "");
      for (const line of EXPECTED_LINES) {
        assert(said.includes(line), `No "${line}":\n${child.text}`);
      }
      await checkEnds(server);
    });
    peerTest(`our client understands a server of ${how}`, player, async (program) => {
      const args = [...player.args, "server", wordOf({ compression })];
      await using child = new Child(args, program);
      const port = /port (\d+)/.exec(await child.says(/^port \d+$/))?.[1];
      await playClient(`ws://127.0.0.1:${port}/`, { compression });
    });
  }
}

/** A test that says so, and is skipped, where the other program is missing. */
function peerTest(
  name: string,
  { program, missing }: Player,
  fn: (program: string) => Promise<void>,
): void {
  if (program !== undefined) systemTest(name, needs, () => fn(program));
  else Deno.test({ name: `${name} (skipped: needs ${missing})`, ignore: true, fn() {} });
}

function wordOf({ compression }: ScriptOptions): string {
  return compression ? "deflate" : "none";
}

/** The first Python that has the package; what is on the path need not be Debian's. */
async function pythonWithWebsockets(): Promise<string | undefined> {
  for (const program of ["python3", "/usr/bin/python3"]) {
    try {
      const { success } = await new Deno.Command(program, {
        args: ["-c", "import websockets"],
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return program;
    } catch {
      // No such program, or no permission to run one.
    }
  }
  return undefined;
}
