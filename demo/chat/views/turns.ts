import { button, byId, create } from "../dom.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";
import type { Turn } from "../turns.ts";

/** How far from the end, in CSS pixels, a reader still wants to follow. */
const FOLLOW_PX = 96;

interface Bubble {
  readonly item: HTMLLIElement;
  readonly text: Text;
  readonly note: HTMLSpanElement;
}

/** Shows the conversation. Text is inserted as text, so that nothing in a reply can act on the page. */
export function mountTurns(store: Store<AppState>, say: (text: string) => void): void {
  const scroller = byId("section", "conversation");
  const list = byId("ol", "turns");
  let bubbles: Bubble[] = [];

  store.watch(
    (state) => state.turns,
    (turns) => {
      const following =
        scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < FOLLOW_PX;
      const asked = turns.length > bubbles.length;
      for (const bubble of bubbles.splice(turns.length)) bubble.item.remove();
      turns.forEach((turn, index) => {
        const bubble = bubbles[index] ?? addBubble(turn);
        bubbles[index] = bubble;
        showTurn(bubble, turn);
      });
      if (turns.length === 0) bubbles = [];
      if (asked || following) scroller.scrollTop = scroller.scrollHeight;
    },
  );

  function addBubble(turn: Turn): Bubble {
    const text = document.createTextNode("");
    const note = create("span", { class: "note" });
    const who = create("h3", { class: "visually-hidden" }, turn.role === "user" ? "You" : "Reply");
    const item = create("li", { class: `turn ${turn.role}` }, who);
    item.append(create("p", { class: "text" }, text));
    if (turn.role === "assistant") {
      const copy = button("Copy", "button quiet copy", () => void copyText(text.data, copy, say));
      item.append(create("div", { class: "turn-foot" }, copy, note));
    }
    list.append(item);
    return { item, text, note };
  }
}

function showTurn(bubble: Bubble, turn: Turn): void {
  const { text, item, note } = bubble;
  if (turn.text.startsWith(text.data)) text.appendData(turn.text.slice(text.length));
  else text.data = turn.text;
  item.classList.toggle("writing", turn.writing);
  item.classList.toggle("empty", turn.text === "");
  if (note.textContent !== turn.note) note.textContent = turn.note;
}

async function copyText(
  text: string,
  copy: HTMLButtonElement,
  say: (text: string) => void,
): Promise<void> {
  const done = await navigator.clipboard.writeText(text).then(
    () => true,
    () => false,
  );
  copy.textContent = done ? "Copied" : "Not allowed";
  say(done ? "Reply copied." : "The browser did not allow copying.");
  setTimeout(() => {
    copy.textContent = "Copy";
  }, 1600);
}
