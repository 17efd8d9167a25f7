"""One engine replica: fetch and verify the model, start the engine, ask it one question, watch it, drain it.

`python -m inferry_runtime.serve` is process 1 of an engine pod, and the supervisor of a replica on one machine.
It never stands between a client and the engine.
"""
