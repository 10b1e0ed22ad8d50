/**
 * What is being done, on the standard error: one line that changes on a terminal, and lines elsewhere.
 */

const encoder = new TextEncoder();
const terminal = Deno.stderr.isTerminal();
let last = 0;

/** Something is about to be done; `detail` is for those who watch. */
export function progress(step: string, detail = ""): void {
  if (terminal) {
    write(`\r\x1b[K${step}${detail && `: ${detail}`}`);
  } else if (detail === "" || performance.now() - last > 10_000) {
    // A log need not have every detail, but should show that it goes on.
    write(`${step}${detail && `: ${detail}`}\n`);
    last = performance.now();
  }
}

/** All is done. */
export function progressEnds(): void {
  if (terminal) write("\r\x1b[K");
}

function write(text: string): void {
  Deno.stderr.writeSync(encoder.encode(text));
}
