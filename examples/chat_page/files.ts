/**
 * The files of the page, over HTTP. The script is bundled from TypeScript, once, when the server starts.
 */

/** Nothing comes from elsewhere, and nothing in a message can become a script. */
const HEADERS = {
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Answers requests for the page's files. */
export async function pageFiles(): Promise<(request: Request) => Response> {
  const [html, css, script] = await Promise.all([read("page.html"), read("page.css"), bundle()]);
  const files = new Map([
    ["/", { type: "text/html", text: html }],
    ["/page.css", { type: "text/css", text: css }],
    ["/page.js", { type: "text/javascript", text: script }],
  ]);
  return (request) => {
    const file = files.get(new URL(request.url).pathname);
    if (file === undefined) return new Response("There is nothing here\n", { status: 404 });
    const headers = { ...HEADERS, "content-type": `${file.type}; charset=utf-8` };
    return new Response(file.text, { headers });
  };
}

function read(name: string): Promise<string> {
  return Deno.readTextFile(new URL(name, import.meta.url));
}

async function bundle(): Promise<string> {
  if (Deno.bundle === undefined) {
    console.error("Please start this with --unstable-bundle");
    Deno.exit(2);
  }
  const { success, errors, outputFiles } = await Deno.bundle({
    entrypoints: [new URL("page.ts", import.meta.url).href],
    platform: "browser",
    minify: true,
    write: false,
    outputDir: ".",
  });
  const script = outputFiles?.[0]?.text();
  if (success && script !== undefined) return script;
  throw new Error(`Cannot bundle page.ts: ${errors.map(({ text }) => text).join("; ")}`);
}
