// `npm run setup`: makes sure that both browsers of the test suite are there, each with a WebGPU
// adapter. On Debian and Ubuntu, as root, it installs what lacks; elsewhere it says what to install.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { runnerImport } from "vite";

const { module: chromium } = await runnerImport("./tools/browsers/chromium.ts");
const { module: firefox } = await runnerImport("./tools/browsers/firefox.ts");

const VULKAN_DRIVERS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

const NEEDS = [
  {
    what: "Chrome or Chromium",
    path: () => present(chromium.findChromium()),
    packages: ["chromium"],
  },
  {
    what: "Firefox",
    path: () => present(firefox.findFirefox()),
    packages: ["firefox-esr"],
  },
  {
    what: "a Vulkan driver for Firefox",
    path: () => (process.platform === "linux" ? vulkanDriver() : "part of the system"),
    packages: ["mesa-vulkan-drivers"],
  },
];

for (const variable of ["CHROMIUM", "FIREFOX"]) {
  const path = process.env[variable];
  if (path !== undefined && !existsSync(path)) fail(`${variable} names no file: ${path}`);
}

const missing = NEEDS.filter((need) => need.path() === undefined);
if (missing.length > 0) install(missing);
for (const need of NEEDS) console.log(`${need.what}: ${need.path()}`);

function install(needs) {
  const packages = needs.flatMap((need) => need.packages);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || spawnSync("apt-get", ["--version"]).status !== 0) {
    const list = needs.map((need) => need.what).join(", ");
    fail(
      `The tests need ${list}, which this machine lacks. Install it` +
        (process.platform === "linux"
          ? ` (Debian: sudo apt-get install ${packages.join(" ")})`
          : "") +
        ", or set CHROMIUM and FIREFOX to the paths of the two browsers.",
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { stdio: ["ignore", "inherit", "inherit"], env };
  try {
    execFileSync("apt-get", ["update"], options);
    execFileSync("apt-get", ["install", "-y", "--no-install-recommends", ...packages], options);
  } catch (error) {
    fail(`apt-get could not install ${packages.join(" ")}: ${error.message}`);
  }
  const still = needs.filter((need) => need.path() === undefined);
  if (still.length > 0) fail(`Still missing: ${still.map((need) => need.what).join(", ")}.`);
}

function present(path) {
  return existsSync(path) ? path : undefined;
}

function vulkanDriver() {
  return VULKAN_DRIVERS.filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`))
    .find((path) => path.endsWith(".json"));
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
