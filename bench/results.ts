/**
 * Measures everything that there are goals for, and writes it down: bench/RESULTS.md.
 *
 *     deno task bench:results [--smoke] [--rounds 5]
 *
 * It takes about a quarter of an hour, and wants the machine for itself. The quick form only shows
 * what it would write.
 */
import { measureCpuOnly } from "./_cpu_only.ts";
import { WS } from "./_kinds.ts";
import { progress, progressEnds } from "./_progress.ts";
import { holds, markdown, type Report } from "./_report.ts";
import { rounds, smoke } from "./_settings.ts";

/** The tasks, in the order of the goals. */
const PROGRAMS = [
  "calls.ts",
  "push.ts",
  "broadcast.ts",
  "idle.ts",
  "per_core.ts",
  "linear.ts",
  "imports.ts",
  "profile.ts",
];
const HERE = import.meta.dirname ?? ".";

const args = smoke ? ["--smoke"] : ["--rounds", String(rounds)];
const { reports, cpu } = await measureCpuOnly(rounds, args);
for (const program of PROGRAMS) {
  progress(program);
  reports.push(await reportOf(program));
}
progressEnds();
const text = await whole(reports);
if (smoke) {
  console.log(text);
} else {
  const path = `${HERE}/RESULTS.md`;
  await Deno.writeTextFile(path, text);
  // It lies in the repository, whose files all are formatted.
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output();
  console.log(summary(reports));
}

async function whole(reports: readonly Report[]): Promise<string> {
  const node = await versionOf("node");
  const facts = [
    `${cpu}, ${navigator.hardwareConcurrency} cores, ${Deno.build.os} ${Deno.build.arch}`,
    `Deno ${Deno.version.deno} (V8 ${Deno.version.v8})`,
    ...(node === undefined ? [] : [`Node ${node}`]),
    `\`${WS}\``,
    new Date().toISOString().slice(0, 10),
    `${rounds} rounds, medians`,
  ];
  return `# Results

Written by \`deno task bench:results\`; what each part measures is said in the file of its task. Only
ratios of one run mean anything: another machine has other figures. A goal's floor must hold; its
stretch is what prototypes show to be possible. vnet has all its defaults everywhere: registration,
limits, heartbeat, deadlines, statistics.

${facts.map((fact) => `- ${fact}`).join("\n")}

${summary(reports)}

${reports.map(markdown).join("\n")}`;
}

function summary(reports: readonly Report[]): string {
  const floors = reports.flatMap(({ goals }) => goals.map(holds)).filter((h) => h !== undefined);
  return `${floors.filter(Boolean).length} of ${floors.length} floors hold.`;
}

async function reportOf(program: string): Promise<Report> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", "--allow-run", `${HERE}/${program}`, "--json", ...args],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${program} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(program, { args: ["--version"] }).output();
    return new TextDecoder().decode(stdout).trim().replace(/^v/, "");
  } catch {
    return undefined;
  }
}
