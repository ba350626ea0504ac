import { expect, test } from "vitest";
import { createJobs, type JobContext } from "../../../demo/chat/jobs.ts";

/** A job that ends when it is told to stop, and writes down what happens to it. */
function patient(name: string, log: string[]) {
  return ({ signal, current }: JobContext) =>
    new Promise<void>((resolve) => {
      log.push(`${name} starts`);
      signal.addEventListener("abort", () => {
        log.push(`${name} ends${current() ? "" : ", replaced"}`);
        resolve();
      });
    });
}

test("a new job waits for the end of the one before it", async () => {
  const log: string[] = [];
  const jobs = createJobs();

  const first = jobs.run(patient("a", log));
  await Promise.resolve();
  const second = jobs.run(async () => void log.push("b runs"));
  await Promise.all([first, second]);

  expect(log).toEqual(["a starts", "a ends, replaced", "b runs"]);
});

test("of several jobs that wait only the last one is done", async () => {
  const log: string[] = [];
  const jobs = createJobs();

  const all = [jobs.run(patient("a", log))];
  await Promise.resolve();
  for (const name of ["b", "c", "d"]) all.push(jobs.run(async () => void log.push(name)));
  await Promise.all(all);

  expect(log.at(-1)).toBe("d");
  expect(log).not.toContain("b");
  expect(log).not.toContain("c");
});

test("a job that is stopped is still the one that counts", async () => {
  const log: string[] = [];
  const jobs = createJobs();

  const job = jobs.run(patient("a", log));
  await Promise.resolve();
  jobs.stop();
  await job;
  jobs.stop();

  expect(log).toEqual(["a starts", "a ends"]);
});
