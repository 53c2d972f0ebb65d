"""What a protocol lists is what things have and all that is asked of them: lists come from the protocols themselves."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import pytest
import torch
from pydantic import BaseModel, create_model

from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.baselines.methods import BASELINES, GradientMethod
from neuroanp.devices import protocol as laws
from neuroanp.errors import InputError
from neuroanp.learning.protocol import RULES, LearningRule
from neuroanp.losses import LOSSES
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, available, load
from neuroanp.profiles.laws import LAWS
from neuroanp.registry import Registry, members, missing, refuse_incomplete
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import known_effects
from neuroanp.substrates.promises import idle_options, sampled_problem, table_end
from neuroanp.substrates.protocol import Substrate
from neuroanp.tasks.protocol import TASKS, Batch, Task
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.learner import make_learner
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

REGISTRIES = [BACKENDS, BASELINES, LOSSES, RULES, TASKS, *LAWS.values()]
NAMES = {registry.kind: registry for registry in REGISTRIES}
PLAN = PassPlan((1.0, 1.0, 0.0), (0, 1, 2), ((0, 1),))


def listed(registry: Registry) -> type:
    assert registry.protocol is not None
    return registry.protocol


def double(protocol: type, without: str = "") -> type:
    """Return a class that has the members of a protocol and nothing else, perhaps without one."""
    return type("Double", (), dict.fromkeys(set(members(protocol)) - {without}))


class Only:
    """A thing of which nothing but what its protocol lists can be asked; no hasattr and no default hides the rest."""

    def __init__(self, thing: Any, protocol: type) -> None:
        object.__setattr__(self, "_only", (thing, protocol, frozenset(members(protocol))))

    def __getattribute__(self, name: str) -> Any:
        thing, protocol, there = object.__getattribute__(self, "_only")
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        assert name in there, f"{protocol.__name__} does not list '{name}', and it is asked for"
        return getattr(thing, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _, protocol, _ = object.__getattribute__(self, "_only")
        raise AssertionError(f"'{name}' of a {protocol.__name__} is set from outside")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, r in NAMES.items() for name in r.names()])
def test_every_name_has_every_member(kind, name):
    assert missing(NAMES[kind].get(name), listed(NAMES[kind])) == []


CASES = [(kind, member) for kind, r in NAMES.items() for member, of_class in members(listed(r)).items() if of_class]


@pytest.mark.parametrize(("kind", "member"), CASES, ids=["-".join(case) for case in CASES])
def test_what_lacks_a_member_is_refused_when_it_is_registered(kind, member):
    protocol = listed(NAMES[kind])
    registry: Registry[Any] = Registry(kind, "neuroanp.no_such_group", protocol)
    with pytest.raises(InputError) as refused:
        registry.register("mine")(double(protocol, member))
    said = f"{kind} 'mine' lacks {member}: {protocol.__module__}.{protocol.__qualname__} says what each of them is, "
    assert str(refused.value) == said + "and which may be None or empty"
    assert registry.names() == []
    assert registry.register("mine")(double(protocol)) is registry.get("mine")


@pytest.mark.parametrize("kind", LAWS)
def test_a_law_is_a_model_whose_fields_are_members(kind):
    """Of a model all that its instances have is known when it is registered; fields count."""
    protocol = listed(LAWS[kind])
    own = {name for name, of_class in members(protocol).items() if not of_class}
    methods = type("Methods", (), dict.fromkeys(set(members(protocol)) - own))

    def model(names: set[str]) -> type:
        fields: dict[str, Any] = dict.fromkeys(names, (float, 0.0))
        return create_model("Mine", __base__=(methods, BaseModel), **fields)

    assert missing(model(own), protocol) == []
    assert all(missing(model(own - {name}), protocol) == [name] for name in own)


def test_an_entry_point_that_lacks_a_member_is_refused_when_it_is_loaded(tmp_path, monkeypatch):
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (tmp_path / "bare_rules.py").write_text("class Bare:\n    presets = {}\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neuroanp.rules]\nbare = bare_rules:Bare\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        InputError,
        match="rule 'bare' lacks assign, check, compare, errors, feedback, finish, forget, hears_errors, init",
    ):
        RULES.get("bare")


class Painter(Protocol):
    colours: ClassVar[int]
    width: float

    @property
    def name(self) -> str | None: ...
    def paint(self) -> None: ...


def test_what_is_inherited_from_a_protocol_or_promised_alone_is_lacking():
    class Lazy(Painter):  # the bodies of a protocol are `...`: they would return None
        colours: ClassVar[int]

    class Late:
        colours, name = 3, None

        def __init__(self, width: float | None) -> None:
            if width is not None:
                self.width = width

        def paint(self) -> None: ...

    class Slotted(Late):
        __slots__ = ("width",)

    class Wide(Painter, Protocol):
        width: ClassVar[float]  # pyright: ignore[reportIncompatibleVariableOverride]

        def cover(self) -> None: ...

    assert members(Painter) == {"colours": True, "width": False, "name": True, "paint": True}
    assert members(Wide) == {**members(Painter), "width": True, "cover": True}
    assert missing(Late, Wide) == ["cover", "width"]
    assert missing(Lazy, Painter) == ["colours", "name", "paint"]
    assert missing(Late, Painter) == missing(Late(1.0), Painter) == missing(Slotted(1.0), Painter) == []
    assert missing(Late(None), Painter) == ["width"]  # which only an instance can tell
    refuse_incomplete(Late(1.0), Painter, "painter 'late'")
    with pytest.raises(InputError, match=r"painter 'late' lacks width: .*\.Painter says what each of them is"):
        refuse_incomplete(Late(None), Painter, "painter 'late'")


def test_a_class_with_abstract_members_lacks_them():
    from neuroanp.tasks.encoders import ENCODERS, Encoder

    class Half(Encoder):
        def lines(self, inputs: int) -> int:
            return inputs

    with pytest.raises(InputError, match="encoder 'half' lacks encode, spikes: "):
        ENCODERS.register("half")(Half)
    assert "half" not in ENCODERS.names()


@pytest.mark.parametrize(
    ("backend", "profile", "rule"),
    [("rate", "smtj_koenders", "anp"), ("rate", "pcm", "bptt1"), ("rate", "ideal", "np"), ("lif", "ideal", "bptt"),
     ("loihi", "ideal", "anp")],
)  # fmt: skip
def test_training_asks_for_nothing_that_a_protocol_does_not_list(backend, profile, rule, monkeypatch):
    """Updates, evaluations and a checkpoint of things of which nothing else can be asked, to the same bits.

    Whole updates in compiled loops are for neuroanp's own things alone, and round otherwise.
    """
    monkeypatch.setattr("neuroanp.training.pass_learner.plain", lambda lab: False)
    config = configure(
        {"task": "xor", "network": {"hidden": 5}, "profile": profile, "backend": backend, "rule": rule}
        | ({"encoder": "poisson"} if backend == "loihi" else {}),
        {"training.batch": 2},
    )
    plain, strict = (build_trainer(Experiment.of(config)) for _ in range(2))
    test = strict.task.test(Streams(0).generator("test"))
    strict.task = Only(strict.task, Task)  # pyright: ignore[reportAttributeAccessIssue]
    strict.backend = Only(strict.backend, Backend)  # pyright: ignore[reportAttributeAccessIssue]
    strict.substrate = Only(strict.substrate, Substrate)  # pyright: ignore[reportAttributeAccessIssue]
    strict.learner = make_learner(Only(config.rule, LearningRule if config.rule.local else GradientMethod))  # pyright: ignore
    shown = Batch(test.inputs[:, :3], test.targets[:, :3], test.mask)
    held = HeldOutBatch.of(shown, plain.substrate.weights.like, plain.task.loss)
    for trainer in (plain, strict):
        trainer.step()
        trainer.evaluate_after(held, 1.0)
        trainer.load_state_dict(trainer.state_dict())
        trainer.step()
    assert plain.evaluate(held).test_loss == strict.evaluate(held).test_loss
    assert all(torch.equal(W, strict.substrate.weights[name]) for name, W in plain.substrate.weights.items())


SECTIONS = {
    "programming": laws.ProgrammingLaw, "read": laws.ReadLaw, "drift": laws.DriftLaw, "update": laws.UpdateLaw,
    "variability": laws.VariabilityLaw, "stochastic": laws.NodeSource,
}  # fmt: skip


def guarded(profile: HardwareProfile) -> HardwareProfile:
    """Return a profile of whose laws nothing can be asked that their protocols do not list."""
    there = {name: vars(profile)[name] for name in SECTIONS}
    return profile.model_copy(update={n: Only(law, SECTIONS[n]) for n, law in there.items() if law is not None})


@pytest.mark.parametrize("name", available())
def test_a_chip_asks_its_laws_for_nothing_that_a_protocol_does_not_list(name):
    plain = load(name)
    chips = []
    for profile in (plain, guarded(plain)):
        assert (
            profile is plain or Only in {type(law) for law in vars(profile).values()} or name in ("ideal", "sram_cim")
        )
        rng = torch.Generator().manual_seed(0)
        shapes = {"w_in": (4, 2), "w": (4, 4), "w_out": (1, 4)}
        W = Weights.one_layer(
            {key: 0.1 * torch.randn(shape, generator=rng, dtype=torch.float64) for key, shape in shapes.items()}
        )
        chip = DeviceChip.build(profile, W, streams=Streams(0), dt=1e-5, dtype=torch.float64)
        streams = PassStreams(Streams(0), "train", 0)
        chip.elapse(10.0)
        chip.apply(WeightUpdate({key: torch.ones_like(M) for key, M in W.items()}), 1e-2, Streams(0), 0)
        chip.elapse(10.0)
        reads = chip.prepare(1e-3, streams)
        noise = chip.perturbation(PLAN, 2, streams).draw("hidden", 0, 3)
        asked = [
            known_effects(profile),
            sampled_problem(profile, "sampled", chip.effects),
            table_end(profile, chip.effects),
        ]
        chips.append((chip, reads, noise, [*asked, idle_options(profile, chip.effects, "moments", "fast", 310.0)]))
    (one, reads, noise, said), (two, reads_too, noise_too, said_too) = chips
    assert all(torch.equal(M, two.weights[key]) for key, M in one.weights.items())
    assert all(torch.equal(read.W, reads_too[key].W) for key, read in reads.items())
    assert (noise is None) == (noise_too is None)
    assert noise is None or torch.equal(noise, noise_too)
    assert said == said_too


def test_a_class_that_has_all_of_one_protocol_may_lack_members_of_another():
    """And one that lacks something is refused each time it is asked for."""

    class Brush:
        width: ClassVar[int] = 3

    class Broad(Protocol):
        width: ClassVar[int]

    class Soft(Protocol):
        hair: ClassVar[str]

    refuse_incomplete(Brush, Broad, "brush")
    for _ in range(2):
        with pytest.raises(InputError, match="brush lacks hair"):
            refuse_incomplete(Brush, Soft, "brush")
    refuse_incomplete(Brush, Broad, "brush")
