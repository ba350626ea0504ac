import { findExecutable, windowsPaths } from "./find.ts";

/** What {@link findFirefox} answers where there is no Firefox; see `CHROMIUM_MISSING`. */
export const FIREFOX_MISSING =
  "no Firefox was found: run `npm run setup`, or set FIREFOX to its path";

/** Preferences that give a page WebGPU, on a software adapter too. */
export const FIREFOX_PREFS = {
  "dom.webgpu.enabled": true,
  "gfx.webgpu.ignore-blocklist": true,
} as const;

/** Path of Firefox: `FIREFOX`, or the usual places, or {@link FIREFOX_MISSING}. */
export function findFirefox(): string {
  return process.env.FIREFOX ?? findExecutable(PLACES) ?? FIREFOX_MISSING;
}

const PLACES = {
  names: ["firefox-esr", "firefox"],
  paths: {
    linux: ["/usr/lib/firefox-esr/firefox-esr", "/snap/bin/firefox"],
    darwin: ["/Applications/Firefox.app/Contents/MacOS/firefox"],
    win32: windowsPaths("Mozilla Firefox\\firefox.exe"),
  },
};
