"""`SkygardenReinforce`: online alignment as an algorithm of RLlib, for Tune and for those who know RLlib.

    config = SkygardenReinforceConfig().alignment(policy="sft.safetensors", reward="reward.safetensors")
    config.build_algo().train()

An iteration is one update. Episodes come from our workers, see `rollout.rllib.workers`, and not from RLlib's runners.
What is asked of the workers, learnt and published is what `rollout.learner.train_online` does with lag 0.

RLlib's checkpoints are pickles: whoever can write one can have this process run anything, so restore only your own.
The policy is beside them as `policy.safetensors`, which is safe to pass on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, cast

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE, DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME, TIMERS
from torch import Tensor

from agents.checkpoint import load_policy, save_policy, trunk_hash
from agents.parallel import one_thread
from agents.reinforce import EpisodeBatch, learn_rewards
from agents.reward import load_reward
from envs import gamepad
from envs.backend import JUMPPADS
from envs.episode import Episode
from envs.errors import DeliveryError, OptionError, StepError
from rollout.delivery.assignment import Contract
from rollout.learner import OnlineConfig, assignments_of, batch_of
from rollout.rllib.learner import STALE, UPDATE, ReinforceLearner, columns_of
from rollout.rllib.module import HeadModule
from rollout.rllib.runner import NoEnvRunner
from rollout.rllib.workers import InProcess, Playing
from rollout.store import read_episodes

UPDATES: Final = "updates"  # in the results and in the algorithm's state: how many are done
POLICY_FILE: Final = "policy.safetensors"  # in a checkpoint


class SkygardenReinforceConfig(AlgorithmConfig):
    """Settings of `SkygardenReinforce`; `alignment` sets those that are ours."""

    def __init__(self, algo_class: type[Algorithm] | None = None) -> None:
        super().__init__(algo_class or SkygardenReinforce)
        self.policy = self.reward = self.reference = self.primer = ""  # files
        self.online = OnlineConfig()
        self.changes: dict[str, Any] = {}
        self.playing: Playing = InProcess()
        self.env_runners(env_runner_cls=NoEnvRunner, num_env_runners=0)

    def alignment(
        self,
        *,
        policy: Path | str | None = None,
        reward: Path | str | None = None,
        reference: Path | str | None = None,
        primer: Path | str | None = None,
        online: OnlineConfig | None = None,
        changes: Mapping[str, Any] | None = None,
        playing: Playing | None = None,
    ) -> "SkygardenReinforceConfig":
        """Set what is given.

        Args: policy: file of the policy to align. reward: of the reward model. reference: of the policy that the KL
          divergence is measured to; default: the one that is aligned. primer: of episodes that the critic learns from
          first. online: how to learn. changes: values for fields of OnlineConfig or ReinforceConfig by name, which
          may be Tune's, as {"kl": tune.grid_search([0.0, 0.1])}. playing: who plays.
        Raises: CheckpointError: the policy cannot be read.
        """
        files = {"policy": policy, "reward": reward, "reference": reference, "primer": primer}
        for name, path in files.items():
            if path is not None:
                setattr(self, name, str(Path(path).resolve()))  # Tune's trials run in folders of their own
        if policy is not None:
            width = load_policy(Path(policy))[0].config.width
            features = gym.spaces.Box(-np.inf, np.inf, (width,), np.float32)
            self.environment(observation_space=features, action_space=gamepad.space())
        self.online = online or self.online
        self.changes = dict(self.changes if changes is None else changes)
        self.playing = playing or self.playing
        return self

    def online_config(self) -> OnlineConfig:
        """How to learn, with the changes made.

        Raises: OptionError: a change is to a field that there is not.
        """
        ours = {field.name for field in fields(OnlineConfig)} - {"reinforce"}
        theirs = {field.name for field in fields(self.online.reinforce)}
        unknown = sorted(set(self.changes) - ours - theirs)
        if unknown:
            raise OptionError(
                f"there is no setting {unknown[0]!r} to change; there are {', '.join(sorted(ours | theirs))}"
            )
        reinforce = replace(self.online.reinforce, **{k: v for k, v in self.changes.items() if k in theirs})
        return replace(self.online, reinforce=reinforce, **{k: v for k, v in self.changes.items() if k in ours})

    def validate(self) -> None:
        """Check.

        Raises: OptionError: a file is not named, or something is asked for that this algorithm does not do.
        """
        super().validate()
        if not (self.policy and self.reward):
            raise OptionError("an alignment needs a policy and a reward model: .alignment(policy=..., reward=...)")
        if self.online_config().max_policy_lag or self.num_env_runners or self.num_learners:
            raise OptionError(
                "this algorithm learns in its own process from its own workers, and waits for them: leave "
                "max_policy_lag, num_env_runners and num_learners at 0, or run `skygarden online`"
            )

    def get_default_learner_class(self) -> type[ReinforceLearner]:
        """Ours."""
        return ReinforceLearner

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """Ours."""
        files = {"policy": self.policy, "reference": self.reference or self.policy}
        return RLModuleSpec(module_class=HeadModule, model_config=files)


class SkygardenReinforce(Algorithm):
    """Aligns the head of a policy with a reward model, an update an iteration; `done` after the last."""

    @classmethod
    def get_default_config(cls) -> SkygardenReinforceConfig:
        """The settings to start from."""
        return SkygardenReinforceConfig()

    def setup(self, config: AlgorithmConfig) -> None:
        """Start the workers, which take a while, then RLlib's parts.

        Raises: CheckpointError: a file cannot be read. DeliveryError: workers cannot be served.
        """
        settings = cast("SkygardenReinforceConfig", self.config)
        self._online = settings.online_config()
        self._policy, _ = load_policy(Path(settings.policy))
        self._trunk = trunk_hash(self._policy)
        self._reward = load_reward(Path(settings.reward))
        self._updates = 0
        self._played = False  # since the workers were started
        self._start(settings)
        try:
            super().setup(config)
            self._prime(settings.primer)
            self._publish()
        except BaseException:
            self._release()
            raise

    def training_step(self) -> None:
        """One update.

        Raises: StepError: all are done. DeliveryError: no episodes come, or all of a batch were dropped. DivergedError:
          a loss is not finite.
        """
        update, online = self._updates, self._online
        if update >= online.updates:
            raise StepError(f"all {online.updates} updates of this run are done; a longer one is another run")
        for assignment in assignments_of(online, update):
            self._workers.post(assignment)
        self._played = True
        numbers = range(update * online.shares, (update + 1) * online.shares)
        with self.metrics.log_time((TIMERS, "playing")):
            played = self._workers.wait(numbers, online.patience)
        if not played:
            raise DeliveryError(f"all episodes of batch {update + 1} were dropped; the workers' logs say why")
        episodes = [episode for episode, _ in played]
        stale = any(stamp.version != update for _, stamp in played)
        with one_thread(), self.metrics.log_time((TIMERS, "learning")):  # on one thread, as the core
            self._learn(batch_of(episodes, self._reward.score_episodes(episodes, self._trunk)), stale)
        self._updates += 1
        self._publish()
        self._log(episodes)

    def step(self) -> dict[str, Any]:
        """An iteration; its result says when the run is over."""
        result = super().step()
        return {**result, "done": self._updates >= self._online.updates}

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's, and how many updates are done."""
        return {**super().get_state(components, not_components=not_components, **kwargs), UPDATES: self._updates}

    def set_state(self, state: dict[str, Any]) -> None:
        """The same, taken back; workers that have played already make way for new ones, which know no other run."""
        super().set_state(state)
        self._updates = state.get(UPDATES, self._updates)
        if self._played:
            self._release()
            self._start(cast("SkygardenReinforceConfig", self.config))
        self._publish()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write RLlib's checkpoint, and the policy beside it."""
        super().save_checkpoint(checkpoint_dir)
        self._policy.head.load_state_dict(self._head())
        save_policy(self._policy, Path(checkpoint_dir) / POLICY_FILE, {"done": self._updates, "stage": "rllib"})

    def cleanup(self) -> None:
        """Send the workers home."""
        super().cleanup()
        self._release()

    def _start(self, settings: SkygardenReinforceConfig) -> None:
        contract = Contract(
            trunk=self._trunk,
            width=self._policy.config.width,
            context=self._online.context,
            temperature=self._online.temperature,
            reads=self._reward.reads,
        )
        started = settings.playing.start(Path(settings.policy), contract, self._online, Path(self.logdir))
        self._workers, self._release = started
        self._played = False

    def _prime(self, primer: str) -> None:
        if primer:
            episodes, _ = read_episodes(Path(primer))
            episodes = episodes[: self._reward.about.get("learnable")]  # the others are the reward model's test
            batch = batch_of(episodes, self._reward.score_episodes(episodes, self._trunk))
            self.learner_group.foreach_learner(lambda learner: learn_rewards(learner.critic, batch))

    def _learn(self, batch: EpisodeBatch, stale: bool) -> None:
        columns = SampleBatch(columns_of(batch))
        results = self.learner_group.update(
            batch=MultiAgentBatch({DEFAULT_MODULE_ID: columns}, env_steps=int(batch.steps.sum())),
            timesteps={UPDATE: self._updates, STALE: int(stale)},
            num_epochs=self._online.reinforce.passes,
            minibatch_size=len(batch.steps),
        )
        self.metrics.aggregate(results, key=LEARNER_RESULTS)

    def _head(self) -> dict[str, Tensor]:
        """The weights of the head, copied."""
        component = f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}"
        state = self.learner_group.get_state(component)[COMPONENT_LEARNER][COMPONENT_RL_MODULE][DEFAULT_MODULE_ID]
        prefix = "head."
        return {
            name.removeprefix(prefix): torch.tensor(array) for name, array in state.items() if name.startswith(prefix)
        }

    def _publish(self) -> None:
        self._workers.publish(self._updates, self._head(), self._updates)

    def _log(self, episodes: Sequence[Episode]) -> None:
        """Log what was played under the names that Tune and RLlib's users know."""
        pads = [episode.jumppad for episode in episodes]
        lengths = [len(episode) for episode in episodes]
        scores = self.metrics.peek((LEARNER_RESULTS, DEFAULT_MODULE_ID, "score"))
        seen = {
            "num_episodes": len(episodes),
            "episode_len_mean": float(np.mean(lengths)),
            "episode_return_mean": scores,  # of the reward model
            "reached": {pad or "none": pads.count(pad) for pad in (*JUMPPADS, None)},  # nothing is learnt from it
        }
        self.metrics.log_dict(seen, key=ENV_RUNNER_RESULTS, window=1)
        self.metrics.log_value(
            (ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), sum(lengths), reduce="lifetime_sum"
        )
        self.metrics.log_value(UPDATES, self._updates, window=1)
