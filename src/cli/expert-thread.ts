import { parentPort } from "node:worker_threads";
import { helpWithExperts } from "../engine/onnx/experts/helper.ts";
import type { ToHelper } from "../engine/onnx/experts/messages.ts";

// A thread of Node that helps to compute experts.

const parent = parentPort;
if (!parent) throw new Error("unreachable: this is started as a thread");
helpWithExperts({
  post: (message) => parent.postMessage(message),
  listen: (onMessage) => parent.on("message", (message: ToHelper) => onMessage(message)),
});
