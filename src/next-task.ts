/**
 * Lets the thread do what waits for it, messages first of all, and comes back behind that. By a message to itself:
 * `setTimeout` would wait 4 ms each time.
 */
export function nextTask(): Promise<void> {
  return new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
