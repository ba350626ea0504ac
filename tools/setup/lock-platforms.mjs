// `npm run lock`: names in package-lock.json every platform's optional package.
//
// `npm ci` refuses a lock file that lacks one, and npm leaves out those that the registry at hand
// does not serve (a mirror may keep one platform's only). An entry made here has no checksum; npm
// adds nothing to it and checks nothing, and takes the exact version on the platform it is for.
import { readFileSync, writeFileSync } from "node:fs";

const OS = {
  android: "android",
  darwin: "darwin",
  linux: "linux",
  mac: "darwin",
  win: "win32",
  win32: "win32",
};
const CPU = ["x64", "arm64", "riscv64"];

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const added = [];

for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    const known = Object.keys(lock.packages).some((key) => key.endsWith(path));
    if (!known && /^\d/.test(version)) {
      lock.packages[path] = entry(name, version, parent.dev);
      added.push(name);
    }
  }
}

const [[root, main], ...others] = Object.entries(lock.packages);
others.sort(([a], [b]) => a.localeCompare(b, "en"));
lock.packages = Object.fromEntries([[root, main], ...others]);
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "Nothing is missing." : `Added ${added.join(", ")}.`);

/** The lock entry of a package whose name ends in its platform, as `cli-linux-x64-musl`. */
function entry(name, version, dev) {
  const words = name.split("/").pop().split("-");
  const os = words.map((word) => OS[word]).find((value) => value !== undefined);
  const cpu = words.find((word) => CPU.includes(word));
  if (os === undefined || cpu === undefined) {
    throw new Error(`${name}: no platform in its name; add it to package-lock.json by hand`);
  }
  return {
    version,
    cpu: [cpu],
    ...(dev ? { dev } : {}),
    ...(words.includes("musl") ? { libc: ["musl"] } : {}),
    optional: true,
    os: [os],
  };
}
