"""Tests of the pipeline: ``python -m unittest discover tools/train``."""

from __future__ import annotations

import random
import re
import tempfile
import unittest
import unittest.mock
from dataclasses import replace
from pathlib import Path

import torch
from gguf import GGMLQuantizationType as Type

from bpe import SPECIALS, train_tokenizer
from config import ROUTER_INPUTS, SMOKE
from data import IGNORED, batches, documents, encode, group, wanted
from distil_filter import document
from distil_prompts import Job
from distilled import answers
from export import Precision, export
from grammar import article, expand
from loading import load
from model import Experts, Model, Output, rotate, rope_table
from routing import belady, describe, lru, trace, uniform
from stories import held_out, tell
from train import router_loss

CONFIG = SMOKE.model


def dense_experts(experts: Experts, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Every expert on every token, weighted afterwards."""
    _, chosen, weights = experts.route(residual)
    full = torch.zeros(len(x), experts.config.experts).scatter(1, chosen, weights)
    hidden = torch.einsum("td,efd->tef", x, experts.gate).relu() * torch.einsum("td,efd->tef", x, experts.up)
    return torch.einsum("tef,edf,te->td", hidden, experts.down, full)


class TextTest(unittest.TestCase):
    """The generated text."""

    def test_alternatives_nest(self) -> None:
        made = {expand(random.Random(i), "[a|b[c|d]] {x}", {"x": "y"}) for i in range(50)}
        self.assertEqual(made, {"a y", "bc y", "bd y"})

    def test_articles(self) -> None:
        self.assertEqual([article(w) for w in ("owl", "fox", "unicorn")], ["an owl", "a fox", "a unicorn"])

    def test_no_template_marks_are_left(self) -> None:
        for text in documents(1, 0, 500):
            body = text.replace("<|im_start|>", "").replace("<|im_end|>", "")
            self.assertIsNone(re.search(r"[{}\[\]|]|  | \.", body), body)

    def test_the_split_is_kept(self) -> None:
        rng = random.Random(3)
        for evaluation in (False, True):
            for _ in range(200):
                story = tell(rng, evaluation)
                self.assertEqual(held_out(story.hero.kind, story.thing), evaluation)

    def test_documents_follow_from_the_seed(self) -> None:
        self.assertEqual(documents(1, 2, 5), documents(1, 2, 5))
        self.assertNotEqual(documents(1, 2, 5), documents(1, 3, 5))


class DataTest(unittest.TestCase):
    """Tokens and rows."""

    def test_grouping_keeps_every_document(self) -> None:
        texts = [text.replace("<|im_start|>", "").replace("<|im_end|>", "") for text in documents(1, 0, 60)]
        tokenizer = train_tokenizer(texts, 600)
        groups = group(tokenizer, texts, 2048, 2000, random.Random(1))
        self.assertEqual(sum(b.known() for b in groups), sum(len(ids) - 1 for ids in encode(tokenizer, texts)))
        self.assertTrue(all(b.inputs.numel() <= 2048 or len(b.inputs) == 1 for b in groups))

    def test_only_the_assistant_is_predicted(self) -> None:
        self.assertEqual(wanted([1, 7, 8, 2, 5, 1, 9, 6, 2, 5, 0], 9), [IGNORED] * 4 + [5, 1, 9, 6, 2, 5, 0])

    def test_tokens_round_trip_and_batches_resume(self) -> None:
        tokenizer = train_tokenizer(documents(1, 0, 200), 600)
        self.assertEqual([tokenizer.token_to_id(t) for t in SPECIALS], [0, 1, 2])
        for text in ("naïve café 😀\n\n x", "Once upon a time"):
            self.assertEqual(tokenizer.decode(tokenizer.encode(text).ids), text)
        self.assertEqual(encode(tokenizer, [""])[0], [0])
        config = replace(SMOKE.train, seed=1, batch_tokens=1024)
        stream = batches(tokenizer, config, 256)
        first, second = next(stream), next(stream)
        again = next(batches(tokenizer, config, 256, first[1]))
        self.assertTrue(torch.equal(second[0].inputs, again[0].inputs))


class ModelTest(unittest.TestCase):
    """The model and its optimizer."""

    def test_sorted_experts_equal_dense_experts(self) -> None:
        torch.manual_seed(1)
        experts = Model(CONFIG).layers[0].experts
        x, residual = torch.randn(40, CONFIG.hidden), torch.randn(40, CONFIG.hidden)
        out, balance, counts = experts(x, residual)
        torch.testing.assert_close(out, dense_experts(experts, x, residual), rtol=1e-4, atol=1e-5)
        self.assertEqual(int(counts.sum()), 40 * CONFIG.experts_used)
        self.assertGreater(balance.item(), 0.5)

    def test_routing_ignores_attention(self) -> None:
        torch.manual_seed(1)
        layer = Model(CONFIG).layers[0]
        h = torch.randn(1, 6, CONFIG.hidden)
        before = layer.experts.route(h.flatten(0, 1))[1]
        counts = layer(h, *rope_table(CONFIG, 6)).counts
        self.assertTrue(torch.equal(counts, torch.bincount(before.flatten(), minlength=CONFIG.experts)))

    def test_kept_experts_are_those_of_the_token_before(self) -> None:
        experts = Model(CONFIG).layers[0].experts
        with torch.no_grad():
            experts.router.weight.copy_(torch.eye(CONFIG.experts, CONFIG.hidden))
        residual = torch.zeros(1, 3, CONFIG.hidden)
        residual[0, 0, [0, 1, 2, 3]] = 1
        residual[0, 1, [0, 1, 2, 3]] = 1
        residual[0, 2, [0, 5, 6, 7]] = 1
        self.assertEqual(experts.reuse_loss(residual)[1].item(), (4 + 1) / 8)

    def test_reuse_weighs_less_the_more_experts_are_kept(self) -> None:
        def loss(kept: list[float]) -> float:
            output = Output(*[torch.zeros(2)] * 2, torch.ones(2), torch.tensor(kept), torch.zeros(2))
            return router_loss(output, replace(SMOKE.train, balance=0.0, reuse=2.0, reuse_share=0.8)).item()

        self.assertAlmostEqual(loss([0.1, 0.6]), 2.0)
        self.assertAlmostEqual(loss([0.75, 0.75]), 1.0, places=5)
        self.assertEqual(loss([0.8, 1.0]), 0.0)

    def test_rotation_keeps_lengths_and_the_first_place(self) -> None:
        x = torch.randn(1, 1, 5, CONFIG.head_dim)
        y = rotate(x, *rope_table(CONFIG, 5))
        torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
        torch.testing.assert_close(y[..., 0, :], x[..., 0, :])


class RouterInputTest(unittest.TestCase):
    """What the routers read, seen from outside: which inputs their choices depend on."""

    def choices(self, model: Model, ids: list[int]) -> list[list[list[int]]]:
        tokenizer = unittest.mock.Mock(encode=lambda _: unittest.mock.Mock(ids=ids))
        return trace(model, tokenizer, [""], len(ids))

    def model(self, router_input: str) -> Model:
        torch.manual_seed(1)
        return Model(replace(CONFIG, layers=3, vocab_size=50, router_input=router_input))

    def after_damage(self, router_input: str, damage: str) -> list[bool]:
        """For each layer, whether its choices stay when the weights whose name begins so are changed."""
        ids = torch.randint(0, 50, (24,), generator=torch.Generator().manual_seed(1)).tolist()
        model = self.model(router_input)
        before = self.choices(model, ids)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.startswith(damage):
                    weight.add_(torch.randn_like(weight))
        return [a == b for a, b in zip(before, self.choices(model, ids), strict=True)]

    def test_pre_attention_routers_read_the_entry_of_their_layer(self) -> None:
        self.assertEqual(self.after_damage("pre-attention", "layers.1.attention"), [True, True, False])

    def test_post_attention_routers_read_what_their_experts_read(self) -> None:
        self.assertEqual(self.after_damage("post-attention", "layers.1.attention"), [True, False, False])

    def test_pre_gated_routers_read_what_the_experts_before_read(self) -> None:
        self.assertEqual(self.after_damage("previous-layer", "layers.0.attention"), [False, False, False])
        self.assertEqual(self.after_damage("previous-layer", "layers.1.attention"), [True, True, False])
        self.assertEqual(self.after_damage("previous-layer", "layers.0.experts.down"), [True, True, False])

    def test_decoupled_routers_read_no_layer(self) -> None:
        for part in ("attention", "experts.down", "ffn_norm"):
            self.assertEqual(self.after_damage("decoupled", f"layers.0.{part}"), [True, True, True])
        self.assertEqual(self.after_damage("decoupled", "route.attention"), [False, False, False])


class RoutingTest(unittest.TestCase):
    """Caches on traces that were worked out by hand."""

    def test_lru_and_belady(self) -> None:
        choices = [[0], [1], [2], [0], [1], [2]]
        self.assertEqual(lru(choices, 2), 0.0)
        self.assertAlmostEqual(belady(choices, 2), 2 / 6)
        self.assertAlmostEqual(lru(choices, 3), 3 / 6)

    def test_a_token_keeps_its_own_experts(self) -> None:
        self.assertAlmostEqual(lru([[0, 1], [2, 0], [0, 1]], 2), 2 / 6)

    def test_belady_is_never_worse_than_lru(self) -> None:
        rng = random.Random(5)
        for _ in range(20):
            choices = [rng.sample(range(8), 2) for _ in range(60)]
            for slots in range(2, 9):
                self.assertGreaterEqual(belady(choices, slots), lru(choices, slots))

    def test_uniform_choices_are_even_and_hit_by_their_share(self) -> None:
        report = describe(uniform(32, 4, 2000), 32)
        self.assertGreater(report["entropy"], 0.999)
        self.assertAlmostEqual(report["common"], 4 / 32, delta=0.01)
        self.assertAlmostEqual(report["lru 50%"], 0.5, delta=0.02)


class DistilTest(unittest.TestCase):
    """Which answers are kept, and what becomes of them."""

    def kept(self, kind: str, text: str, opening: str = "", ended: bool = True, thing: str = "") -> str | None:
        made = document(Job(0, kind, "What?", opening, "fox", thing, 40, 0.5), text, ended)
        return made and made["answer"]

    def test_definitions(self) -> None:
        keep = lambda text: self.kept("what", text, "A lamp is", thing="lamp")  # noqa: E731
        self.assertEqual(keep(" a small light. It is nice."), "A lamp is a small light.")
        for bad in (" a lamp that is lit.", " 20 lights in a row.", " light", " a gun with a light.", " a café light."):
            self.assertIsNone(keep(bad), bad)

    def test_stories_name_hero_and_thing_and_do_not_loop(self) -> None:
        body = "She took it out of the box and gave it to an old friend who lived far away by the sea."
        told = f"There was a fox. The fox had a lamp. {body} Then all of them sat down and looked at the stars."
        self.assertEqual(self.kept("story", told, thing="lamp"), told)
        self.assertIsNone(self.kept("story", told, thing="drum"))
        self.assertIsNone(self.kept("story", told + " She was glad to see it." * 3, thing="lamp"))

    def test_the_shares_and_the_split(self) -> None:
        learned, kept_out = ({a["asked"] for a in side} for side in answers())
        self.assertFalse(learned & kept_out)
        self.assertGreater(len(kept_out), 40)
        pool = [a["answer"] for a in answers()[0]]
        texts = documents(1, 5, 600, 0.2)
        share = sum(any(a in text for a in pool) for text in texts) / len(texts)
        self.assertAlmostEqual(share, 0.2, delta=0.05)
        self.assertEqual(documents(1, 5, 50), documents(1, 5, 50, 0.0))


class FileTest(unittest.TestCase):
    """The GGUF file."""

    def test_f32_file_gives_the_same_logits(self) -> None:
        for router_input in ROUTER_INPUTS:
            with self.subTest(router_input):
                self.check_file(router_input)

    def check_file(self, router_input: str) -> None:
        torch.manual_seed(1)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer = train_tokenizer(documents(1, 0, 200), 600)
            tokenizer.save(str(folder / "tokenizer.json"))
            config = replace(CONFIG, vocab_size=tokenizer.get_vocab_size(), router_input=router_input)
            preset = replace(SMOKE, model=config)
            model = Model(preset.model)
            torch.save({"preset": preset.as_dict(), "model": model.state_dict()}, folder / "checkpoint.pt")
            export(folder / "checkpoint.pt", folder / "m.gguf", Precision.of(Type.F32))
            loaded, tokens = load(folder / "m.gguf")
            text = documents(1, 1, 3)[0]
            ids = tokenizer.encode(text).ids
            self.assertEqual(tokens.encode(text).ids, ids)
            with torch.no_grad():
                torch.testing.assert_close(loaded(torch.tensor([ids]))[0], model(torch.tensor([ids]))[0])


if __name__ == "__main__":
    unittest.main()
