"""llama.cpp: GGUF files on anything, through xllamacpp's own HTTP server in a process of its own."""

import json
from collections.abc import Mapping
from pathlib import Path

from inferry_runtime.engines.base import ArgumentValue, Command, Intent, Launch
from inferry_runtime.engines.llamacpp_memory import estimate
from inferry_runtime.engines.llamacpp_settings import settings, settle
from inferry_runtime.engines.process import offline_environment
from inferry_runtime.engines.ruled import RuledEngine
from inferry_runtime.hardware import Hardware
from inferry_runtime.memory import Estimate
from inferry_runtime.model.facts import ModelFacts
from inferry_runtime.order import ServeOrder


class LlamaCpp(RuledEngine):
    """`Engine` for llama.cpp. Options are fields of its common parameters, nested by dots."""

    name = "llamacpp"
    routes = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank", "/v1/responses")

    def settle(self, intent: Intent) -> Intent:
        return settle(intent)

    def arguments(self, facts: ModelFacts, hardware: Hardware, intent: Intent) -> Mapping[str, ArgumentValue]:
        return settings(facts, intent)

    def estimate(self, facts: ModelFacts, intent: Intent) -> Estimate:
        return estimate(facts, intent)

    def command(self, order: ServeOrder, launch: Launch) -> Command:
        main = Path(__file__).with_name("llamacpp_server.py")
        aliases = tuple(part for name in order.served_names for part in ("--alias", name))
        projector = ("--projector", str(launch.model_root / order.model.projector)) if order.model.projector else ()
        argv = (
            # -P keeps this folder off the import path: it holds modules named like the engines.
            *(str(launch.python), "-P", str(main)),
            *("--model", str(launch.model_root / order.model.primary)),
            *("--host", launch.host, "--port", str(launch.port)),
            *aliases,
            *projector,
            *("--drain-seconds", f"{order.drain_seconds:g}"),
            *("--arguments", json.dumps(dict(order.engine.arguments), sort_keys=True)),
            *order.engine.extra_arguments,
        )
        return Command(argv=argv, environment=offline_environment(order, launch))
