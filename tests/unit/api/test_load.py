"""A wrong file is told where it is wrong, what it says there, and what was probably meant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferry.api.load import load_files, load_text

HEAD = "apiVersion: inferry.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: qwen}\n"
MODEL = "  model: {source: 'hf://Qwen/Qwen2.5'}\n"


def problems(text):
    return [str(problem) for problem in load_text(text, "x.yaml").problems]


def spec(body):
    return f"{HEAD}spec:\n{body}"


WRONG = {
    "an unknown field": (
        spec("  modle: {source: 'hf://a/b'}\n" + MODEL),
        ["x.yaml:5:3: spec.modle is not a field here. Did you mean model?"],
    ),
    "an unknown field in Python's spelling": (
        spec(MODEL + "  served_names: [a]\n"),
        ["x.yaml:6:3: spec.served_names is not a field here. Did you mean servedNames?"],
    ),
    "a field in the wrong place": (
        spec(MODEL + "  contextLength: 4096\n"),
        ["x.yaml:6:3: spec.contextLength is not a field here. Did you mean spec.engine.contextLength?"],
    ),
    "a field nobody can guess": (
        spec("  model: {source: /m, zzz: 1}\n"),
        [
            "x.yaml:5:23: spec.model.zzz is not a field here. There are source, name, size, format, quantization, hub,"
            " revision, files, secretRef, mirror, integrity, tasks."
        ],
    ),
    "text instead of a number": (
        spec(MODEL + "  replicas: '2'\n"),
        ['x.yaml:6:13: spec.replicas "2" has to be a whole number.'],
    ),
    "a number that is too small": (
        spec(MODEL + "  engine:\n    contextLength: 0\n"),
        ['x.yaml:7:20: spec.engine.contextLength "0" has to be at least 1.'],
    ),
    "a number instead of text": (
        spec("  model: {source: /m, revision: 1.10}\n"),
        ['x.yaml:5:33: spec.model.revision "1.1" has to be text; put it in quotes. Did you mean "1.1"?'],
    ),
    "a single value instead of a list": (
        spec(MODEL + "  servedNames: qwen\n"),
        ['x.yaml:6:16: spec.servedNames "qwen" has to be a list.'],
    ),
    "a list where fields belong": (
        spec(MODEL + "  engine: [vllm]\n"),
        ["x.yaml:6:3: spec.engine has to be a group of fields."],
    ),
    "an argument that is a list": (
        spec(MODEL + "  engine:\n    args:\n      n_ctx: [1]\n"),
        ["x.yaml:8:7: spec.engine.args.n_ctx has to be text, a number, true or false; nest by dots in the name."],
    ),
    "a word that is not offered": (
        spec("  model: {source: /m, integrity: {policy: verify}}\n"),
        ['x.yaml:5:43: spec.model.integrity.policy "verify" has to be Verify or Record or Off. Did you mean Verify?'],
    ),
    "too many served names": (
        spec(MODEL + f"  servedNames: {[f'n{number}' for number in range(17)]}\n"),
        ["x.yaml:6:3: spec.servedNames has 17 entries; 16 are allowed."],
    ),
    "both source and name": (
        spec("  model: {source: /m, name: qwen}\n"),
        ['x.yaml:5:10: spec.model "qwen" has both source and name; keep one of them.'],
    ),
    "neither source nor name": (
        spec("  model: {}\n"),
        ["x.yaml:5:3: spec.model has neither source nor name; say where the model is."],
    ),
    "no model": (
        spec("  replicas: 1\n"),
        ["x.yaml:5:3: spec.model is missing."],
    ),
    "a scheme nobody knows": (
        spec("  model: {source: 'hff://a/b'}\n"),
        ['x.yaml:5:19: spec.model.source "hff://a/b" unknown source scheme hff://. Did you mean hf://a/b?'],
    ),
    "a served name that stands there twice": (
        spec(MODEL + "  servedNames: [a, b, a]\n"),
        ['x.yaml:6:23: spec.servedNames[2] "a" stands there twice; remove one.'],
    ),
    "more asked for than allowed": (
        spec(MODEL + "  resources: {requests: {memory: 9Gi}, limits: {memory: 8Gi}}\n"),
        [
            'x.yaml:6:34: spec.resources.requests.memory "9Gi" is more than resources.limits.memory (8Gi); raise the'
            " limit or lower the request."
        ],
    ),
    "a bad quantity": (
        spec(MODEL + "  resources: {requests: {cpu: 4x}}\n"),
        [
            'x.yaml:6:31: spec.resources.requests.cpu "4x" is not a quantity; write it like 500m, 4, 512Mi or 8Gi.',
        ],
    ),
    "an image without an engine": (
        spec(MODEL + "  engine: {image: 'example/vllm:1'}\n"),
        [
            'x.yaml:6:19: spec.engine.image "example/vllm:1" needs engine.name: nobody can see from an image which'
            " engine is in it."
        ],
    ),
    "an unknown engine": (
        spec(MODEL + "  engine: {name: llama.cpp}\n"),
        [
            'x.yaml:6:18: spec.engine.name "llama.cpp" is not an engine; there are llamacpp, vllm, sglang,'
            " transformers, mlx. Did you mean llamacpp?"
        ],
    ),
    "a name Kubernetes does not take": (
        HEAD.replace("qwen", "My_Model") + "spec:\n" + MODEL,
        [
            'x.yaml:3:18: metadata.name "My_Model" is not a name Kubernetes takes: lower-case letters, digits, - and .'
            " inside, 253 at most. Did you mean my-model?"
        ],
    ),
    "a misspelt name": (
        HEAD.replace("name:", "nmae:") + "spec:\n" + MODEL,
        ['x.yaml:3:11: metadata.name is missing; "nmae" looks like a misspelling of it.'],
    ),
    "another kind": (
        "apiVersion: v1\nkind: Modeldeployment\n",
        [
            'x.yaml:1:13: apiVersion "v1" has to be inferry.dev/v1alpha1.',
            'x.yaml:2:7: kind "Modeldeployment" has to be ModelDeployment. Did you mean ModelDeployment?',
        ],
    ),
    "no kind": (
        "apiVersion: inferry.dev/v1alpha1\nmetadata: {name: x}\n",
        ["x.yaml:1:1: kind is missing; it has to be ModelDeployment."],
    ),
    "a field that stands there twice": (
        spec(MODEL + "  replicas: 1\n  replicas: 2\n"),
        ["x.yaml:7:3: spec.replicas stands there twice, first in line 6; remove one."],
    ),
    "a tab": (
        spec("\tmodel: 1\n"),
        ["x.yaml:5:1: is indented with a tab, which YAML does not allow; use spaces."],
    ),
    "a list at the top": ("- 1\n", ["x.yaml:1:1: is not a ModelDeployment but a list."]),
    "nothing at all": ("", ["x.yaml:1:1: holds no ModelDeployment."]),
    "only comments and separators": ("# hello\n---\n---\n", ["x.yaml:1:1: holds no ModelDeployment."]),
    "an alias that leads into itself": (
        "&a\nmetadata: *a\n",
        ["x.yaml:1:1: metadata is nested too deeply, or leads into itself."],
    ),
    "a tag of another language": (
        "!!python/object:os.system x\n",
        ['x.yaml:1:1: "x" has the tag tag:yaml.org,2002:python/object:os.system, which means nothing here; remove it.'],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_wrong(text, expected):
    assert problems(text) == expected


def test_all_problems_are_told_at_once_and_the_right_ones_are_loaded():
    good = spec(MODEL)
    bad = spec("  model: {sorce: x}\n  replicas: no\n").replace("qwen", "bad")
    loaded = load_text(f"{good}---\n{bad}---\n---\n{good.replace('qwen', 'other')}", "x.yaml")
    assert [deployment.metadata.name for deployment in loaded.deployments] == ["qwen", "other"]
    assert [(problem.line, problem.path) for problem in loaded.problems] == [
        (11, "spec.model.sorce"),
        (12, "spec.replicas"),
    ]


def test_what_stands_before_a_syntax_error_is_still_read():
    loaded = load_text(spec(MODEL) + "---\n{", "x.yaml")
    assert len(loaded.deployments) == 1
    assert [problem.line for problem in loaded.problems] == [8]


def test_empty_fields_say_nothing():
    loaded = load_text(spec(MODEL + "  engine:\n  resources:\n    limits:\n  servedNames:\n"), "x.yaml")
    assert loaded.problems == ()
    assert loaded.deployments[0].spec.engine.name is None


def test_whole_numbers_need_no_quotes_where_quantities_are():
    body = "  model: {name: qwen2.5, size: 7}\n  resources: {requests: {cpu: 4, memory: 8Gi}}\n"
    (deployment,) = load_text(spec(body), "x.yaml").deployments
    assert (deployment.spec.model.size, deployment.spec.resources.requests.cpu) == ("7", "4")


def test_arguments_keep_their_types():
    body = MODEL + "  engine: {args: {a: 1, b: true, c: 1.0, d: '1', e: yes, f: 0.25}}\n"
    (deployment,) = load_text(spec(body), "x.yaml").deployments
    arguments = deployment.spec.engine.args
    assert [(value, type(value)) for value in arguments.values()] == [
        (1, int),
        (True, bool),
        (1.0, float),
        ("1", str),
        (True, bool),
        (0.25, float),
    ]


def test_merge_keys_and_aliases_are_followed():
    text = f"{HEAD}spec:\n  model: &model {{source: /m}}\n---\n" + (
        HEAD.replace("qwen", "other") + "spec:\n  model:\n    <<: &base {source: /m}\n    revision: v1\n"
    )
    loaded = load_text(text, "x.yaml")
    assert loaded.problems == ()
    assert loaded.deployments[1].spec.model.source == "/m"


def test_a_list_as_kubectl_writes_it_is_read_and_its_status_left_aside():
    item = (
        "- apiVersion: inferry.dev/v1alpha1\n  kind: ModelDeployment\n  metadata: {name: qwen, resourceVersion: '7'}\n"
        "  spec:\n    model: {source: /m}\n    replica: 2\n  status: {strange: 1}\n"
    )
    loaded = load_text(f"apiVersion: v1\nkind: List\nitems:\n{item}", "x.yaml")
    assert [str(problem) for problem in loaded.problems] == [
        "x.yaml:9:5: spec.replica is not a field here. Did you mean replicas?"
    ]
    right = load_text(f"apiVersion: v1\nkind: List\nitems:\n{item.replace('replica:', 'replicas:')}", "x.yaml")
    assert [deployment.spec.replicas for deployment in right.deployments] == [2]


def test_two_objects_may_not_share_a_name_nor_answer_to_the_same_one():
    one = spec(MODEL + "  servedNames: [chat, one]\n")
    two = spec(MODEL + "  servedNames: [chat]\n").replace("name: qwen", "name: two")
    assert problems(f"{one}---\n{one}") == [
        'x.yaml:10:18: metadata.name "qwen" is already the name of the object in x.yaml:3.'
    ]
    assert problems(f"{one}---\n{two}") == [
        'x.yaml:13:16: spec.servedNames "chat" is already served by qwen in x.yaml:3.'
    ]


def test_folders_are_read_and_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text(spec(MODEL))
    (tmp_path / "b.yml").write_text(spec(MODEL).replace("qwen", "b"))
    (tmp_path / "c.txt").write_text("not for us")
    (tmp_path / "d.yaml").write_bytes(b"\xff\xfe\xff")
    loaded = load_files(tmp_path, tmp_path / "missing.yaml")
    assert [deployment.metadata.name for deployment in loaded.deployments] == ["qwen", "b"]
    assert [problem.file for problem in loaded.problems] == [str(tmp_path / "d.yaml"), str(tmp_path / "missing.yaml")]
    assert all("cannot be read" in problem.message for problem in loaded.problems)


def test_json_is_read_too(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '{"apiVersion": "inferry.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "q"},'
        ' "spec": {"model": {"source": "/m"}}}'
    )
    assert len(load_files(path).deployments) == 1


def test_a_file_that_grows_without_end_is_refused():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + step)}: &{chr(98 + step)} [{','.join([f'*{chr(97 + step)}'] * 9)}]\n" for step in range(9)
    )
    loaded = load_text(bomb, "x.yaml")
    assert loaded.deployments == ()
    assert "means too much" in loaded.problems[0].message


PIECES = r"""spec:
  model:
    source: hf://a/b
  - x
metadata: {name: q}
kind: ModelDeployment
apiVersion: inferry.dev/v1alpha1
{
]
---
? a
: b
&a
*a
!!int x
'
"
|
  args: {a: .nan}
%YAML 9
2001-01-01
<<: 1
0x1F
é: ☃"""
LINES = st.sampled_from([*PIECES.splitlines(), "\t", "\u2028"])


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join) | st.text(max_size=60))
def test_no_text_is_too_strange(text):
    loaded = load_text(text, "x.yaml")
    assert loaded.deployments or loaded.problems
    lines = text.count("\n") + 2
    assert all(
        1 <= problem.line <= lines + text.count("\u2028") + text.count("\x85") + text.count("\r")
        for problem in loaded.problems
    )


def test_malformed_fields_do_not_hide_what_else_is_wrong():
    text = HEAD + "spec: {model: {source: 'hff://a/b', name: x}, replicas: two, engin: {}, servedNames: [a, a]}\n"
    told = [(problem.path, problem.nearest) for problem in load_text(text, "page").problems]
    assert told == [
        ("spec.model", ""),
        ("spec.model.source", "hf://a/b"),
        ("spec.replicas", ""),
        ("spec.engin", "engine"),
        ("spec.servedNames[1]", ""),
    ]


def test_what_is_malformed_is_not_also_called_missing():
    problems = load_text(HEAD + "spec: {model: {source: 7}, replicas: two}\n", "page").problems
    assert [problem.path for problem in problems] == ["spec.model.source", "spec.replicas"]
