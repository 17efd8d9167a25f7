"""Whatever a room says as a reason has a sentence, and something to do about it."""

import json
import re
from importlib.resources import files

import pytest

from inferry.api.reasons import OTHER, Reason, meaning_of, next_action
from inferry_runtime.engines.base import Rejection
from inferry_runtime.engines.registry import ENGINES
from inferry_runtime.model.errors import ModelError
from inferry_runtime.serve.failures import FINAL_REASONS

AT_REST = {"Accepted", "ModelVerified", "Inspected", "EngineSelected", "Scheduled", "Available", "Complete", "Ready"}


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


def test_every_final_failure_of_a_replica_is_a_reason():
    assert {reason.value for reason in Reason} >= FINAL_REASONS


def test_a_reason_nobody_knows_still_says_what_to_do():
    assert meaning_of("SomethingNew") is OTHER
    assert "logs" in next_action("SomethingNew")
