"""The command `skygarden`: each thing a user does is one subcommand."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from envs.errors import OptionError, SkygardenError

if TYPE_CHECKING:
    from rollout.environments import EnvConfig
    from skygarden.playing import Rollouts
    from skygarden.workplace import Workplace

PresetName = Literal["paper", "laptop", "smoke"]
Pad = Literal["left", "middle", "right"]
Reads = Literal["embeddings", "features"]


@dataclass(frozen=True, kw_only=True)
class _InEnv:
    """Where a policy plays."""

    backend: Literal["standin", "window"] = "standin"
    profile: str | None = None  # of the game in a window: a .toml file or the name of one in the box; says "window"

    def env(self) -> "EnvConfig":
        """The same as settings."""
        from rollout.environments import EnvConfig

        if self.backend == "standin" and self.profile is None:
            return EnvConfig()
        return EnvConfig(backend="window", profile=self.profile or "standin")


@dataclass(frozen=True, kw_only=True)
class _WithWorkers(_InEnv):
    """Who plays online: processes on this machine, unless it is said otherwise."""

    listen: str | None = None  # HOST:PORT where workers come that were started elsewhere, with `skygarden worker`
    certificates: Path | None = None  # the learner's folder, as `certs` writes it
    tokens: Path | None = None  # a file of lines NAME TOKEN, in place of the workers' certificates
    cluster: str | None = None  # HOST:PORT of a Ray cluster's head, or auto on one of its machines: workers play there
    games: int | None = None  # at once, on the cluster; default: as many as share a batch
    first_display: int | None = None  # of the cluster's machines, for real games; deploy/displays.sh begins with 10
    metrics_port: int | None = None  # of this machine, for Prometheus; default: a free one, which `status` finds

    def workplace(self) -> "Workplace":
        """The same as a place.

        Raises: OptionError: they do not fit together.
        """
        from skygarden.workplace import Elsewhere, Here

        if self.cluster:
            from skygarden.clustering import OnRay

            if self.listen or self.certificates or self.tokens:
                raise OptionError("--cluster makes what --listen, --certificates and --tokens are for; leave them out")
            return OnRay(address=self.cluster, games=self.games, first_display=self.first_display)
        if self.games is not None or self.first_display is not None:
            raise OptionError("--games and --first-display are of a cluster: add --cluster auto")
        if self.listen:
            return Elsewhere(listen=self.listen, certificates=self.certificates, tokens=self.tokens)
        if self.certificates or self.tokens:
            raise OptionError("--certificates and --tokens are for workers from elsewhere: add --listen HOST:PORT")
        return Here()


@dataclass(frozen=True, kw_only=True)
class Align(_WithWorkers):
    """Align an agent with a preference, from imitation to online learning; ends in a report. What is there is kept."""

    to: Pad | None = None  # the pad that the synthetic designer prefers
    teacher: str | None = None  # in its place a rule of your own, as module:function; see skygarden/rules.py
    preferences: Path | None = None  # in its place your answers: made with `label` (.sqlite), or a table (.parquet)
    policy: str = "base-4m"  # trained on people's gameplay: a name, a file or a run's folder
    finetuned: str | None = None  # one that is fine-tuned already, which leaves that stage out
    preset: PresetName = "laptop"
    episodes: Path | None = None  # what the fine-tuned one has played already; default: it plays
    rounds: int = 1  # of collecting episodes and imitating the best; with preferences, of asking you about new ones
    updates: int | None = None  # online; default: the preset's
    workers: int | None = None  # that share a batch; default: the preset's
    seed: int = 0
    device: str = "auto"
    data: Path = Path("data/ninja")  # folder of gameplay to fine-tune on, recorded where there is too little
    out: Path | None = None  # folder of the run; default: runs/align- and what is wanted

    def run(self) -> None:
        """Do it."""
        from skygarden.pipeline import Alignment, align
        from skygarden.presets import PRESETS, online_settings

        preset = PRESETS[self.preset]
        changes = {"updates": self.updates, "shares": self.workers, "metrics_port": self.metrics_port}
        wanted = _one_of(self.to, self.teacher)
        name = (wanted or "preferences").rpartition(":")[2]
        align(
            Alignment(
                to=wanted,
                answers=self.preferences,
                episodes=self.episodes,
                preset=replace(preset, online=online_settings(preset.online, self.seed, changes)),
                base=self.policy,
                finetuned=self.finetuned,
                rounds=self.rounds,
                seed=self.seed,
                data=self.data,
                device=self.device,
                env=self.env(),
                workplace=self.workplace(),
                out=self.out or Path("runs") / f"align-{name}",
            )
        )


@dataclass(frozen=True, kw_only=True)
class Demo(Align):
    """Align the agent in the box to the left pad, in the folder `demo`; ends in a report."""

    to: Pad | None = "left"
    data: Path = Path("demo/gameplay")
    out: Path | None = Path("demo")


@dataclass(frozen=True, kw_only=True)
class World:
    """Let scripted players play; write a video, a contact sheet, a map and a page that shows them."""

    out: Path = Path("world")  # folder to write to
    players: int = 200
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.world import world

        world(self.out, self.players, self.seed)


@dataclass(frozen=True, kw_only=True)
class Gameplay:
    """Record the stand-in's humans at play, as replays, on all processors."""

    hours: float  # of gameplay that the folder shall hold; what is there already is kept
    out: Path  # folder of replays
    seed: int = 0
    character: str | None = None  # that all play; default: a random one each
    processes: int | None = None  # default: one for each processor

    def run(self) -> None:
        """Do it."""
        from skygarden.gameplay import record

        record(self.out, self.hours, self.seed, self.character, self.processes)
        size = sum(p.stat().st_size for p in self.out.glob("match-*.npz"))
        Console().print(f"{self.hours:g} hours in {self.out}: {size / 1e3:.0f} kB")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Watch a replay, or a policy at play, in a window or as a video."""

    what: Annotated[str, tyro.conf.Positional]  # a replay (.npz), or a policy: a name, a file or a run's folder
    out: Path | None = None  # a video to write (.mp4); default: a window
    start: int | None = None  # of a replay, its first step; default: 0
    length: int | None = None  # of a replay, steps; default: to the end
    episodes: int | None = None  # of a policy; default: until the window is closed, and 3 in a video
    seed: int | None = None  # of a policy's first episode, the others follow by one; default: 0
    reward: Path | None = None  # a reward model whose score is drawn below a policy's episodes (.safetensors)

    def run(self) -> None:
        """Do it."""
        if self.out is not None and self.out.suffix != ".mp4":
            raise OptionError(f"a video is an .mp4 file, got --out {self.out}")
        of_replays = {"start": self.start, "length": self.length}
        of_policies = {"episodes": self.episodes, "seed": self.seed, "reward": self.reward}
        if Path(self.what).suffix == ".npz":
            from skygarden.watch_replay import watch_replay

            _refuse(of_policies, f"{self.what} is a replay")
            watch_replay(Path(self.what), self.out, self.start or 0, self.length)
        else:
            from skygarden.watch_policy import watch_policy

            _refuse(of_replays, f"{self.what} is a policy, as it does not end in .npz")
            watch_policy(self.what, self.out, self.episodes, self.seed or 0, self.reward)


def _refuse(options: Mapping[str, object], reason: str) -> None:
    """Raise OptionError where one of the options, which make no sense here, is given."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise OptionError(f"{reason}, which takes no {' and no '.join(given)}; leave that out")


@dataclass(frozen=True, kw_only=True)
class Play:
    """Play yourself, with the keyboard or a gamepad."""

    character: str = "ninja"
    skin: int = 0
    record: Path | None = None  # keep the play as this replay (.npz)
    size: int = 768  # pixels, of the window's sides

    def run(self) -> None:
        """Do it."""
        from skygarden.play import play

        play(self.character, self.skin, self.record, self.size)


@dataclass(frozen=True, kw_only=True)
class Game:
    """The stand-in as an ordinary game: a window with a start menu, at 60 frames a second, for gamepad or keyboard."""

    size: tuple[int, int] = (640, 480)  # pixels, of the window's width and height; it can be resized
    dressing: int = 0  # seed of what the world looks like
    seed: int | None = None  # of the starts that are "any"; default: another one each time
    log: Path | None = None  # a file for what happens, a line of JSON for each event

    def run(self) -> None:
        """Do it."""
        from skygarden.game.loop import GameConfig, run_game

        run_game(GameConfig(size=self.size, dressing=self.dressing, seed=self.seed, log=self.log))


@dataclass(frozen=True, kw_only=True)
class ImportBleedingEdge:
    """Check the published sample of Bleeding Edge gameplay and make it a data folder for `pretrain`."""

    folder: Annotated[Path, tyro.conf.Positional]  # of the downloaded clips (.npz)
    out: Path = Path("data/bleeding-edge")  # folder to write recordings to

    def run(self) -> None:
        """Do it."""
        from skygarden.importing import import_bleeding_edge

        import_bleeding_edge(self.folder, self.out)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record how you play, in any window: film, gamepad or keys, and time, as a LeRobot dataset for `pretrain`."""

    profile: str | None = None  # of the game: a .toml file or the name of one in the box
    title: str | None = None  # without one: of the window, a regular expression
    process: str | None = None  # or whose window it is, an executable's name
    out: Path = Path("data/recorded")  # folder of the dataset; what is there is kept
    task: str = "play"  # a sentence: what you set out to do
    hands: Literal["any", "gamepad", "keyboard"] = "any"  # that you play with
    seconds: float | None = None  # default: until Ctrl-C, or until START and BACK are held for a second
    height: int = 480  # pixels of the frames of a new dataset; an agent sees 128, calibrating jump pads likes more
    check: Path | None = None  # record nothing: say what is wrong with the episodes of this dataset
    recover: Path | None = None  # record nothing: finish what a recorder that was killed left in this dataset

    def run(self) -> None:
        """Do it."""
        from skygarden.record import RecordConfig, check, game_of, record, recover

        if self.recover is not None:
            recover(self.recover)
        if self.check is not None:
            check(self.check)
        if self.recover is None and self.check is None:
            config = RecordConfig(
                out=self.out, task=self.task, hands=self.hands, seconds=self.seconds, height=self.height
            )
            record(game_of(self.profile, self.title, self.process), config)


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Find out what is wrong between an agent and a game's window, step by step, and what to do; writes a page."""

    profile: Annotated[str, tyro.conf.Positional]  # of the game: a name that comes with Skygarden, or a .toml file
    out: Path = Path("doctor.html")  # page to write, with what the window shows

    def run(self) -> None:
        """Do it; exit status 1 where there is a fault."""
        from skygarden.doctor import doctor

        if not doctor(self.profile, self.out):
            raise SystemExit(1)


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Measure a game through its window, learn its jump pads' looks from recorded runs, and write a profile of it."""

    profile: Annotated[str, tyro.conf.Positional]  # to begin from: a name that comes with Skygarden, or a .toml file
    out: Path  # folder for the new profile, which extends that one and says only what was measured
    measure: bool = True  # play the game by itself: latency, dead zones, which way is up, how evenly frames come
    runs: Path | None = None  # dataset of runs, whose tasks name a pad or "none"; BACK pressed half a second after each
    reached: tuple[tuple[int, float], ...] = ()  # EPISODE SECOND of launches in it that were found wrongly
    pushes: int = 20  # of the right stick, to measure latency by
    seed: int = 0  # of learning

    def run(self) -> None:
        """Do it."""
        from skygarden.calibrate import CalibrateConfig, calibrate

        calibrate(
            CalibrateConfig(
                profile=self.profile,
                out=self.out,
                measure=self.measure,
                runs=self.runs,
                reached=self.reached,
                pushes=self.pushes,
                seed=self.seed,
            )
        )


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What commands that train a policy have in common."""

    preset: PresetName = "laptop"
    updates: int | None = None  # default: the preset's, as the next
    learning_rate: float | None = None
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Pretrain(_Training):
    """Train a base policy on gameplay; a run that was stopped goes on."""

    policy: str = "scratch"  # to start from: a name, a file or a run's folder; "scratch" for random weights
    data: tuple[Path, ...] = (Path("data/gameplay"),)  # folders of recordings, or of gameplay (recorded, where missing)
    out: Path = Path("runs/base")  # folder of the run

    def run(self) -> None:
        """Do it."""
        from skygarden.presets import PRESETS, changed
        from skygarden.pretrain import pretrain

        preset = PRESETS[self.preset]
        training = changed(preset.pretrain.training, self.updates, self.learning_rate)
        stage = replace(preset.pretrain, training=training)
        pretrain(stage, self.policy, preset.size, self.data, self.out, self.seed, self.device)


@dataclass(frozen=True, kw_only=True)
class Finetune(_Training):
    """Fine-tune a policy on successful trajectories of one character; a run that was stopped goes on."""

    policy: str = "base-4m"  # to start from: a name, a file or a run's folder; "scratch" for random weights
    data: Path = Path("data/ninja")  # folder of gameplay; hours that the preset asks for and are missing are recorded
    out: Path = Path("runs/sft")  # folder of the run
    through_window: bool = False  # for an agent that is to play in one: most frames are as a window gives them

    def run(self) -> None:
        """Do it."""
        from skygarden.finetune import finetune
        from skygarden.presets import PRESETS, THROUGH_A_WINDOW, changed

        preset = PRESETS[self.preset]
        stage = preset.finetune
        sights = THROUGH_A_WINDOW if self.through_window else stage.sights
        training, scratch = (changed(c, self.updates, self.learning_rate) for c in (stage.training, stage.scratch))
        stage = replace(stage, training=training, scratch=scratch, sights=sights)
        finetune(stage, self.policy, preset.size, self.data, self.out, self.seed, self.device)


@dataclass(frozen=True, kw_only=True)
class _Playing(_InEnv):
    """What commands that let a policy play have in common."""

    policy: Annotated[str, tyro.conf.Positional]  # a name, a file or a run's folder; "random" presses anything
    episodes: int = 1000
    seed: int = 0
    context: Literal["window", "chunked"] = "chunked"  # what is read of the past; see agents/inference.py
    temperature: float = 1.0
    environments: int = 64  # at once, in the stand-in
    device: str = "auto"

    def rollouts(self) -> "Rollouts":
        """The same as settings."""
        from agents.inference import ActorConfig
        from skygarden.playing import Rollouts

        return Rollouts(
            policy=self.policy,
            episodes=self.episodes,
            seed=self.seed,
            environments=self.environments,
            acting=ActorConfig(context=self.context, temperature=self.temperature, device=self.device),
            env=self.env(),
        )


@dataclass(frozen=True, kw_only=True)
class Evaluate(_Playing):
    """Let a policy play and see which pads it reaches: a table, results.json, pictures and videos."""

    teacher: str | None = None  # a rule, as module:function, whose behaviour is counted
    out: Path | None = None  # folder to write to; default: runs/evaluation/ and the policy's name
    videos: int = 6

    def run(self) -> None:
        """Do it."""
        from skygarden.aims import aim_of
        from skygarden.evaluate import evaluate

        aim = aim_of(self.teacher) if self.teacher else None
        evaluate(self.rollouts(), self.out or Path("runs/evaluation") / Path(self.policy).stem, self.videos, aim=aim)


@dataclass(frozen=True, kw_only=True)
class Collect(_Playing):
    """Let a policy play and keep its episodes, to compare and to learn from."""

    episodes: int = 2400
    seed: int = 1_000_000  # of the first start: no evaluation begins there
    out: Path = Path("runs/episodes.safetensors")  # file to write

    def run(self) -> None:
        """Do it."""
        from skygarden.playing import collect_to

        collect_to(self.rollouts(), self.out)


@dataclass(frozen=True, kw_only=True)
class Reward:
    """Train a reward model on comparisons of collected episodes, and test it on episodes that it has not seen."""

    to: Pad | None = None  # the pad that the synthetic designer prefers, and that the test is about
    teacher: str | None = None  # in its place a rule of your own, as module:function; see skygarden/rules.py
    episodes: Path = Path("runs/episodes.safetensors")  # as `collect` writes them
    preferences: Path | None = None  # answers to learn from (.sqlite, .parquet); default: the synthetic designer's
    preset: PresetName = "laptop"
    out: Path = Path("runs/reward")  # folder to write to
    trajectories: int | None = None  # that may be compared, the others are the test; default: the preset's, as the next
    comparisons: int | None = None  # that the synthetic designer makes among those
    reads: Reads | None = None  # what the agent's transformer reads, or, as in the paper, what its head reads
    rationality: float = float("inf")  # how surely it prefers the better one; 0 is a coin
    mistake: float = 0.0  # chance of an answer the wrong way round
    curve: int = 0  # seeds with which to plot accuracy against the number of comparisons, for two encoders
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from agents.preferences import Teacher
        from skygarden.aims import aim_of
        from skygarden.presets import PRESETS
        from skygarden.rewarding import Source, train_reward

        stage = PRESETS[self.preset].reward
        stage = replace(
            stage,
            trajectories=self.trajectories or stage.trajectories,
            comparisons=self.comparisons or stage.comparisons,
            reads=self.reads or stage.reads,
            training=replace(stage.training, seed=self.seed),
        )
        teacher = Teacher(rationality=self.rationality, mistake=self.mistake)
        wanted = _one_of(self.to, self.teacher)
        aim = aim_of(wanted) if wanted else None
        train_reward(stage, [Source(self.episodes, self.preferences)], aim, self.out, teacher)
        if self.curve:
            from skygarden.reward_curve import reward_curve

            if aim is None:
                raise OptionError("a curve needs one who can be asked anything: --to PAD or --teacher MODULE:FUNCTION")
            reward_curve(stage, self.episodes, aim, self.out, self.curve)


@dataclass(frozen=True, kw_only=True)
class Label:
    """Compare trajectories yourself, two or more side by side, on a page in your browser."""

    episodes: Annotated[Path, tyro.conf.Positional] = Path("runs/episodes.safetensors")  # as `collect` writes them
    answers: Path = Path("runs/answers.sqlite")  # file they are kept in; what is there is kept
    intent: str = ""  # a sentence that stands on top of the page: what you want of the agent
    labeller: str | None = None  # who answers; default: who is logged in
    ask: Literal["pairs", "groups"] = "pairs"
    items: int = 5  # trajectories of a group
    points: int = 5  # of a group's scale
    choose: Literal["random", "disagreement"] = "random"  # what to ask: anything, or where reward models disagree
    goal: int | None = None  # comparisons to make
    reward: Path | None = None  # a reward model whose scores are compared with the answers
    host: str = "127.0.0.1"  # another one lets others in who know the token
    port: int = 8765
    browser: bool = True  # open the page
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.designer.interview import InterviewConfig
        from skygarden.designer.questions import QuestionConfig
        from skygarden.label import label, own_name

        items = 2 if self.ask == "pairs" else self.items
        questions = QuestionConfig(items=items, points=self.points, choose=self.choose, seed=self.seed)
        config = InterviewConfig(
            intent=self.intent, labeller=self.labeller or own_name(), goal=self.goal, questions=questions
        )
        label(config, self.episodes, self.answers, self.reward, self.host, self.port, self.browser)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Show what has been answered on the page; take comparisons out as a preference file, or others' in."""

    answers: Annotated[Path, tyro.conf.Positional] = Path("runs/answers.sqlite")
    episodes: Path = Path("runs/episodes.safetensors")  # that they are about
    export_to: Path | None = None  # a file of comparisons to write (.parquet)
    import_from: Path | None = None  # one to add; what is there already is not added again

    def run(self) -> None:
        """Do it."""
        from skygarden.label import manage_answers

        manage_answers(self.answers, self.episodes, self.export_to, self.import_from)


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Preference fine-tuning: imitate the collected episodes that the reward model scores best, with the head alone."""

    policy: Annotated[str, tyro.conf.Positional]  # a name, a file or a run's folder; who played the episodes
    episodes: Path = Path("runs/episodes.safetensors")  # as `collect` writes them
    reward: Path = Path("runs/reward/reward.safetensors")
    preset: PresetName = "laptop"
    out: Path = Path("runs/tuned")  # folder to write to
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.presets import PRESETS
        from skygarden.tuning import tune

        tune(PRESETS[self.preset].tuning, self.policy, self.episodes, self.reward, self.out, self.seed)


@dataclass(frozen=True, kw_only=True)
class Online(_WithWorkers):
    """Align a policy online; a run that was stopped goes on."""

    policy: Annotated[str, tyro.conf.Positional]  # a name, a file or a run's folder
    reference: str | None = None  # the policy to stay close to; default: the one that is aligned
    reward: Path = Path("runs/reward/reward.safetensors")
    episodes: Path | None = None  # as `collect` writes them, for the critic to learn from before the first update
    preset: PresetName = "laptop"
    out: Path = Path("runs/online")  # folder of the run
    updates: int | None = None  # default: the preset's, as the next
    learning_rate: float | None = None
    schedule: Literal["constant", "linear"] | None = None  # of the learning rate
    baseline: Literal["none", "leave_one_out", "value"] | None = None
    passes: int | None = None  # times that a batch is learnt from
    kl: float | None = None  # weight of the KL divergence to the reference
    entropy: float | None = None  # weight of the entropy
    max_policy_lag: int | None = None  # updates that the head that plays may be behind
    workers: int | None = None  # that share a batch
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.online import online
        from skygarden.presets import PRESETS, online_settings

        changes = {
            "updates": self.updates,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule,
            "baseline": self.baseline,
            "passes": self.passes,
            "kl": self.kl,
            "entropy": self.entropy,
            "max_policy_lag": self.max_policy_lag,
            "shares": self.workers,
            "metrics_port": self.metrics_port,
        }
        config = online_settings(PRESETS[self.preset].online, self.seed, changes)
        reference = self.reference or self.policy
        place = self.workplace()
        online(config, self.policy, reference, self.reward, self.out, self.episodes, self.env(), place)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Show how a run that is under way is doing: its updates, its workers, what came and what was refused."""

    where: Annotated[str, tyro.conf.Positional]  # the folder of the run, or the address of its status
    every: float | None = None  # seconds, to show it again and again until it ends

    def run(self) -> None:
        """Do it."""
        from skygarden.status import show

        show(self.where, self.every)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Train an agent from scratch, for the reward of reaching a pad alone, and evaluate it: to compare with."""

    algorithm: Annotated[Literal["ppo"], tyro.conf.Positional]  # of RLlib
    to: Pad = "left"
    preset: Literal["laptop", "smoke"] = "laptop"
    steps: int | None = None  # of play; default: the preset's. A run that was stopped, or was shorter, goes on
    episodes: int = 1000  # that are evaluated
    out: Path = Path("runs/baseline")  # folder of the run
    seed: int = 0

    def run(self) -> None:
        """Do it."""
        from skygarden.baseline import baseline
        from skygarden.presets import PPO

        settings = PPO[self.preset]
        baseline(replace(settings, steps=self.steps or settings.steps), self.to, self.episodes, self.out, self.seed)


@dataclass(frozen=True, kw_only=True)
class Worker(_InEnv):
    """Play for a learner elsewhere until it is done. On SIGTERM what is finished is delivered before it ends.

    Without a certificate its token is read from the variable SKYGARDEN_TOKEN.
    """

    learner: str  # HOST:PORT
    name: str | None = None  # that the learner knows this worker by; default: the certificate's
    certificate: Path | None = None  # this worker's folder, as `certs` writes it
    authority: Path | None = None  # authority.pem of the learner, with a token
    spool: Path | None = None  # folder in which episodes wait until the learner has them
    patience: float = 300.0  # seconds without a learner after which it gives up; may be inf
    metrics_port: int | None = None  # of this machine, where Prometheus may ask this worker
    device: str = "auto"
    processors: int = 1  # that play

    def run(self) -> None:
        """Do it."""
        from skygarden.worker import WorkerOptions, run_worker

        played = run_worker(
            WorkerOptions(
                learner=self.learner,
                name=self.name,
                certificate=self.certificate,
                authority=self.authority,
                spool=self.spool,
                patience=self.patience,
                metrics_port=self.metrics_port,
                device=self.device,
                processors=self.processors,
            ),
            self.env(),
        )
        print(f"{played} episodes played")


@dataclass(frozen=True, kw_only=True)
class Certs:
    """Make certificates by which a learner and its workers know each other over a network; again adds or renews."""

    folder: Annotated[Path, tyro.conf.Positional]  # of all of them
    learner: tuple[str, ...] = ()  # host names and IP addresses by which workers reach the learner
    workers: tuple[str, ...] = ()  # names
    days: float = 30.0  # that they are valid for

    def run(self) -> None:
        """Do it."""
        from skygarden.certs import CertsConfig, certs

        print(certs(self.folder, CertsConfig(learner=self.learner, workers=self.workers, days=self.days)))


@dataclass(frozen=True, kw_only=True)
class DeployCheck:
    """Find what is wrong with a file for `ray up` before it costs anything: what Ray says, and what it lets through."""

    file: Annotated[Path, tyro.conf.Positional]  # as deploy/cluster.yaml
    ready: bool = False  # also ask for what a shared file cannot hold: keys and tokens on this machine, real addresses

    def run(self) -> None:
        """Do it; exit status 1 where there is an error."""
        from skygarden.deploy_check import deploy_check

        if not deploy_check(self.file, self.ready):
            raise SystemExit(1)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a policy for others to use, with 16-bit weights."""

    policy: Annotated[str, tyro.conf.Positional]  # a name, a file or a run's folder
    out: Annotated[Path, tyro.conf.Positional]  # a .safetensors file

    def run(self) -> None:
        """Do it."""
        from skygarden.policies import export

        export(self.policy, self.out)
        print(f"wrote {self.out}: {self.out.stat().st_size / 1e6:.1f} MB")


def _one_of(pad: str | None, rule: str | None) -> str | None:
    if pad and rule:
        raise OptionError(f"either --to {pad} or --teacher {rule}: one thing is wanted")
    return pad or rule


COMMANDS = {
    "demo": Demo,
    "align": Align,
    "world": World,
    "gameplay": Gameplay,
    "import-bleeding-edge": ImportBleedingEdge,
    "watch": Watch,
    "play": Play,
    "game": Game,
    "record": Record,
    "doctor": Doctor,
    "calibrate": Calibrate,
    "pretrain": Pretrain,
    "finetune": Finetune,
    "evaluate": Evaluate,
    "collect": Collect,
    "label": Label,
    "answers": Answers,
    "reward": Reward,
    "tune": Tune,
    "online": Online,
    "baseline": Baseline,
    "worker": Worker,
    "status": Status,
    "certs": Certs,
    "deploy-check": DeployCheck,
    "export": Export,
}


def main() -> None:
    """Run the command line; errors that a user can mend are one line and exit status 2."""
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="skygarden", description=__doc__)
    try:
        command.run()
    except SkygardenError as error:
        print(f"skygarden: {error}", file=sys.stderr)
        raise SystemExit(2) from error
