/**
 * Chromium without a window, in the hands of a test: over the DevTools protocol, on our own WebSocket.
 *
 * 1. Its profile is a folder that is gone with it, and each tab is somebody else's: they share nothing.
 * 2. Every wait is bounded, and says what it waited for.
 */
import { connectWebSocket, type WebSocketConn } from "@vgo/vnet/websocket";
import { Folder } from "./_folder.ts";
import { Child } from "./_process.ts";

const PROGRAMS: readonly string[] = ["chromium", "chromium-browser", "google-chrome"];
/** How long a tab may take to show what is expected of it, in ms. */
const PATIENCE = 15_000;
/** How often is looked whether it does, in ms. */
const LOOK_AGAIN = 20;

type Fields = Readonly<Record<string, unknown>>;

/** The name of a program that is a Chromium; `undefined`: there is none, or none may be run. */
export async function findChromium(): Promise<string | undefined> {
  for (const program of PROGRAMS) {
    try {
      const args = ["--version"];
      const options = { args, stdout: "null", stderr: "null" } as const;
      if ((await new Deno.Command(program, options).output()).success) return program;
    } catch {
      // No such program, or no permission to run one.
    }
  }
  return undefined;
}

/** How a tab looks at its page. */
export interface Screen {
  readonly width: number;
  readonly height: number;
  /** Pixels of the picture per pixel of the page. @default {1} */
  readonly scale?: number;
  /** A finger, and no mouse. @default {false} */
  readonly touch?: boolean;
  /** @default {false} */
  readonly dark?: boolean;
}

/** A running browser. */
export class Browser implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #devtools: DevTools;

  private constructor(stack: AsyncDisposableStack, devtools: DevTools) {
    this.#stack = stack;
    this.#devtools = devtools;
  }

  static async launch(program: string): Promise<Browser> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await Folder.make());
    const child = stack.use(
      new Child([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-port=0",
        // A server on this machine is a special case to browsers: here it has a name like any other.
        "--host-resolver-rules=MAP *.test 127.0.0.1",
        `--user-data-dir=${folder.path("profile")}`,
        "about:blank",
      ], program),
    );
    const line = await child.says(/^DevTools listening on ws:/);
    const conn = await connectWebSocket(line.slice(line.indexOf("ws:")), {
      maxMessageLength: 1 << 26,
      pingInterval: false,
    });
    const devtools = stack.use(new DevTools(conn));
    // Killed, it would leave processes that still write to the folder.
    stack.defer(async () => {
      await devtools.call("Browser.close");
      await child.finish();
    });
    return new Browser(stack.move(), devtools);
  }

  /** Opens a page, as somebody who was never there. */
  async open(url: string, screen: Screen = { width: 1_000, height: 700 }): Promise<Tab> {
    const { browserContextId } = await this.#devtools.call("Target.createBrowserContext");
    const made = await this.#devtools.call("Target.createTarget", {
      url: "about:blank",
      browserContextId,
    });
    const { sessionId } = await this.#devtools.call("Target.attachToTarget", {
      targetId: made["targetId"],
      flatten: true,
    });
    const tab = new Tab((method, params) => this.#devtools.call(method, params, sessionId));
    await tab.look(screen);
    await tab.goTo(url);
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** One page. */
export class Tab {
  readonly #call: (method: string, params?: Fields) => Promise<Fields>;

  constructor(call: (method: string, params?: Fields) => Promise<Fields>) {
    this.#call = call;
  }

  async goTo(url: string): Promise<void> {
    await this.#call("Page.navigate", { url });
    await this.shows(`document.readyState === "complete" && location.href !== "about:blank"`);
  }

  async look({ width, height, scale = 1, touch = false, dark = false }: Screen): Promise<void> {
    await this.#call("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: scale,
      mobile: touch,
    });
    await this.#call("Emulation.setTouchEmulationEnabled", { enabled: touch });
    const value = dark ? "dark" : "light";
    const features = [{ name: "prefers-color-scheme", value }];
    await this.#call("Emulation.setEmulatedMedia", { features });
  }

  /** Whether there is a network. */
  async network(there: boolean): Promise<void> {
    await this.#call("Network.enable");
    const speed = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await this.#call("Network.emulateNetworkConditions", { offline: !there, ...speed });
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#call("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) {
      throw new Error(`Cannot evaluate ${expression}: ${JSON.stringify(exceptionDetails)}`);
    }
    return fieldsOf(result)["value"];
  }

  /** Resolves when an expression is true in the page. */
  async shows(expression: string): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (await this.evaluate(`!!(${expression})`) !== true) {
      if (performance.now() > end) {
        const text = await this.evaluate("document.body.innerText");
        throw new Error(`It must be true that ${expression}. The page shows:\n${text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
  }

  async click(selector: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** Types into what has the focus, as a keyboard does, and presses Enter. */
  async type(text: string): Promise<void> {
    await this.#call("Input.insertText", { text });
    const enter = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 };
    await this.#call("Input.dispatchKeyEvent", { type: "keyDown", text: "\r", ...enter });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", ...enter });
  }

  /** A picture of it, as PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.#call("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(String(data)), (char) => char.charCodeAt(0));
  }
}

/** Calls over the DevTools protocol. */
class DevTools implements AsyncDisposable {
  readonly #conn: WebSocketConn;
  readonly #calls = new Map<number, PromiseWithResolvers<Fields>>();
  readonly #read: Promise<void>;
  #last = 0;

  constructor(conn: WebSocketConn) {
    this.#conn = conn;
    this.#read = this.#answers();
  }

  async call(method: string, params: Fields = {}, sessionId?: unknown): Promise<Fields> {
    const id = ++this.#last;
    const call = Promise.withResolvers<Fields>();
    this.#calls.set(id, call);
    await this.#conn.send(JSON.stringify({ id, method, params, sessionId }));
    return await call.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#conn.close();
    await this.#read;
  }

  async #answers(): Promise<void> {
    for await (const message of this.#conn) {
      const { id, result, error } = fieldsOf(JSON.parse(String(message)));
      const call = this.#calls.get(Number(id));
      this.#calls.delete(Number(id));
      if (error === undefined) call?.resolve(fieldsOf(result));
      else call?.reject(new Error(JSON.stringify(error)));
    }
    for (const call of this.#calls.values()) call.reject(new Error("The browser has ended"));
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
