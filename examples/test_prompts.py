"""Prompts and models on the same cases, graded by a judge: an evaluation that runs offline.

StandInModel and StandInJudge only stand in for language models: put calls of yours there.
"""

import json
import re

import numpy as np

from pytest_hypersearch import sweep

PROMPTS = {
    "plain": "{question}",
    "terse": "Answer with a number alone. {question}",
    "steps": "Think step by step, then answer with a number alone. {question}",
}
MODELS = {"small": 0.65, "large": 0.80}
CASES = [(f"What is {a} times {64 - a}?", str(a * (64 - a))) for a in range(3, 43)]
SPACE = {"prompt": list(PROMPTS), "model": list(MODELS)}


class StandInModel:
    """Multiplies, and errs at random: less if it is large, or thinks, which takes tokens."""

    def __init__(self, name, rng):
        self.skill, self.rng = MODELS[name], rng

    def complete(self, text):
        a, b = map(int, re.findall(r"\d+", text))
        thinks, chats = "step by step" in text, "alone" not in text
        right = self.rng.random() < self.skill + 0.15 * thinks - 0.05 * chats
        return str(a * b if right else a * b + 10), 10 + 60 * thinks + 20 * chats


class StandInJudge:
    """Grades an answer with 1 or 0, and is wrong one time in twenty."""

    def __init__(self, rng):
        self.rng = rng

    def grade(self, answer, expected):
        return int((answer == expected) != (self.rng.random() < 0.05))


def evaluate(prompt, model, cases, rng):
    """Return answers to cases, each with its grade, the mean of three, and its cost in tokens."""
    model, judge, answers = StandInModel(model, rng), StandInJudge(rng), []
    for question, expected in cases:
        answer, tokens = model.complete(PROMPTS[prompt].format(question=question))
        grade = np.mean([judge.grade(answer, expected) for _ in range(3)])
        answers.append({"question": question, "answer": answer, "grade": grade, "tokens": tokens})
    return answers


@sweep(
    grid=SPACE,
    replicates=8,
    metric="grade",
    mode="max",
    constraints={"tokens": "<= 100"},
    gate={"grade": 0.02},
)
def test_prompts(prompt, model, trial):
    answers = evaluate(prompt, model, CASES, trial.rng)
    (trial.path / "answers.json").write_text(json.dumps(answers, indent=1))
    return {name: np.mean([answer[name] for answer in answers]) for name in ("grade", "tokens")}
