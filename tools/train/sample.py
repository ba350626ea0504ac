"""Ask a trained model: each argument after the model is one request."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from bpe import END_OF_TEXT_ID, TURN_END_ID, TURN_START
from data import chat_text
from loading import load
from model import Model

REQUESTS = (
    "Tell me a story about a fox and a lantern.",
    "Tell me a story about an owl and a drum.",
    "Write a story about Rosie the hedgehog and a seed.",
    "Tell me a short story about a robot and a flower.",
    "Please tell me a story about a whale",
    "Write a story about a knight and a key.",
    "Tell me a story about a penguin named Kalo and a sled.",
    "Tell me a bedtime story.",
    "Can you tell me a story about a storm?",
    "Tell me a story about a mouse and a cake in the castle.",
    "Tell me a happy story about two friends",
    "Write a story about a dragon who is afraid of the dark.",
    "Once upon a time",
    "Tell me a dream about a turtle and a piano.",
    "Hello!",
    "Who are you?",
    "What is a lantern?",
    "What is the opposite of loud?",
    "What is four plus three?",
    "What is the capital of Sweden?",
)


@torch.no_grad()
def generate(model: Model, ids: list[int], limit: int, temperature: float, random: torch.Generator) -> list[int]:
    """New tokens up to an end token; temperature 0 takes the likeliest."""
    made: list[int] = []
    while len(made) < limit and len(ids) + len(made) < model.config.context:
        logits = model(torch.tensor([ids + made]))[0][0, -1]
        if temperature == 0:
            token = int(logits.argmax())
        else:
            token = int(torch.multinomial((logits / temperature).softmax(0), 1, generator=random))
        if token in (TURN_END_ID, END_OF_TEXT_ID):
            break
        made.append(token)
    return made


def ask(model: Model, tokenizer: Tokenizer, request: str, temperature: float, seed: int, limit: int = 400) -> str:
    """The answer to one request."""
    prompt = chat_text([(request, "")]).rsplit("<|im_end|>", 1)[0]
    assert prompt.startswith(TURN_START)
    ids = tokenizer.encode(prompt).ids
    made = generate(model, ids, limit, temperature, torch.Generator().manual_seed(seed))
    return tokenizer.decode(made)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="checkpoint.pt or a .gguf")
    parser.add_argument("requests", nargs="*", default=REQUESTS)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model, tokenizer = load(args.model)
    for request in args.requests:
        answer = ask(model, tokenizer, request, args.temperature, args.seed)
        print(f"> {request}\n\n{answer}\n")


if __name__ == "__main__":
    main()
