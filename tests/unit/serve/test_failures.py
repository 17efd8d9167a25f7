"""Real last lines of engines, and the reason they stand for."""

import signal

import pytest

from inferry_runtime.engines.signatures import signatures_of
from inferry_runtime.model.errors import HubUnreachable, UnsafeFormat
from inferry_runtime.serve.failures import FINAL_REASONS, EngineEnd, of_engine, of_model

LLAMACPP = {
    "a tensor lies beyond the end of the file": (
        "0.00.007.579 E llama_model_load: error loading model: tensor 'blk.0.ffn_up.weight' data is not within the "
        "file bounds, model is corrupted or incomplete",
        "ChecksumOrPartialDownload",
    ),
    "the header is cut off": (
        "0.00.005.355 E gguf_init_from_reader: failed to read key-value pairs",
        "ChecksumOrPartialDownload",
    ),
    "the header lies": (
        "0.00.003.673 E gguf_init_from_reader: number of tensors is 2198476786196339469 but must be in [0, 536242560]",
        "ChecksumOrPartialDownload",
    ),
    "the file is no GGUF": (
        "0.00.007.627 E gguf_init_from_reader: invalid magic characters: '??f?', expected 'GGUF'",
        "ChecksumOrPartialDownload",
    ),
    "the file is empty": (
        "0.00.003.596 E gguf_init_from_reader: failed to read magic",
        "ChecksumOrPartialDownload",
    ),
    "the file is not there": (
        "0.00.006.186 E gguf_init_from_file: failed to open GGUF file 'missing.gguf' (No such file or directory)",
        "ModelNotFound",
    ),
    "nobody taught it this architecture": (
        "0.00.007.273 E llama_model_load: error loading model: unknown model architecture: 'lxama'",
        "UnknownArchitecture",
    ),
    "the cache is larger than the memory": (
        "0.01.171.074 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv "
        "cache",
        "KVCacheDoesNotFit",
    ),
    "the heads are too small for a quantized cache": (
        "0.00.004.539 E llama_init_from_model: K cache type q8_0 with block size 32 does not divide n_embd_head_k=16",
        "InvalidArguments",
    ),
    "the weights are larger than the GPU": (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of "
        "memory",
        "WeightsDoNotFit",
    ),
    "somebody listens on its port": (
        "0.00.002.104 E srv         start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 18113",
        "PortUnavailable",
    ),
    "a setting is unknown": (
        'llamacpp_server: error: unknown setting "n_ctxx", did you mean "n_ctx"?',
        "UnknownEngineArgument",
    ),
    "a setting has the wrong type": (
        'llamacpp_server: error: setting "n_ctx" cannot be "5": expected int, got str',
        "UnknownEngineArgument",
    ),
}

TRANSFORMERS = {
    "an option is unknown, and the known ones sound like other causes": (
        'transformers_server: error: unknown argument "dtypo"; known are dtype, quantization, trust_remote_code',
        "UnknownEngineArgument",
    ),
    "it wants to run the repository's code": (
        "ValueError: The repository x contains custom code, please pass the argument `trust_remote_code=True`",
        "UnknownArchitecture",
    ),
    "the header of the weights is cut off": (
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata",
        "ChecksumOrPartialDownload",
    ),
    "the GPU is too small": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB",
        "WeightsDoNotFit",
    ),
    "the disk is full": ("OSError: [Errno 28] No space left on device", "DiskFull"),
    "the quantizer is missing": (
        "ImportError: Using `bitsandbytes` 4-bit quantization requires bitsandbytes: `pip install -U bitsandbytes`",
        "QuantizerPackageMissing",
    ),
}

NOISE = (
    "0.00.001.983 W srv          init: security: no API key is set and CORS allows all origins",
    "0.00.006.593 W load: special_eos_id is not in special_eog_ids - the tokenizer config may be incorrect",
)
WRAPPERS = (
    "0.00.007.646 E common_fit_params: encountered an error while trying to fit params: failed to load model",
    "0.00.008.207 E srv          init: exiting due to model loading error",
    "llamacpp_server: error: Failed to init server, please check the input params.",
)


@pytest.mark.parametrize(("line", "reason"), LLAMACPP.values(), ids=LLAMACPP.keys())
def test_the_line_that_names_the_cause_wins_over_those_that_wrap_it(line: str, reason: str) -> None:
    end = EngineEnd(status=1, lines=(*NOISE, line, *WRAPPERS), was_ready=False)
    failure = of_engine(end, signatures_of("llamacpp"))
    assert failure.reason == reason
    assert failure.message == line
    assert failure.hint
    assert failure.retryable is (reason not in FINAL_REASONS)
    assert failure.log_tail[-1] == WRAPPERS[-1]


@pytest.mark.parametrize(("line", "reason"), TRANSFORMERS.values(), ids=TRANSFORMERS.keys())
def test_the_line_under_a_traceback_names_the_cause(line: str, reason: str) -> None:
    lines = ("Traceback (most recent call last):", '  File "serve.py", line 7, in main', line)
    assert of_engine(EngineEnd(status=1, lines=lines, was_ready=False), signatures_of("transformers")).reason == reason


def test_lines_of_a_healthy_start_name_no_cause() -> None:
    end = EngineEnd(status=3, lines=NOISE, was_ready=False)
    assert of_engine(end, signatures_of("llamacpp")).reason == "EngineCrashed"


def test_a_kill_while_memory_ran_out_is_the_hosts_memory() -> None:
    end = EngineEnd(status=-signal.SIGKILL, lines=NOISE, was_ready=True, out_of_memory_kills=1)
    failure = of_engine(end, signatures_of("llamacpp"))
    assert (failure.reason, failure.retryable) == ("HostOutOfMemory", True)


def test_a_kill_without_a_known_cause_names_the_signal() -> None:
    failure = of_engine(EngineEnd(status=-signal.SIGKILL, lines=NOISE, was_ready=True), signatures_of("llamacpp"))
    assert failure.reason == "EngineCrashed"
    assert "SIGKILL" in failure.message
    assert failure.hint


def test_what_was_logged_before_a_kill_of_a_ready_engine_did_not_cause_it() -> None:
    long_ago = "OSError: [Errno 28] No space left on device: could not write a trace"
    end = EngineEnd(status=-signal.SIGKILL, lines=(long_ago,), was_ready=True)
    assert of_engine(end, signatures_of("llamacpp")).reason == "EngineCrashed"


def test_an_unknown_end_tells_status_moment_and_the_last_complaint() -> None:
    lines = ("loading", "RuntimeError: the flux capacitor is empty", "bye")
    failure = of_engine(EngineEnd(status=7, lines=lines, was_ready=False), signatures_of("transformers"))
    assert failure.message == (
        "the engine ended with status 7 before it was ready: RuntimeError: the flux capacitor is empty"
    )


def test_an_engine_without_a_word_still_gives_a_message() -> None:
    failure = of_engine(EngineEnd(status=0, lines=(), was_ready=True), signatures_of("llamacpp"))
    assert failure.message == "the engine ended with status 0 after it was ready"
    assert failure.log_tail == ()


def test_the_tail_keeps_twenty_lines_of_at_most_500_characters() -> None:
    lines = tuple(f"{number} " + "x" * 1000 for number in range(50))
    tail = of_engine(EngineEnd(status=1, lines=lines, was_ready=False), ()).log_tail
    assert [line.split()[0] for line in tail] == [str(number) for number in range(30, 50)]
    assert {len(line) for line in tail} == {500}


@pytest.mark.parametrize(
    ("error", "retryable"), [(HubUnreachable("no route", hint="wait"), True), (UnsafeFormat("pickle"), False)]
)
def test_errors_of_the_model_keep_their_own_reason_and_hint(
    error: HubUnreachable | UnsafeFormat, retryable: bool
) -> None:
    failure = of_model(error)
    assert (failure.reason, failure.message, failure.hint) == (error.reason, error.message, error.hint)
    assert failure.retryable is retryable


def test_an_argument_the_engine_refuses_is_not_tried_again() -> None:
    line = "llama_init_from_model: K cache type q8_0 with block size 32 does not divide n_embd_head_k=16"
    end = EngineEnd(status=1, lines=[line], was_ready=False)
    told = of_engine(end, signatures_of("llamacpp"))
    assert (told.reason, told.retryable) == ("InvalidArguments", False)
