"""Whatever a room says as a reason has a sentence, and something to do about it."""

import ast
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from inferry.api.reasons import OTHER, Reason, meaning_of, next_action
from inferry_runtime.engines.base import Rejection
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.model.errors import ModelError
from inferry_runtime.serve.failures import FINAL_REASONS

ROOT = Path(__file__).parents[3]
AT_REST = {"Accepted", "ModelVerified", "Inspected", "EngineSelected", "Scheduled", "Available", "Complete", "Ready"}


def given_by(node):
    match node:
        case ast.Attribute(value=ast.Name(id="Reason"), attr=name):
            yield Reason[name].value
        case ast.Call(func=ast.Name(id="failure"), args=[ast.Constant(value=word), *_]):
            yield word
        case ast.ClassDef(bases=[ast.Name(id="StrEnum")], name="Rejection", body=body):
            yield from (statement.value.value for statement in body if isinstance(statement, ast.Assign))
        case ast.Assign(targets=[ast.Name(id="reason")], value=ast.Constant(value=word)):
            yield word
        case ast.Call(keywords=keywords):
            yield from (
                one.value.value for one in keywords if one.arg == "reason" and isinstance(one.value, ast.Constant)
            )


def below(kind):
    return {kind, *(found for child in kind.__subclasses__() for found in below(child))}


def test_every_reason_has_a_meaning_and_every_meaning_a_reason():
    table = json.loads(files("inferry.api").joinpath("reasons.json").read_bytes())
    assert list(table) == [reason.value for reason in Reason]


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_word_with_a_sentence_and_an_action(reason):
    assert re.fullmatch(r"[A-Z][A-Za-z]+", reason)
    assert reason.meaning.sentence.endswith(".")
    assert (reason.meaning.next_action == "") == (reason.value in AT_REST)
    assert reason.meaning.next_action.endswith(".") or reason.value in AT_REST


@pytest.mark.parametrize("kind", sorted(below(ModelError), key=lambda kind: kind.__name__))
def test_every_model_error_is_a_reason(kind):
    meaning = meaning_of(kind.reason)
    assert meaning is not OTHER
    assert meaning.about in ("ModelReady", "Accepted")


@pytest.mark.parametrize("rejection", Rejection)
def test_every_rejection_is_a_reason(rejection):
    assert meaning_of(rejection) is not OTHER


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())
def test_every_failure_signature_of_an_engine_is_a_reason(engine):
    assert {signature.reason for signature in engine.signatures} <= {reason.value for reason in Reason}


def test_every_reason_is_given_by_somebody():
    """By name, as a word that a failure or an error is made with, or in the data about engines."""
    modules = [path for root in ("operator", "runtime") for path in (ROOT / root).rglob("*.py")]
    trees = [ast.parse(path.read_bytes()) for path in modules if path.name != "reasons.py"]
    words = {word for tree in trees for node in ast.walk(tree) for word in given_by(node)}
    words |= {signature.reason for engine in ENGINES.values() for signature in engine.signatures}
    assert [reason.value for reason in Reason if reason.value not in words] == []


def test_every_final_failure_of_a_replica_is_a_reason():
    assert {reason.value for reason in Reason} >= FINAL_REASONS


def test_a_reason_nobody_knows_still_says_what_to_do():
    assert meaning_of("SomethingNew") is OTHER
    assert "logs" in next_action("SomethingNew")
